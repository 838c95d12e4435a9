//! Runs whole engines against the store in memory in virtual time, with faults, all from one seed: the
//! same seed gives the same run to the letter. Every run is judged by what it must have achieved.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `dice`, `weather` | all chance, and what a seed decides for its whole run |
//! | `world` | clock, history and complaints |
//! | `writers` | programs that append out of order |
//! | `fleet` | processes that run engines: started, stopped, killed, suspended |
//! | `operator` | people who deploy, rebuild, roll back, pause |
//! | `reader` | an application that reads the documents of the projections |
//! | `line`, `suspension`, `store` | the connection between a process and the store: delay, loss, suspension |
//! | `guests` | projections that give every mistake away |
//! | `invariants` | who may do what, checked at every moment |
//! | `check` | the promises, checked at the end |
//!
//! The simulation is of the engine. The store is the one in memory, whose calls are atomic; what a
//! database does between two statements is for the tests on a real one.

mod check;
mod dice;
mod fleet;
mod guests;
mod invariants;
mod line;
mod operations;
mod operator;
mod reader;
mod store;
mod suspension;
mod weather;
mod world;
mod writers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};
use std::time::Duration;

use kennel_core::name::ReplicaSet;
use kennel_core::port::{Coordination as _, DeploymentStore as _, LogReader as _, StatusReports as _};
use kennel_core::position::Position;
use kennel_store::memory::MemoryStore;

use dice::Dice;
use fleet::Fleet;
use operator::Operator;
use weather::Weather;
use world::World;
use writers::Writers;

/// How long everything may take to catch up once nothing goes wrong any more.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(20);
/// How long it must then stay as it is: longer than a worker needs to be taken for dead.
const STAY_FOR: Duration = Duration::from_secs(8);
/// How long it may take until everything that is of no use has been removed.
const COLLECTED_WITHIN: Duration = Duration::from_secs(32);
/// Events at the end that come faster than a runner may wait with an idle commit, for longer than that.
const TRICKLE: u64 = 60;
const TRICKLE_GAP: Duration = Duration::from_millis(40);

/// What became of one seed.
#[derive(Debug)]
pub struct Run {
    pub seed: u64,
    /// Everything that is not as it must be. Empty is good.
    pub complaints: Vec<String>,
    /// Every call to the store and everything that happened to the processes, in order.
    pub history: Vec<String>,
    /// How often each kind of fault happened.
    pub tally: BTreeMap<&'static str, u64>,
}

thread_local! {
    /// Panics of this thread: the engine survives those of its runners, a run must not.
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Runs one seed to its end.
#[must_use]
pub fn run(seed: u64) -> Run {
    remember_panics();
    PANICS.take();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (history, mut complaints, tally) = runtime.block_on(simulate(seed));
    complaints.extend(PANICS.take());
    Run { seed, complaints, history, tally }
}

fn remember_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            PANICS.with_borrow_mut(|panics| panics.push(format!("a panic: {panicked}")));
            before(panicked);
        }));
    });
}

async fn simulate(seed: u64) -> (Vec<String>, Vec<String>, BTreeMap<&'static str, u64>) {
    let replica_set: ReplicaSet = "main".parse().expect("a name");
    let mut dice = Dice::new(seed);
    let weather = Weather::draw(&mut dice, &replica_set);
    let (events, backlog, gap) = (weather.events, weather.backlog, weather.append_gap);
    let world = Arc::new(World::new(dice, weather));
    world.note("world", &format!("{:?}", world.weather));
    let store = MemoryStore::new();
    let operator = Operator::new(Arc::clone(&world), store.clone(), replica_set.clone());
    operator.begin().await;

    let writers = Writers::new(Arc::clone(&world), store.clone());
    Arc::clone(&writers).write(0..backlog, Duration::ZERO).await;
    writers.burn(world.weather.burnt);
    let mut fleet = Fleet::new(Arc::clone(&world), store.clone());
    fleet.start();
    let chaos = async {
        for _ in 0..world.weather.chaos_steps {
            tokio::time::sleep(world.up_to(world.weather.chaos_gap)).await;
            fleet.upset().await;
        }
    };
    let reader = tokio::spawn(reader::read(Arc::clone(&world), store.clone()));
    let writing = Arc::clone(&writers).write(backlog..events, gap);
    tokio::join!(writing, chaos, operator.meddle(), operator.meddle());

    world.calm_down();
    fleet.recover();
    operator.put_right().await;
    settle(&world, &store, &replica_set, &fleet).await;
    tokio::time::sleep(line::SLOW).await;
    let before = position(&store, guests::LEDGER).await;
    let unwanted = Arc::clone(&writers).trickle(events..events + TRICKLE, "Noted", TRICKLE_GAP);
    unwanted.await;
    if position(&store, guests::LEDGER).await == before {
        world.complain(
            "events that the ledger does not want keep its checkpoint from being committed".to_owned(),
        );
    }
    tokio::time::sleep(if world.weather.patient { COLLECTED_WITHIN } else { STAY_FOR }).await;
    settle(&world, &store, &replica_set, &fleet).await;
    reader.abort();
    fleet.stop().await;
    check::check(&world, &store, &replica_set, &writers.committed()).await;
    let view = store.view(&replica_set, weather::STALE_AFTER).await.expect("a view");
    for member in view.members.iter().filter(|member| member.alive) {
        world.complain(format!("p{} has stopped and has not signed off", member.pid));
    }
    world.records()
}

/// How far a projection has come everywhere.
async fn position(store: &MemoryStore, projection: &str) -> Position {
    let progress = store.progress().await.expect("progress");
    let of_it = progress.iter().filter(|progress| progress.deployment.projection.as_str() == projection);
    of_it.flat_map(|progress| &progress.checkpoints).map(|row| row.position).min().unwrap_or_default()
}

/// Waits until everything has been handled, the work is divided among the processes that run, and no process
/// reports a part that makes no progress. That it comes to this is a promise too.
async fn settle(world: &World, store: &MemoryStore, replica_set: &ReplicaSet, fleet: &Fleet) {
    let settled = async {
        while !unsettled(world, store, replica_set, fleet).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(CATCH_UP_WITHIN, settled).await.is_err() {
        for reason in unsettled(world, store, replica_set, fleet).await {
            world.complain(format!("after {} s without faults: {reason}", CATCH_UP_WITHIN.as_secs()));
        }
    }
}

async fn unsettled(
    world: &World,
    store: &MemoryStore,
    replica_set: &ReplicaSet,
    fleet: &Fleet,
) -> Vec<String> {
    let mut reasons = fleet.blocked();
    if world.straying.load(Ordering::SeqCst) > 0 {
        reasons.push("requests are still on their way".to_owned());
    }
    for name in guests::ALL {
        let life = store.lifecycle(&name.parse().expect("a name")).await.expect("the store answers");
        let life = life.expect("it was deployed");
        if life.candidate().is_some() || life.fenced {
            reasons.push(format!("{name} still has a candidate or is fenced; fenced: {}", life.fenced));
        }
    }
    let head = store.high_water_mark().await.expect("a high-water mark").head;
    for progress in store.progress().await.expect("progress") {
        let position = progress.checkpoints.iter().map(|row| row.position).min().unwrap_or_default();
        if position != head {
            reasons.push(format!("{} has reached {position} of {head}", progress.deployment.projection));
        }
    }
    let view = store.view(replica_set, Duration::from_secs(3600)).await.expect("a view");
    let mut owners: BTreeMap<u32, usize> = BTreeMap::new();
    world.invariants(|invariants| {
        for process in view.assignment.owners.iter().filter_map(|owner| invariants.process_of(*owner)) {
            *owners.entry(process).or_default() += 1;
        }
    });
    let at_work: BTreeMap<u32, usize> = fleet.at_work().into_iter().collect();
    if owners != at_work {
        reasons
            .push(format!("the workers of each process should be {at_work:?}, partitions have {owners:?}"));
    }
    reasons
}
