//! Drives all stores with the same random operations and compares what they answer. Whatever the
//! conformance suite did not think of, two stores that do not agree on it will show here.
#![expect(clippy::unwrap_used, reason = "a failing test should panic")]

use std::collections::BTreeMap;

use kennel_core::change::{Access, Change, CollectionChanges, Expectation};
use kennel_core::checkpoint::{Checkpoint, Mark, advance};
use kennel_core::lifecycle::{Deploy, Lifecycle, Mode, Operation, OperationRequest, Promotion};
use kennel_core::membership::{Cause, Generation};
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{
    ClaimOutcome, Commit, CommitOutcome, Document, ProposeOutcome, ReadQuery, StoreError, StorePorts, Wanted,
};
use kennel_core::position::Position;
use kennel_core::projection::{ReadModelId, Scope};
use kennel_core::witness::Witness;
use kennel_store::memory::MemoryStore;
use kennel_store::{ConnectOptions, Mode as Opening, Store};
use kennel_test_support::conformance::{
    STALE_AFTER, batch, change, deploy, increment, name, new_code, replica_set, worker,
};
use kennel_test_support::postgres::Cluster;
use kennel_test_support::samples::{event, request};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use uuid::Uuid;

const PROJECTION: &str = "order-summary";
/// Events that every log begins with: checkpoints go no farther, so that their last event is known.
const FIRST_EVENTS: u64 = 100;
/// The number before that of the first of them.
const FIRST_IDS: u64 = 1_000_000;

/// So many kinds of operations there are.
const OPERATIONS: u8 = 11;
const KEYS: [&str; 5] = ["a", "B", "b", "é", "🐕"];
const COLLECTIONS: [&str; 3] = ["orders", "Orders", "order lines"];

/// One thing to do. Numbers are choices, taken modulo what there is to choose from.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u8, u8, Option<u8>)>),
    Read { after: u8, limit: u8, partition: (u8, u8) },
    Agree { partitions: u8, stale: bool },
    Claim { model: u8, partition: u8, stale: bool },
    Commit { owner: u8, by: u8, stale: bool, sole: bool, changes: Vec<(u8, u8, Act, Guess)> },
    Scan { model: u8, collection: u8, after: Option<u8>, prefix: u8, limit: u8 },
    Ask { operation: u8, code: u8, missed: Option<u8> },
    Cutover(CutoverStep),
    CollectGarbage,
}

#[derive(Clone, Copy, Debug)]
enum CutoverStep {
    Begin { slack: u8 },
    Finish,
    Abort,
}

#[derive(Clone, Debug)]
enum Act {
    Put(u8),
    Delete,
    Increment(u8, i64),
    Read,
}

/// What a change claims to know of its document.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Nothing,
    Absent,
    Right,
    Wrong,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        4 => any::<u8>().prop_map(Act::Put),
        1 => Just(Act::Delete),
        2 => (any::<u8>(), -5..5_i64).prop_map(|(field, by)| Act::Increment(field, by)),
        1 => Just(Act::Read),
    ];
    let guess = prop_oneof![3 => Just(Guess::Nothing), 1 => Just(Guess::Absent), 3 => Just(Guess::Right), 1 => Just(Guess::Wrong)];
    let change = (any::<u8>(), any::<u8>(), act, guess);
    let cutover = prop_oneof![
        (0..9_u8).prop_map(|slack| CutoverStep::Begin { slack }),
        Just(CutoverStep::Finish),
        Just(CutoverStep::Abort),
    ];
    let step = prop_oneof![
        2 => prop::collection::vec((0..30_u8, any::<u8>(), prop::option::weighted(0.2, 0..4_u8)), 0..6).prop_map(Step::Append),
        2 => (any::<u8>(), 1..9_u8, (any::<u8>(), 1..4_u8)).prop_map(|(after, limit, partition)| Step::Read { after, limit, partition }),
        1 => (1..4_u8, prop::bool::weighted(0.2)).prop_map(|(partitions, stale)| Step::Agree { partitions, stale }),
        4 => (any::<u8>(), any::<u8>(), prop::bool::weighted(0.1))
            .prop_map(|(model, partition, stale)| Step::Claim { model, partition, stale }),
        8 => (any::<u8>(), 0..3_u8, prop::bool::weighted(0.1), any::<bool>(), prop::collection::vec(change, 0..6))
            .prop_map(|(owner, by, stale, sole, changes)| Step::Commit { owner, by, stale, sole, changes }),
        1 => (any::<u8>(), any::<u8>(), prop::option::of(any::<u8>()), any::<u8>(), 0..4_u8).prop_map(
            |(model, collection, after, prefix, limit)| Step::Scan { model, collection, after, prefix, limit },
        ),
        3 => (0..OPERATIONS, 0..4_u8, prop::option::weighted(0.2, 0..2_u8))
            .prop_map(|(operation, code, missed)| Step::Ask { operation, code, missed }),
        2 => cutover.prop_map(Step::Cutover),
        1 => Just(Step::CollectGarbage),
    ];
    prop::collection::vec(step, 1..60)
}

/// One store with what its driver remembers of it.
struct Driven<'a> {
    store: &'a dyn StorePorts,
    /// Every read model that there has been, in the order of its making.
    models: Vec<ReadModelId>,
    generation: Generation,
    partitions: u32,
    /// What each claim of the current generation owns, and what each of an older one thinks it owns.
    owned: Vec<(Generation, ReadModelId, Vec<Checkpoint>)>,
    next_event: u64,
}

impl<'a> Driven<'a> {
    async fn new(store: &'a dyn StorePorts) -> Self {
        // As far as checkpoints go, the log is the same on every store.
        let first = (1..=FIRST_EVENTS).map(|number| event(u128::from(FIRST_IDS + number), "first"));
        store.append(&first.collect::<Vec<_>>()).await.unwrap();
        let first = deploy(store, PROJECTION).await.read_model;
        Self {
            store,
            models: vec![first],
            generation: Generation::NONE,
            partitions: 1,
            owned: Vec::new(),
            next_event: 1,
        }
    }

    /// Does a step and reports its result, in a form that is the same on every store.
    async fn take(&mut self, step: &Step) -> Value {
        match step {
            Step::Append(events) => self.append(events).await,
            Step::Read { after, limit, partition } => self.read(*after, *limit, *partition).await,
            Step::Agree { partitions, stale } => self.agree(*partitions, *stale).await,
            Step::Claim { model, partition, stale } => self.claim(*model, *partition, *stale).await,
            Step::Commit { owner, by, stale, sole, changes } => {
                self.commit(*owner, *by, *stale, *sole, changes).await
            }
            Step::Scan { model, collection, after, prefix, limit } => {
                let collection = pick(&COLLECTIONS, *collection);
                let after = after.map(|after| pick(&KEYS, after));
                let prefix = pick(&["", "", "b", "é"], *prefix);
                let kept = self.life().await.read_models;
                let Some(model) = kept.get(usize::from(*model) % kept.len().max(1)) else {
                    return Value::Null;
                };
                let found = self.store.scan(*model, collection, after, prefix, usize::from(*limit)).await;
                documents(found.unwrap())
            }
            Step::Ask { operation, code, missed } => self.ask(*operation, *code, *missed).await,
            Step::Cutover(step) => {
                let (store, projection) = (self.store, name(PROJECTION));
                let answer = match step {
                    CutoverStep::Begin { slack } => {
                        Some(store.begin_cutover(&projection, u64::from(*slack)).await.unwrap())
                    }
                    CutoverStep::Finish => Some(store.complete_cutover(&projection).await.unwrap()),
                    CutoverStep::Abort => {
                        store.abort_cutover(&projection).await.unwrap();
                        None
                    }
                };
                json!([format!("{answer:?}"), self.reported(&self.life().await)])
            }
            Step::CollectGarbage => json!(self.store.collect_garbage().await.unwrap()),
        }
    }

    async fn life(&self) -> Lifecycle {
        self.store.lifecycle(&name(PROJECTION)).await.unwrap().unwrap()
    }

    async fn ask(&mut self, operation: u8, code: u8, missed: Option<u8>) -> Value {
        let deploy = |mode| {
            let deploy = new_code(PROJECTION, &code.to_string(), mode);
            Deploy { promotion: if code == 0 { Promotion::Manual } else { Promotion::Auto }, ..deploy }
        };
        let operation = match operation {
            0 | 1 => Operation::Deploy(Box::new(deploy(Mode::Continue))),
            2 | 3 => Operation::Deploy(Box::new(deploy(Mode::Rebuild))),
            4 => Operation::Rollback { to: None },
            5 => Operation::Rollback { to: Some(u32::from(code) + 1) },
            6 => Operation::Promote,
            7 => Operation::Cancel,
            8 => Operation::Pause,
            9 => Operation::Resume,
            _ => Operation::Retire { drop: code == 0 },
        };
        let latest = self.life().await.latest();
        let expected_deployment = missed.map(|missed| latest.saturating_sub(u32::from(missed)));
        let asked = OperationRequest { expected_deployment, ..request(operation) };
        match self.store.carry_out(&name(PROJECTION), &asked).await.unwrap() {
            Err(rejected) => json!(rejected.to_string()),
            Ok(changed) => {
                for entry in &changed.lifecycle.history {
                    let read_model = entry.deployment.read_model;
                    if !self.models.contains(&read_model) {
                        self.models.push(read_model);
                    }
                }
                json!([changed.number, changed.changed, self.reported(&changed.lifecycle)])
            }
        }
    }

    /// A lifecycle in a form that is the same on every store: each numbers read models as it likes.
    fn reported(&self, life: &Lifecycle) -> Value {
        let model = |id: ReadModelId| self.models.iter().position(|known| *known == id);
        let entries = life.history.iter().map(|entry| {
            let deployment = &entry.deployment;
            let of = (model(deployment.read_model), deployment.digest, &deployment.settings.config);
            json!([deployment.number, of, entry.origin, entry.outcome, entry.from, entry.attribution.actor])
        });
        let entries: Vec<Value> = entries.collect();
        let kept: Vec<_> = life.read_models.iter().map(|id| model(*id)).collect();
        json!([entries, life.activity, life.promotion, life.fenced, life.replica_set, kept])
    }

    async fn append(&self, events: &[(u8, u8, Option<u8>)]) -> Value {
        let events: Vec<_> = events
            .iter()
            .map(|(number, aggregate, version)| {
                let mut new = event(u128::from(*number) + 1, pick(&KEYS, *aggregate));
                new.aggregate_version = version.map(u64::from);
                new
            })
            .collect();
        match self.store.append(&events).await {
            Ok(appended) => json!([appended.written, appended.skipped]),
            Err(StoreError::Invalid { message } | StoreError::InvalidEvent { message, .. }) => json!(message),
            Err(error) => panic!("{error:?}"),
        }
    }

    async fn read(&self, after: u8, limit: u8, (index, count): (u8, u8)) -> Value {
        let high_water_mark = self.store.high_water_mark().await.unwrap().position;
        let range = HashRange::of_partition(u32::from(index % count), u32::from(count));
        let query = ReadQuery {
            after: Position::new(u64::from(after) % (high_water_mark.get() + 1)),
            upto: high_water_mark,
            scope: &Scope::default(),
            ranges: &[range],
            limit: usize::from(limit),
        };
        let page = self.store.read(query).await.unwrap();
        let events: Value =
            page.events.iter().map(|event| json!([event.event_id, event.aggregate_version])).collect();
        json!([events, page.events.len() == usize::from(limit)])
    }

    async fn agree(&mut self, partitions: u8, stale: bool) -> Value {
        let plan = Plan { owners: (1..=u128::from(partitions)).map(worker).collect(), cause: Cause::Changed };
        let parent = if stale { self.generation.next() } else { self.generation };
        match self.store.propose(&replica_set(), parent, &plan, STALE_AFTER).await.unwrap() {
            ProposeOutcome::Accepted { generation, .. } => {
                (self.generation, self.partitions) = (generation, u32::from(partitions));
                json!(generation)
            }
            ProposeOutcome::Superseded => json!("superseded"),
        }
    }

    async fn claim(&mut self, model: u8, partition: u8, stale: bool) -> Value {
        let range = HashRange::of_partition(u32::from(partition) % self.partitions, self.partitions);
        let generation = if stale { self.generation.next() } else { self.generation };
        let model = self.models[usize::from(model) % self.models.len()];
        match self.store.claim(&replica_set(), generation, model, range).await.unwrap() {
            ClaimOutcome::Owned(owned) => {
                let reported = rows(&owned);
                self.owned.push((generation, model, owned));
                reported
            }
            ClaimOutcome::Superseded => json!("superseded"),
            ClaimOutcome::Fenced => json!("held"),
            ClaimOutcome::LogSetBack(set_back) => json!(format!("{set_back:?}")),
        }
    }

    async fn commit(
        &mut self,
        owner: u8,
        by: u8,
        stale: bool,
        sole: bool,
        acts: &[(u8, u8, Act, Guess)],
    ) -> Value {
        let Some(index) = (!self.owned.is_empty()).then(|| usize::from(owner) % self.owned.len()) else {
            return Value::Null;
        };
        let (generation, model, owned) = self.owned[index].clone();
        let from = owned.iter().map(|row| row.position).min().unwrap();
        let ranges: Vec<HashRange> =
            owned.iter().filter(|row| row.position == from).map(|row| row.range).collect();
        let changes = self.changes(model, acts).await;
        let to = (from.get() + u64::from(by)).min(FIRST_EVENTS).max(from.get());
        let batch = Commit {
            ranges: ranges.clone(),
            generation: if stale { generation.next() } else { generation },
            changes,
            sole_owner: sole,
            ..batch(model, generation, from.get(), to)
        };
        let position = Position::new(to);
        let witness =
            (to > 0).then(|| Witness { position, event_id: Uuid::from_u128(u128::from(FIRST_IDS + to)) });
        let batch = Commit { to: Mark { position, witness }, ..batch };
        let outcome = self.store.commit(&batch).await.unwrap();
        if outcome == CommitOutcome::Committed {
            self.owned[index].2 = advance(&owned, &ranges, batch.to);
        }
        json!(format!("{outcome:?}"))
    }

    /// The changes of a batch, each with what it claims to know.
    async fn changes(&mut self, model: ReadModelId, acts: &[(u8, u8, Act, Guess)]) -> Vec<CollectionChanges> {
        let mut sorted: BTreeMap<&str, BTreeMap<&str, Change>> = BTreeMap::new();
        // A removed read model cannot be read, and nothing is committed to it.
        let kept = self.life().await.read_models.contains(&model);
        for (collection, key, act, guess) in acts {
            let (collection, key) = (pick(&COLLECTIONS, *collection), pick(&KEYS, *key));
            let wanted = [Wanted { collection: collection.to_owned(), keys: vec![key.to_owned()] }];
            let found = match kept {
                true => self.store.fetch(model, &wanted).await.unwrap().remove(0).remove(0),
                false => None,
            };
            let expectation = match (guess, found) {
                (Guess::Nothing, _) => Expectation::Unread,
                (Guess::Absent, _) | (Guess::Right, None) => Expectation::Absent,
                (Guess::Right, Some(stored)) => Expectation::Revision(stored.revision),
                (Guess::Wrong, _) => Expectation::Revision(Position::new(99_999)),
            };
            self.next_event += 1;
            let access = match act {
                Act::Put(value) => {
                    Access::Put(json!({"n": value, "list": [1.5, null, "é"]}).to_string().into())
                }
                Act::Delete => Access::Delete,
                // Sometimes of a field that is no number.
                Act::Increment(field, by) => increment(pick(&["n", "m", "list"], *field), *by),
                Act::Read => Access::Read,
            };
            let expectation = match (&access, expectation) {
                (Access::Read, Expectation::Unread) => Expectation::Absent,
                (_, expectation) => expectation,
            };
            let change = change(key, access, expectation, self.next_event);
            sorted.entry(collection).or_default().insert(key, change);
        }
        let collections = sorted.into_iter().map(|(collection, changes)| CollectionChanges {
            collection: collection.to_owned(),
            changes: changes.into_values().collect(),
        });
        collections.collect()
    }

    /// Everything that can be seen from outside.
    async fn state(&self) -> Value {
        let life = self.life().await;
        let mut all = Vec::new();
        for model in &life.read_models {
            let mut collections = BTreeMap::new();
            for collection in self.store.collections(*model).await.unwrap() {
                let found = self.store.scan(*model, &collection, None, "", 100).await.unwrap();
                collections.insert(collection.to_string(), documents(found));
            }
            all.push(collections);
        }
        let progress = self.store.progress().await.unwrap();
        let progress: Vec<Value> = progress
            .iter()
            .map(|one| {
                let facts = (one.role, one.activity, one.promotion, one.fenced, one.from);
                json!([one.deployment.number, facts, rows(&one.checkpoints)])
            })
            .collect();
        let active = self.store.active(&replica_set()).await.unwrap();
        let active: Vec<_> = active.iter().map(|(deployment, role)| (deployment.number, *role)).collect();
        json!([all, progress, active, self.reported(&life)])
    }
}

fn documents(found: Vec<Document>) -> Value {
    found.into_iter().map(|one| json!([one.key, parse(&one.stored.document), one.stored.revision])).collect()
}

fn pick<'a>(list: &[&'a str], choice: u8) -> &'a str {
    list[usize::from(choice) % list.len()]
}

fn parse(document: &str) -> Value {
    serde_json::from_str(document).unwrap()
}

fn rows(checkpoints: &[Checkpoint]) -> Value {
    checkpoints.iter().map(|row| json!([row.range, row.position, row.generation])).collect()
}

async fn open(url: &str) -> Store {
    let options = ConnectOptions { mode: Opening::Migrate, ..ConnectOptions::default() };
    let store = kennel_store::connect(&url.parse().unwrap(), &options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn compare(cluster: &Cluster, steps: &[Step]) {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::new();
    let sqlite = open(&format!("sqlite:{}/kennel.db", folder.path().display())).await;
    let server = open(&cluster.create_database()).await;
    let mut model = Driven::new(&memory).await;
    let mut others = [("sqlite", Driven::new(&*sqlite).await), ("postgres", Driven::new(&*server).await)];
    for step in steps {
        let expected = model.take(step).await;
        for (name, driven) in &mut others {
            assert_eq!(driven.take(step).await, expected, "{name}: {step:?}");
        }
    }
    let expected = model.state().await;
    for (name, driven) in &others {
        assert_eq!(driven.state().await, expected, "{name} at the end");
    }
    sqlite.close().await;
    server.close().await;
}

#[test]
fn all_stores_answer_alike() {
    let cluster = Cluster::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // The same cases every time: a failure here has to be found again.
    let cases = std::env::var("KENNEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(30);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        prop::test_runner::TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha),
    );
    let outcome = runner.run(&steps(), |steps| {
        runtime.block_on(compare(&cluster, &steps));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
