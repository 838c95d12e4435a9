//! What every store has to do, checked through the ports alone. Each check gets an empty store.
#![expect(clippy::unwrap_used, reason = "a failing check should panic")]

pub mod cutovers;
pub mod deployments;
pub mod documents;
pub mod lifecycle;
pub mod log;
pub mod witness;
pub mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use kennel_core::change::{Access, Change, CollectionChanges, Expectation};
use kennel_core::checkpoint::{Checkpoint, Mark};
use kennel_core::collection::{Collection, Column, ColumnType, Index};
use kennel_core::event::Event;
use kennel_core::lifecycle::{Deploy, Mode, Operation, Rejected};
use kennel_core::membership::{Cause, Generation, WorkerId};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::StorePorts;
use kennel_core::port::{
    Changed, ClaimOutcome, Commit, CommitOutcome, CutoverOutcome, ProposeOutcome, ReadQuery, Wanted,
};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, Descriptor, Partitioning, ReadModelId, Scope, Settings};
use serde_json::Value;
use uuid::Uuid;

use crate::samples;

pub const STALE_AFTER: Duration = Duration::from_secs(60);

pub fn replica_set() -> ReplicaSet {
    "main".parse().unwrap()
}

pub fn worker(number: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(number))
}

pub fn name(text: &str) -> ProjectionName {
    text.parse().unwrap()
}

/// New code for a projection, which `code` stands for.
pub fn new_code(projection: &str, code: &str, mode: Mode) -> Deploy {
    let descriptor = Descriptor {
        name: projection.to_owned(),
        version: "1.2.3".to_owned(),
        scope: Scope { event_types: vec!["order-placed".to_owned()], ..Scope::default() },
        partitioning: Partitioning::ByAggregate,
        collections: vec![Collection {
            name: "größen \"x\"".to_owned(),
            columns: vec![Column {
                name: "city".to_owned(),
                path: "customer.\"a.b\"".to_owned(),
                data_type: ColumnType::Text,
            }],
            indexes: vec![Index { columns: vec!["city".to_owned()], unique: true }],
        }],
    };
    let settings = Settings {
        config: BTreeMap::from([("currency".to_owned(), "€".to_owned())]),
        ..Settings::default()
    };
    Deploy { settings, mode, ..samples::deploy(code.as_bytes(), descriptor) }
}

/// Has an operation carried out, or rejected.
pub async fn ask(
    store: &dyn StorePorts,
    projection: &str,
    operation: Operation,
) -> Result<Changed, Rejected> {
    store.carry_out(&name(projection), &samples::request(operation)).await.unwrap()
}

/// The first deployment of a projection.
pub async fn deploy(store: &dyn StorePorts, projection: &str) -> Deployment {
    let deploy = new_code(projection, projection, Mode::Continue);
    let changed = ask(store, projection, Operation::Deploy(Box::new(deploy))).await.unwrap();
    assert_eq!((changed.number, changed.changed), (Some(1), true));
    changed.lifecycle.serving().unwrap().deployment.clone()
}

/// Makes the generation after `parent`, with `partitions` owners.
pub async fn agree(store: &dyn StorePorts, parent: Generation, partitions: u128) -> Generation {
    let plan = Plan { owners: (1..=partitions).map(worker).collect(), cause: Cause::First };
    match store.propose(&replica_set(), parent, &plan, STALE_AFTER).await.unwrap() {
        ProposeOutcome::Accepted { generation, .. } => generation,
        ProposeOutcome::Superseded => panic!("generation {parent} is not current"),
    }
}

pub async fn claim(
    store: &dyn StorePorts,
    generation: Generation,
    read_model: ReadModelId,
    range: HashRange,
) -> Vec<Checkpoint> {
    match store.claim(&replica_set(), generation, read_model, range).await.unwrap() {
        ClaimOutcome::Owned(owned) => owned,
        ClaimOutcome::Superseded => panic!("generation {generation} is not current"),
        ClaimOutcome::Fenced => panic!("read model {read_model} is fenced"),
        ClaimOutcome::LogSetBack(set_back) => panic!("{set_back:?}"),
    }
}

/// A batch of a read model's only owner that moves everything and changes nothing.
pub fn batch(read_model: ReadModelId, generation: Generation, from: u64, to: u64) -> Commit {
    Commit {
        read_model,
        generation,
        ranges: vec![HashRange::ALL],
        from: Position::new(from),
        to: Mark { position: Position::new(to), witness: None },
        changes: Vec::new(),
        dead_letters: Vec::new(),
        events: 0,
        sole_owner: true,
    }
}

/// The same, with the last event of the log at or below where it goes as its witness.
pub async fn witnessed(store: &dyn StorePorts, batch: Commit) -> Commit {
    let upto = store.high_water_mark().await.unwrap().position.min(batch.to.position);
    let (after, scope) = (Position::START, Scope::default());
    let query = ReadQuery { after, upto, scope: &scope, ranges: &[HashRange::ALL], limit: 100_000 };
    let witness = store.read(query).await.unwrap().events.last().map(Event::witness);
    Commit { to: Mark { witness, ..batch.to }, ..batch }
}

pub fn change(key: &str, access: Access, expectation: Expectation, revision: u64) -> Change {
    Change { key: key.to_owned(), access, expectation, revision: Position::new(revision) }
}

pub fn put(document: &str) -> Access {
    Access::Put(document.into())
}

pub fn increment(field: &str, by: i64) -> Access {
    Access::Increment(BTreeMap::from([(field.to_owned(), by)]))
}

pub fn of(collection: &str, changes: Vec<Change>) -> Vec<CollectionChanges> {
    vec![CollectionChanges { collection: collection.to_owned(), changes }]
}

/// A document as a JSON value with its revision: databases may write the same value in other text.
pub async fn document(
    store: &dyn StorePorts,
    read_model: ReadModelId,
    collection: &str,
    key: &str,
) -> Option<(Value, u64)> {
    let wanted = [Wanted { collection: collection.to_owned(), keys: vec![key.to_owned()] }];
    let found = store.fetch(read_model, &wanted).await.unwrap();
    assert_eq!((found.len(), found[0].len()), (1, 1));
    found[0][0]
        .as_ref()
        .map(|stored| (serde_json::from_str(&stored.document).unwrap(), stored.revision.get()))
}

pub async fn keys(store: &dyn StorePorts, read_model: ReadModelId, collection: &str) -> Vec<String> {
    let found = store.scan(read_model, collection, None, "", usize::MAX >> 1).await.unwrap();
    found.into_iter().map(|document| document.key).collect()
}

/// Commits and expects it to take effect.
pub async fn commit(store: &dyn StorePorts, batch: &Commit) {
    assert_eq!(store.commit(batch).await.unwrap(), CommitOutcome::Committed);
}

/// A batch of a read model's only owner that puts these documents (collection, key, document) and moves it on by one
/// position.
pub async fn puts(
    store: &dyn StorePorts,
    generation: Generation,
    read_model: ReadModelId,
    documents: &[(&str, &str, Value)],
) -> Commit {
    let at = store.position(read_model).await.unwrap().get();
    let puts = documents.iter().flat_map(|(collection, key, document)| {
        of(collection, vec![change(key, put(&document.to_string()), Expectation::Unread, at + 1)])
    });
    Commit { changes: puts.collect(), ..batch(read_model, generation, at, at + 1) }
}

/// Claims a read model and has such a batch take effect on it.
pub async fn write(
    store: &dyn StorePorts,
    generation: Generation,
    read_model: ReadModelId,
    documents: &[(&str, &str, Value)],
) {
    claim(store, generation, read_model, HashRange::ALL).await;
    commit(store, &puts(store, generation, read_model, documents).await).await;
}

/// Brings the candidate of a projection up to date with the serving read model, and begins the cutover.
pub async fn begin_cutover(store: &dyn StorePorts, generation: Generation, projection: &str) {
    let life = store.lifecycle(&name(projection)).await.unwrap().unwrap();
    let [old, new] = [life.serving(), life.candidate()].map(|entry| entry.unwrap().deployment.read_model);
    let (ahead, behind) = (store.position(old).await.unwrap(), store.position(new).await.unwrap());
    claim(store, generation, new, HashRange::ALL).await;
    if behind < ahead {
        commit(store, &batch(new, generation, behind.get(), ahead.get())).await;
    }
    assert_eq!(store.begin_cutover(&name(projection), 0).await.unwrap(), CutoverOutcome::Done);
}
