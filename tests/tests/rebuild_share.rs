//! What a worker gives to read models that are being built, all of them together: the engine over the store in
//! memory, in virtual time, with guests that only take time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::event::{Event, NewEvent};
use kennel_core::failure::FailureKind;
use kennel_core::lifecycle::{Deploy, Mode, Operation, Role};
use kennel_core::name::ReplicaSet;
use kennel_core::port::{
    Appender as _, CallFailure, ComponentStore as _, DeploymentStore as _, Instance, StatusReports as _,
};
use kennel_core::projection::{Descriptor, OnFailure, Scope, Settings};
use kennel_engine::{Engine, Entropy, Metrics, Options, Ports, Shutdown};
use kennel_store::memory::MemoryStore;
use kennel_test_support::conformance::ask;
use kennel_test_support::guests::{FakeComponent, FakeRuntime};
use kennel_test_support::samples;
use tokio::time::{Instant, sleep};

const CALL: Duration = Duration::from_millis(1);
const EVENTS: u64 = 60_000;
const LONG: Duration = Duration::from_secs(20);

/// How long guests of read models that are being built have been at work, and how many at once.
#[derive(Debug, Default)]
struct Work {
    total: Duration,
    now: u32,
    at_once: u32,
}

/// Makes a component of its name: `NAME serving`, which takes no time, `NAME next`, which does, and `NAME broken`.
fn component(code: &[u8], work: &Arc<Mutex<Work>>) -> FakeComponent {
    let descriptor = descriptor(std::str::from_utf8(code).expect("a text"));
    let (kind, work) = (descriptor.version.clone(), Arc::clone(work));
    FakeComponent::new(Digest::of(code), descriptor)
        .with_instances(move |_| Box::new(Running { kind: kind.clone(), work: Arc::clone(&work) }))
}

struct Running {
    kind: String,
    work: Arc<Mutex<Work>>,
}

fn descriptor(code: &str) -> Descriptor {
    let (name, version) = code.split_once(' ').expect("a name and a kind");
    // `NAME rare` wants nothing that comes.
    let event_types = (version == "rare").then(|| "OrderLost".to_owned()).into_iter().collect();
    let scope = Scope { event_types, ..Scope::default() };
    Descriptor { version: version.to_owned(), scope, ..samples::descriptor(name) }
}

#[async_trait]
impl Instance for Running {
    async fn handle(&mut self, _: &Event, _: u64) -> Result<(), CallFailure> {
        if self.kind == "serving" {
            return Ok(());
        }
        {
            let mut work = self.work.lock().expect("no thread panics");
            work.now += 1;
            work.at_once = work.at_once.max(work.now);
        }
        sleep(CALL).await;
        let mut work = self.work.lock().expect("no thread panics");
        work.now -= 1;
        work.total += CALL;
        let broken = CallFailure::Guest { kind: FailureKind::Reject, message: "never".to_owned() };
        if self.kind == "broken" { Err(broken) } else { Ok(()) }
    }

    fn memory_peak(&self) -> usize {
        0
    }
}

fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<NewEvent> {
    let event = |number: u64| samples::event(number.into(), &format!("order-{}", number % 100));
    numbers.map(event).collect()
}

async fn deploy(store: &MemoryStore, code: &str, mode: Mode) {
    let descriptor = descriptor(code);
    let (name, settings) =
        (descriptor.name.clone(), Settings { on_failure: OnFailure::Halt, ..Settings::default() });
    let deploy = Deploy { settings, mode, ..samples::deploy(code.as_bytes(), descriptor) };
    store.put_component(deploy.digest, code.as_bytes()).await.expect("it is stored");
    ask(store, &name, Operation::Deploy(Box::new(deploy))).await.expect("it is deployed");
}

fn engine(store: &MemoryStore, work: &Arc<Mutex<Work>>, share: f64) -> Engine {
    let work = Arc::clone(work);
    let runtime = FakeRuntime(move |code: &[u8]| component(code, &work));
    let ports = Ports::of(Arc::new(store.clone()), Arc::new(runtime));
    let options = Options { rebuild_share: share, batch: Some(100), ..Options::new(ReplicaSet::default()) };
    Engine::new(ports, options, &Metrics::default(), Entropy::from_seed(1))
}

/// Builds these beside others for so long. Returns the work for it, and the position that each has reached.
async fn build(next: &[&str], share: f64) -> (Work, Vec<u64>) {
    let store = MemoryStore::new();
    store.append(&events(1..=EVENTS)).await.expect("they are appended");
    for code in next {
        deploy(&store, &format!("{} serving", descriptor(code).name), Mode::Continue).await;
        deploy(&store, code, Mode::Rebuild).await;
    }
    let work = Arc::new(Mutex::new(Work::default()));
    let engine = engine(&store, &work, share);
    let (trigger, stop) = Shutdown::channel();
    let running = tokio::spawn(engine.run(stop));
    let began = Instant::now();
    sleep(LONG).await;
    let work = std::mem::take(&mut *work.lock().expect("no thread panics"));
    let progress = store.progress().await.expect("the store answers");
    let built = progress.iter().filter(|one| one.role == Role::Candidate);
    let positions = built.map(|one| one.position().get()).collect();
    trigger.stop();
    running.await.expect("it ends");
    assert!(began.elapsed() < LONG * 2);
    (work, positions)
}

#[tokio::test(start_paused = true)]
async fn all_read_models_that_a_worker_builds_share_what_one_may_take() {
    for share in [0.5, 0.25] {
        let (work, positions) = build(&["a next", "b next", "c next", "d next"], share).await;
        let taken = work.total.as_secs_f64() / LONG.as_secs_f64();
        assert!(taken <= share + 0.01 && taken > share * 0.8, "{taken} of {share}: {positions:?}");
        assert_eq!(work.at_once, 1);
        // They take turns.
        let (least, most) = (positions.iter().min(), positions.iter().max());
        assert!(
            positions.len() == 4 && least.zip(most).is_some_and(|(least, most)| most - least <= 200),
            "{positions:?}"
        );
    }
}

/// It stays halted until it is repaired: others must not wait for that.
#[tokio::test(start_paused = true)]
async fn a_halted_build_keeps_no_other_from_being_built() {
    let (work, positions) = build(&["a broken", "b next"], 0.5).await;
    assert_eq!(positions[0], 0);
    assert!(positions[1] > 8_000 && work.total > LONG.mul_f64(0.4), "{positions:?}");
}

/// Events come without end, and none that it wants: its position is recorded all the same, so that it is promoted.
#[tokio::test(start_paused = true)]
async fn a_candidate_that_wants_hardly_any_events_is_promoted_under_constant_load() {
    for share in [0.5, 0.01] {
        let store = MemoryStore::new();
        store.append(&events(1..=EVENTS)).await.expect("they are appended");
        deploy(&store, "a serving", Mode::Continue).await;
        let rare = "a rare";
        let (trigger, stop) = Shutdown::channel();
        let running = tokio::spawn(engine(&store, &Arc::default(), share).run(stop));
        let writer = store.clone();
        let writing = tokio::spawn(async move {
            for number in EVENTS + 1.. {
                writer.append(&events(number..=number)).await.expect("it is appended");
                sleep(Duration::from_millis(1)).await;
            }
        });
        sleep(LONG / 4).await;
        deploy(&store, rare, Mode::Rebuild).await;
        sleep(LONG).await;
        let found = store.find(&"a".parse().expect("a name")).await.expect("the store answers");
        let serves = found.map(|deployment| deployment.digest);
        assert_eq!(serves, Some(Digest::of(rare.as_bytes())), "at a share of {share}");
        writing.abort();
        trigger.stop();
        running.await.expect("it ends");
    }
}
