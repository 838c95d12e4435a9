//! The promises, checked against what the writers committed once everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use kennel_core::event::Event;
use kennel_core::lifecycle::Role;
use kennel_core::name::ReplicaSet;
use kennel_core::partition::{HASH_SPACE, HashRange};
use kennel_core::port::{
    Coordination as _, DeploymentStore as _, LogReader as _, ReadModel as _, ReadQuery, StatusReports as _,
};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, Scope};
use kennel_store::memory::MemoryStore;
use serde_json::{Value, json};
use uuid::Uuid;

use super::guests::{ALL, AUDIT, LAP, LEDGER, TOTALS, link, payload};
use super::world::World;

/// What one deployment made of the log.
struct Outcome<'a> {
    world: &'a World,
    store: &'a MemoryStore,
    deployment: Deployment,
    /// The events that it must have handled.
    handled: Vec<&'a Event>,
}

/// Checks promises 1 to 3 and the bookkeeping behind them; everything that is wrong becomes a complaint.
pub(super) async fn check(
    world: &World,
    store: &MemoryStore,
    replica_set: &ReplicaSet,
    committed: &BTreeSet<Uuid>,
) {
    let log = log(store).await;
    let visible: BTreeSet<Uuid> = log.iter().map(|event| event.event_id).collect();
    if visible != *committed {
        world.complain("the log does not hold what the writers committed".to_owned());
    }
    let active = store.active(replica_set).await.expect("deployments");
    if active.len() != ALL.len() || active.iter().any(|(_, role)| *role != Role::Serving) {
        world.complain(format!("every projection should serve and nothing else, but there are {active:?}"));
    }
    for (deployment, _) in active {
        let scope = &deployment.descriptor.scope;
        let wanted =
            log.iter().filter(|e| scope.admits(&e.bounded_context, &e.aggregate_type, &e.event_type));
        let (rejected, handled): (Vec<&Event>, Vec<&Event>) =
            wanted.partition(|event| payload(event)["rejected_by"] == deployment.projection.as_str());
        let outcome = Outcome { world, store, deployment, handled };
        outcome.dead_letters(&rejected).await;
        match outcome.deployment.projection.as_str() {
            AUDIT => outcome.audit().await,
            TOTALS => outcome.totals().await,
            LEDGER => outcome.ledger().await,
            other => world.complain(format!("there is no check of {other}")),
        }
    }
    checkpoints(world, store).await;
    leftovers(world, store).await;
    generations(world, store, replica_set).await;
}

async fn log(store: &MemoryStore) -> Vec<Event> {
    let upto = store.high_water_mark().await.expect("a high-water mark").head;
    let (scope, ranges) = (Scope::default(), [HashRange::ALL]);
    let query = ReadQuery { after: Position::START, upto, scope: &scope, ranges: &ranges, limit: usize::MAX };
    store.read(query).await.expect("the log").events
}

impl Outcome<'_> {
    /// Compares a collection, document by document.
    async fn expect(&self, collection: &str, expected: BTreeMap<String, Value>) {
        let found = self
            .store
            .scan(self.deployment.read_model, collection, None, "", usize::MAX)
            .await
            .expect("a scan");
        let document = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        let found: BTreeMap<String, Value> =
            found.into_iter().map(|row| (row.key, document(&row.stored.document))).collect();
        let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
        for key in keys {
            let (expected, found) = (expected.get(key), found.get(key));
            if expected != found {
                let projection = &self.deployment.projection;
                let (expected, found) = (text(expected), text(found));
                self.world.complain(format!("{projection}: {collection}/{key} is {found}, not {expected}"));
            }
        }
    }

    async fn dead_letters(&self, rejected: &[&Event]) {
        let expected: Vec<Position> = rejected.iter().map(|event| event.position).collect();
        let letters =
            self.store.dead_letters(self.deployment.read_model, usize::MAX).await.expect("dead letters");
        let found: Vec<Position> = letters.iter().map(|letter| letter.failure.position).collect();
        if found != expected {
            let projection = &self.deployment.projection;
            self.world.complain(format!("{projection}: dead letters are at {found:?}, not at {expected:?}"));
        }
    }

    /// Every event once, and each aggregate in order.
    async fn audit(&self) {
        let once = self.handled.iter().map(|event| (event.event_id.to_string(), json!({"count": 1})));
        self.expect("events", once.collect()).await;
        let mut aggregates: BTreeMap<String, Value> = BTreeMap::new();
        for event in &self.handled {
            let count =
                aggregates.get(&event.aggregate_id).map_or(0, |before| before["count"].as_u64().unwrap_or(0));
            let (position, version) = (event.position.get(), event.aggregate_version);
            let after =
                json!({"position": position, "version": version, "count": count + 1, "disorder": false});
            aggregates.insert(event.aggregate_id.clone(), after);
        }
        self.expect("aggregates", aggregates).await;
    }

    /// No update of a shared document was lost, and increments add up.
    async fn totals(&self) {
        let mut types: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for event in &self.handled {
            let (count, amount) = types.entry(&event.event_type).or_default();
            *count += 1;
            *amount += payload(event)["amount"].as_u64().unwrap_or(0);
        }
        let totals = types
            .iter()
            .map(|(&name, (count, amount))| (name.to_owned(), json!({"count": count, "amount": amount})));
        self.expect("totals", totals.collect()).await;
        let unfinished = types.iter().filter(|(_, (count, _))| count % LAP != 0);
        self.expect(
            "laps",
            unfinished.map(|(&name, (count, _))| (name.to_owned(), json!({"n": count % LAP}))).collect(),
        )
        .await;
        let mut sums = json!({});
        if !types.is_empty() {
            sums["count"] = types.values().map(|(count, _)| count).sum::<u64>().into();
            sums["amount"] = types.values().map(|(_, amount)| amount).sum::<u64>().into();
        }
        let laps: u64 = types.values().map(|(count, _)| count / LAP).sum();
        if laps > 0 {
            sums["laps"] = laps.into();
        }
        let all = (!types.is_empty()).then(|| ("all".to_owned(), sums));
        self.expect("sums", all.into_iter().collect()).await;
    }

    /// Everything in the order of the log, one at a time.
    async fn ledger(&self) {
        let positions = self.handled.iter().map(|event| event.position.get());
        let entries = positions.clone().map(|position| (format!("{position:010}"), json!({"count": 1})));
        self.expect("entries", entries.collect()).await;
        let chain = positions.clone().fold(0, link);
        let last = positions.clone().next_back();
        let document = last.map(|last| {
            let count = self.handled.len();
            ("chain".to_owned(), json!({"count": count, "last": last, "chain": chain, "disorder": false}))
        });
        self.expect("ledger", document.into_iter().collect()).await;
    }
}

/// Checkpoints tile the hash space and stand where the commits have moved them: at the end of the log.
async fn checkpoints(world: &World, store: &MemoryStore) {
    let head = store.high_water_mark().await.expect("a high-water mark").head;
    for progress in store.progress().await.expect("progress") {
        let name = &progress.deployment.projection;
        let mut edge = 0;
        for row in &progress.checkpoints {
            if row.range.start() != edge || row.position != head {
                world.complain(format!("{name}: after point {edge}, with the log at {head}, comes {row:?}"));
            }
            edge = row.range.end();
        }
        if edge != HASH_SPACE {
            world.complain(format!("{name}: no checkpoint covers the points from {edge} on"));
        }
        world.judge(|invariants| {
            let positions = invariants.positions(progress.deployment.read_model);
            let astray = positions.iter().find(|(_, position)| *position != head);
            astray.map_or(Ok(()), |(range, at)| Err(format!("{name}: commits moved {range:?} to {at} only")))
        });
    }
}

/// Read models that are not needed any more have been removed, given time; those that may be needed are there.
async fn leftovers(world: &World, store: &MemoryStore) {
    if world.weather.patient {
        for deleting in world.invariants(|invariants| invariants.deleting()) {
            let left = store.collections(deleting).await.expect("collections");
            if !left.is_empty() {
                world.complain(format!("read model {deleting} is of no use and is still there: {left:?}"));
            }
        }
    }
    for name in ALL {
        let life = store.lifecycle(&name.parse().expect("a name")).await.expect("the store answers");
        for kept in life.expect("it was deployed").read_models {
            let stands = store.position(kept).await.expect("a position");
            let moved = world
                .invariants(|invariants| invariants.positions(kept))
                .into_iter()
                .map(|(_, position)| position)
                .min();
            if Some(stands) != moved {
                world.complain(format!(
                    "{name}: read model {kept} is at {stands}, but commits moved it to {moved:?}"
                ));
            }
        }
    }
}

/// The history in the store is the one that was agreed on.
async fn generations(world: &World, store: &MemoryStore, replica_set: &ReplicaSet) {
    let mut records = store.history(replica_set, usize::MAX).await.expect("a history");
    records.reverse();
    world.judge(|invariants| {
        let recorded = records.iter().map(|record| (&record.assignment, record.cause));
        if recorded.eq(invariants.generations().iter().map(|(assignment, cause)| (assignment, *cause))) {
            Ok(())
        } else {
            Err("the history of generations is not the one that was agreed on".to_owned())
        }
    });
}
