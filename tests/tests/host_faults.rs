//! Faults of the host itself: a part of it that panics is reported and counted, is left alone for longer each
//! time, disturbs no other part, and is over when it works again. The engine over the store in memory, in virtual time,
//! with a log that panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::event::NewEvent;
use kennel_core::lifecycle::Operation;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{
    Appended, Appender, ComponentStore as _, HighWaterMark, LogReader, Page, ReadQuery, StatusReports as _,
    StoreError,
};
use kennel_core::position::Position;
use kennel_core::projection::{Descriptor, Scope};
use kennel_engine::{Engine, Entropy, Metrics, Options, Ports, Shutdown, Status};
use kennel_store::memory::MemoryStore;
use kennel_test_support::conformance::ask;
use kennel_test_support::guests::{FakeComponent, FakeRuntime, Idle};
use kennel_test_support::samples;
use prometheus::Registry;
use tokio::time::sleep;

const EVENTS: u64 = 10;

/// A log that panics when it is read for a scope of `Broken`, or asked for its end, so many times.
#[derive(Clone)]
struct Log {
    store: MemoryStore,
    reads: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
    tried: Arc<AtomicU64>,
    /// How long such a read takes.
    takes: Duration,
}

fn once_less(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl LogReader for Log {
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        assert!(!once_less(&self.looks), "no end is in sight");
        self.store.high_water_mark().await
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        if query.scope.event_types.iter().any(|event_type| event_type == "Broken") {
            self.tried.fetch_add(1, Ordering::SeqCst);
            sleep(self.takes).await;
            assert!(!once_less(&self.reads), "page {} is torn", query.after);
        }
        self.store.read(query).await
    }

    async fn notification(&self) {
        self.store.notification().await;
    }
}

#[async_trait]
impl Appender for Log {
    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        self.store.append(events).await
    }
}

/// Makes a component of the name of a projection; it does nothing.
fn idle(name: &[u8]) -> FakeComponent {
    let described = descriptor(std::str::from_utf8(name).expect("a name"));
    FakeComponent::new(Digest::of(name), described).with_instances(|_| Box::new(Idle))
}

fn descriptor(name: &str) -> Descriptor {
    let event_types = if name == "broken" { vec!["Broken".to_owned()] } else { Vec::new() };
    let scope = Scope { event_types, ..Scope::default() };
    Descriptor { scope, ..samples::descriptor(name) }
}

async fn deploy(store: &MemoryStore, name: &str) {
    let deploy = samples::deploy(name.as_bytes(), descriptor(name));
    store.put_component(deploy.digest, name.as_bytes()).await.expect("it is stored");
    ask(store, name, Operation::Deploy(Box::new(deploy))).await.expect("it is deployed");
}

/// An engine at work.
struct Bed {
    log: Log,
    registry: Registry,
    status: Arc<Status>,
    stop: kennel_engine::ShutdownTrigger,
    running: tokio::task::JoinHandle<()>,
}

impl Bed {
    /// The log panics so often when it is read by `broken`, and when it is asked for its end.
    async fn start(reads: u64, looks: u64) -> Self {
        Self::slow(reads, looks, Duration::ZERO).await
    }

    /// The same, with a log that takes this long for what `broken` reads.
    async fn slow(reads: u64, looks: u64, takes: Duration) -> Self {
        let store = MemoryStore::new();
        let event = |number: u64| NewEvent {
            event_type: "Broken".to_owned(),
            ..samples::event(number.into(), &format!("order-{number}"))
        };
        let events: Vec<NewEvent> = (1..=EVENTS).map(event).collect();
        store.append(&events).await.expect("they are appended");
        deploy(&store, "broken").await;
        deploy(&store, "healthy").await;
        let log = Log {
            store: store.clone(),
            reads: Arc::new(reads.into()),
            looks: Arc::new(looks.into()),
            tried: Arc::default(),
            takes,
        };
        let ports =
            Ports { log: Arc::new(log.clone()), ..Ports::of(Arc::new(store), Arc::new(FakeRuntime(idle))) };
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).expect("a registry of its own");
        let options = Options { workers: 1, ..Options::new(ReplicaSet::default()) };
        let engine = Engine::new(ports, options, &metrics, Entropy::from_seed(1));
        let (status, (stop, stopped)) = (engine.status(), Shutdown::channel());
        let running = tokio::spawn(engine.run(stopped));
        Self { log, registry, status, stop, running }
    }

    /// Which parts whose names contain this make no progress, and why.
    fn said(&self, part: &str) -> Vec<String> {
        let blocked = self.status.blocked().into_iter().filter(|(name, _)| name.to_string().contains(part));
        blocked.map(|(name, reason)| format!("{name}: {reason}")).collect()
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of few things")]
    fn faults(&self, part: &str) -> u64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == "kennel_host_faults_total");
        let counters = family.expect("it is registered").get_metric().iter();
        let ours = |metric: &&prometheus::proto::Metric| {
            metric.get_label().iter().any(|label| label.name() == "part" && label.value() == part)
        };
        counters.filter(ours).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    async fn position(&self, projection: &str) -> Position {
        let progress = self.log.store.progress().await.expect("the store answers");
        let found = progress.iter().find(|one| one.deployment.projection.as_str() == projection);
        found.expect("it is deployed").position()
    }

    async fn end(self) {
        self.stop.stop();
        self.running.await.expect("the engine ends in good order");
    }
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_panics_is_reported_counted_and_begun_again_later() {
    let bed = Bed::start(6, 0).await;
    assert_eq!(bed.faults("runner"), 0);
    sleep(Duration::from_secs(6)).await;
    // At once, then after a quarter of a second, half of one, one, two: the next comes after four.
    assert_eq!((bed.faults("runner"), bed.log.tried.load(Ordering::SeqCst)), (5, 5));
    let said = bed.said("(fault)");
    assert_eq!(said.len(), 1, "{said:?}");
    for part in
        ["projection broken on worker ", "a fault of the host, number 5", "`page 0 is torn`", "after 4 s"]
    {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
    assert_eq!(bed.position("healthy").await, Position::new(EVENTS));
    assert_eq!(bed.position("broken").await, Position::START);
    // The sixth time it panics once more, and eight seconds later it works.
    sleep(Duration::from_secs(14)).await;
    assert_eq!(bed.faults("runner"), 6);
    assert_eq!(bed.position("broken").await, Position::new(EVENTS));
    assert_eq!(bed.said(""), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_panics_for_ever_does_so_once_a_minute() {
    let bed = Bed::start(u64::MAX, 0).await;
    sleep(Duration::from_secs(3600)).await;
    let tried = bed.log.tried.load(Ordering::SeqCst);
    assert!((60..75).contains(&tried) && bed.faults("runner") == tried, "{tried}");
    assert!(bed.said("(fault)")[0].contains("begins again after 60 s"));
    // One that is no longer wanted blocks no other.
    ask(&bed.log.store, "broken", Operation::Pause).await.expect("it is paused");
    sleep(Duration::from_secs(120)).await;
    assert_eq!(bed.said(""), Vec::<String>::new());
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_panics_after_it_was_asked_to_stop_is_counted() {
    let bed = Bed::slow(1, 0, Duration::from_secs(10)).await;
    sleep(Duration::from_secs(5)).await;
    ask(&bed.log.store, "broken", Operation::Pause).await.expect("it is paused");
    sleep(Duration::from_secs(10)).await;
    assert_eq!((bed.faults("runner"), bed.log.tried.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(bed.said(""), Vec::<String>::new(), "nothing waits for it any more");
    bed.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_watch_of_the_log_begins_again_after_a_panic() {
    let bed = Bed::start(0, 4).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bed.faults("high_water_mark"), 4);
    let said = bed.said("high_water_mark (fault)");
    assert!(said.len() == 1 && said[0].contains("`no end is in sight`"), "{said:?}");
    assert_eq!(bed.position("healthy").await, Position::START);
    sleep(Duration::from_secs(8)).await;
    assert_eq!(bed.position("healthy").await, Position::new(EVENTS));
    assert_eq!(bed.said(""), Vec::<String>::new());
    bed.end().await;
}
