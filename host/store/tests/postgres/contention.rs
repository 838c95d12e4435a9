//! Batches of several workers at the same time.

use std::collections::BTreeMap;

use kennel_core::change::{Access, Expectation};
use kennel_core::checkpoint::Checkpoint;
use kennel_core::membership::{Cause, Generation};
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{ClaimOutcome, Commit, CommitOutcome, ProposeOutcome, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_store::Store;
use kennel_test_support::conformance::{
    STALE_AFTER, agree, batch, change, claim, deploy, document, increment, of, put, replica_set, worker,
};
use serde_json::{Value, json};

use super::store;

/// Two partitions of one deployment.
async fn halves(store: &Store) -> (ReadModelId, Generation, [HashRange; 2]) {
    let id = deploy(&**store, "p").await.read_model;
    let generation = agree(&**store, Generation::NONE, 2).await;
    let halves = [HashRange::of_partition(0, 2), HashRange::of_partition(1, 2)];
    for half in halves {
        claim(&**store, generation, id, half).await;
    }
    (id, generation, halves)
}

/// The batch number `at` of one half: positions of the two are odd and even, as those of events differ.
fn step(id: ReadModelId, generation: Generation, half: HashRange, at: u64) -> Commit {
    Commit { ranges: vec![half], sole_owner: false, ..batch(id, generation, at - 1, at) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_of_the_same_documents_are_never_lost() {
    let (_, store) = store().await;
    let (id, generation, halves) = halves(&store).await;
    const ROUNDS: u64 = 60;
    let run = |index: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut conflicts = 0;
            for at in 1..=ROUNDS {
                loop {
                    let mut changes = Vec::new();
                    // The two go through the documents in opposite order when they read.
                    let mut keys = ["a", "b", "c"].map(str::to_owned).to_vec();
                    if index == 1 {
                        keys.reverse();
                    }
                    let wanted = [Wanted { collection: "c".to_owned(), keys: keys.clone() }];
                    let found = store.fetch(id, &wanted).await.unwrap().remove(0);
                    for (key, stored) in keys.iter().zip(found) {
                        let (number, expectation) = match stored {
                            None => (0, Expectation::Absent),
                            Some(stored) => {
                                let value: Value = serde_json::from_str(&stored.document).unwrap();
                                (value["n"].as_i64().unwrap(), Expectation::Revision(stored.revision))
                            }
                        };
                        let document = put(&json!({"n": number + 1}).to_string());
                        changes.push(change(key, document, expectation, at * 2 + index as u64));
                    }
                    changes.push(change(
                        "sum",
                        increment("n", 1),
                        Expectation::Unread,
                        at * 2 + index as u64,
                    ));
                    changes.sort_by(|a, b| a.key.cmp(&b.key));
                    let batch =
                        Commit { changes: of("c", changes), ..step(id, generation, halves[index], at) };
                    match store.commit(&batch).await.unwrap() {
                        CommitOutcome::Committed => break,
                        CommitOutcome::Conflict { .. } => conflicts += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            conflicts
        })
    };
    let (one, two) = (run(0), run(1));
    let conflicts = one.await.unwrap() + two.await.unwrap();
    for key in ["a", "b", "c", "sum"] {
        assert_eq!(document(&*store, id, "c", key).await.unwrap().0, json!({"n": 2 * ROUNDS}), "{key}");
    }
    assert!(conflicts > 0, "the two never met, so this test has shown nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn increments_of_missing_documents_add_up_without_conflict() {
    let (_, store) = store().await;
    let (id, generation, halves) = halves(&store).await;
    const ROUNDS: u64 = 40;
    let run = |index: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            for at in 1..=ROUNDS {
                let fresh = format!("fresh-{at:03}");
                let amounts = BTreeMap::from([("n".to_owned(), 1), (format!("by-{index}"), 1)]);
                let changes = vec![
                    change("all", increment("n", 1), Expectation::Unread, at * 2 + index as u64),
                    change(&fresh, Access::Increment(amounts), Expectation::Unread, at * 2 + index as u64),
                ];
                let batch = Commit { changes: of("c", changes), ..step(id, generation, halves[index], at) };
                assert_eq!(store.commit(&batch).await.unwrap(), CommitOutcome::Committed);
            }
        })
    };
    let (one, two) = (run(0), run(1));
    one.await.unwrap();
    two.await.unwrap();
    assert_eq!(document(&*store, id, "c", "all").await.unwrap().0, json!({"n": 2 * ROUNDS}));
    for at in 1..=ROUNDS {
        let found = document(&*store, id, "c", &format!("fresh-{at:03}")).await.unwrap().0;
        assert_eq!(found, json!({"n": 2, "by-0": 1, "by-1": 1}));
    }
}

/// Each finds the other's document absent and then writes its own. One after the other, the second would
/// have found it, so at most one may succeed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_document_that_was_found_absent_does_not_come_into_being_meanwhile() {
    let (_, store) = store().await;
    let (id, generation, halves) = halves(&store).await;
    let mut at = [1, 1];
    for round in 0..40 {
        let names = [format!("{round}-x"), format!("{round}-y")];
        let commit = |index: usize| {
            let (mine, others) = (&names[index], &names[1 - index]);
            let mut changes = vec![
                change(mine, put("1"), Expectation::Unread, 1),
                change(others, Access::Read, Expectation::Absent, 0),
            ];
            changes.sort_by(|a, b| a.key.cmp(&b.key));
            let (store, batch) = (
                store.clone(),
                Commit { changes: of("c", changes), ..step(id, generation, halves[index], at[index]) },
            );
            tokio::spawn(async move { store.commit(&batch).await.unwrap() })
        };
        let tasks = [commit(0), commit(1)];
        let mut committed = 0;
        for (index, task) in tasks.into_iter().enumerate() {
            match task.await.unwrap() {
                CommitOutcome::Committed => {
                    committed += 1;
                    at[index] += 1;
                }
                CommitOutcome::Conflict { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(committed <= 1, "round {round}");
    }
}

/// Workers claim and commit against each other without ever agreeing beforehand. Every commit adds as much
/// to a counter as it moves its ranges, so the two can be compared at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_is_claimed_and_committed_at_once_documents_and_checkpoints_agree() {
    let (_, store) = store().await;
    let id = deploy(&*store, "p").await.read_model;
    let run = |index: u64| {
        let store = store.clone();
        tokio::spawn(async move {
            let (mut committed, mut fenced) = (0, 0);
            let mut owned: (Generation, Vec<Checkpoint>) = (Generation::NONE, Vec::new());
            for round in 0..120_u64 {
                if (round + index).is_multiple_of(4) {
                    let partitions = 1 + (round / 4 + index) % 3;
                    let plan = Plan {
                        owners: (0..u128::from(partitions)).map(worker).collect(),
                        cause: Cause::Changed,
                    };
                    let current = store.view(&replica_set(), STALE_AFTER).await.unwrap().assignment;
                    let mut current_generation = current.generation;
                    let mut count = current.partitions().max(1);
                    let outcome =
                        store.propose(&replica_set(), current_generation, &plan, STALE_AFTER).await.unwrap();
                    if let ProposeOutcome::Accepted { generation, .. } = outcome {
                        (current_generation, count) = (generation, u32::try_from(partitions).unwrap());
                    }
                    let range = HashRange::of_partition(u32::try_from(round + index).unwrap() % count, count);
                    if let ClaimOutcome::Owned(rows) =
                        store.claim(&replica_set(), current_generation, id, range).await.unwrap()
                    {
                        owned = (current_generation, rows);
                    }
                }
                let Some(row) = owned.1.first_mut() else { continue };
                let (from, to) = (row.position, Position::new(row.position.get() + 1));
                let length = i64::try_from(row.range.end() - row.range.start()).unwrap();
                let changes = of(
                    "c",
                    vec![change("n", increment("n", length), Expectation::Unread, round * 10 + index)],
                );
                let ranges = vec![row.range];
                let batch =
                    Commit { ranges, changes, sole_owner: false, ..batch(id, owned.0, from.get(), to.get()) };
                match store.commit(&batch).await.unwrap() {
                    CommitOutcome::Committed => {
                        row.position = to;
                        committed += 1;
                    }
                    CommitOutcome::Fenced => fenced += 1,
                    other => panic!("{other:?}"),
                }
            }
            (committed, fenced)
        })
    };
    let tasks: Vec<_> = (0..4).map(run).collect();
    let (mut committed, mut fenced) = (0, 0);
    for task in tasks {
        let counts = task.await.unwrap();
        (committed, fenced) = (committed + counts.0, fenced + counts.1);
    }
    let rows = store.progress().await.unwrap().remove(0).checkpoints;
    let moved: u64 = rows.iter().map(|row| (row.range.end() - row.range.start()) * row.position.get()).sum();
    assert_eq!(document(&*store, id, "c", "n").await.unwrap().0, json!({"n": moved}));
    assert!(committed > 0 && fenced > 0, "{committed} committed, {fenced} fenced");
    assert!(rows.windows(2).all(|pair| pair[0].range.end() == pair[1].range.start()), "{rows:?}");
}

/// Many workers write to many new collections at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collections_are_made_once_by_the_first_worker() {
    let (_, store) = store().await;
    let (id, generation, halves) = halves(&store).await;
    let run = |index: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            for at in 1..=15_u64 {
                let key = format!("by-{index}");
                let mut changes =
                    of(&format!("c{at:02}"), vec![change(&key, put("1"), Expectation::Unread, at)]);
                changes
                    .extend(of(&format!("d{at:02}"), vec![change(&key, put("1"), Expectation::Unread, at)]));
                let batch = Commit { changes, ..step(id, generation, halves[index], at) };
                assert_eq!(store.commit(&batch).await.unwrap(), CommitOutcome::Committed);
            }
        })
    };
    let (one, two) = (run(0), run(1));
    one.await.unwrap();
    two.await.unwrap();
    assert_eq!(store.collections(id).await.unwrap().len(), 30);
    assert_eq!(document(&*store, id, "d07", "by-1").await.unwrap().0, json!(1));
    assert_eq!(document(&*store, id, "d07", "by-0").await.unwrap().0, json!(1));
}
