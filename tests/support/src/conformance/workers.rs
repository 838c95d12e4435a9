//! Workers, generations and claims.

use std::time::Duration;

use kennel_core::membership::{Cause, Generation, WorkerId, WorkerState};
use kennel_core::partition::HashRange;
use kennel_core::plan::{self, Plan};
use kennel_core::port::{ClaimOutcome, NewWorker, ProposeOutcome, View};
use kennel_core::projection::ReadModelId;

use super::{STALE_AFTER, StorePorts, agree, batch, claim, commit, deploy, replica_set, worker};

async fn join(store: &dyn StorePorts, number: u128) {
    let new = NewWorker { id: worker(number), replica_set: replica_set(), host: "höst".to_owned(), pid: 42 };
    store.join(&new).await.unwrap();
}

/// The workers among these whose heartbeat is recorded.
async fn beat(store: &dyn StorePorts, numbers: &[u128]) -> Vec<WorkerId> {
    let workers: Vec<WorkerId> = numbers.iter().copied().map(worker).collect();
    store.heartbeat(&workers, WorkerState::Processing).await.unwrap()
}

async fn view(store: &dyn StorePorts) -> View {
    store.view(&replica_set(), STALE_AFTER).await.unwrap()
}

pub async fn workers_join_beat_and_leave(store: &dyn StorePorts) {
    assert_eq!(view(store).await, View::default());
    assert!(beat(store, &[1]).await.is_empty());
    join(store, 2).await;
    join(store, 1).await;
    assert_eq!(beat(store, &[1, 7]).await, [worker(1)]);
    let seen = view(store).await;
    assert_eq!(seen.alive(), [worker(1), worker(2)]);
    assert_eq!(
        (seen.members[0].state, seen.members[1].state),
        (WorkerState::Processing, WorkerState::Initializing)
    );
    assert_eq!((seen.members[0].host.as_str(), seen.members[0].pid), ("höst", 42));
    assert!(seen.members[0].heartbeat_age < Duration::from_secs(30));
    store.leave(&[worker(2), worker(9)]).await.unwrap();
    store.leave(&[worker(2), worker(9)]).await.unwrap();
    assert_eq!(view(store).await.alive(), [worker(1)]);
    let elsewhere = store.view(&"other".parse().unwrap(), STALE_AFTER).await.unwrap();
    assert_eq!(elsewhere, View::default());
}

pub async fn of_two_proposals_one_wins(store: &dyn StorePorts) {
    join(store, 1).await;
    let plan = plan::next(&view(store).await.assignment, &[worker(1)]).unwrap();
    let set = replica_set();
    let propose = || store.propose(&set, Generation::NONE, &plan, STALE_AFTER);
    let outcomes = tokio::join!(propose(), propose());
    let outcomes = [outcomes.0.unwrap(), outcomes.1.unwrap()];
    let first = ProposeOutcome::Accepted { generation: Generation::new(1), stale_removed: 0 };
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == first).count(), 1, "{outcomes:?}");
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == ProposeOutcome::Superseded).count(),
        1,
        "{outcomes:?}"
    );
    let assignment = view(store).await.assignment;
    assert_eq!((assignment.generation, assignment.owners), (Generation::new(1), vec![worker(1)]));
}

pub async fn history_is_listed_newest_first(store: &dyn StorePorts) {
    assert!(store.history(&replica_set(), 5).await.unwrap().is_empty());
    let mut parent = Generation::NONE;
    for (count, cause) in [(1, Cause::First), (2, Cause::Joined), (1, Cause::Left)] {
        let plan = Plan { owners: (1..=count).map(worker).collect(), cause };
        let outcome = store.propose(&replica_set(), parent, &plan, STALE_AFTER).await.unwrap();
        assert_eq!(outcome, ProposeOutcome::Accepted { generation: parent.next(), stale_removed: 0 });
        parent = parent.next();
    }
    let history = store.history(&replica_set(), 2).await.unwrap();
    let reported: Vec<_> = history
        .iter()
        .map(|record| (record.assignment.generation.get(), record.assignment.owners.len(), record.cause))
        .collect();
    assert_eq!(reported, [(3, 1, Cause::Left), (2, 2, Cause::Joined)]);
    assert!(history[0].age <= history[1].age);
}

pub async fn stale_workers_are_removed_with_the_next_generation(store: &dyn StorePorts) {
    for number in 1..=3 {
        join(store, number).await;
    }
    // No worker is fresh enough for this: those that the plan leaves out go, those that it names stay.
    let at_once = Duration::ZERO;
    assert!(store.view(&replica_set(), at_once).await.unwrap().alive().is_empty());
    let plan = Plan { owners: vec![worker(2)], cause: Cause::First };
    let superseded = store.propose(&replica_set(), Generation::new(9), &plan, at_once).await.unwrap();
    assert_eq!(superseded, ProposeOutcome::Superseded);
    assert_eq!(view(store).await.members.len(), 3);
    let outcome = store.propose(&replica_set(), Generation::NONE, &plan, at_once).await.unwrap();
    assert_eq!(outcome, ProposeOutcome::Accepted { generation: Generation::new(1), stale_removed: 2 });
    assert_eq!(view(store).await.alive(), [worker(2)]);
    assert_eq!(beat(store, &[1, 2]).await, [worker(2)]);
}

pub async fn claims_need_the_current_generation(store: &dyn StorePorts) {
    let read_model = deploy(store, "p").await.read_model;
    let set = replica_set();
    let all = HashRange::ALL;
    let stale = store.claim(&set, Generation::new(1), read_model, all).await.unwrap();
    assert_eq!(stale, ClaimOutcome::Superseded);
    let first = agree(store, Generation::NONE, 1).await;
    let second = agree(store, first, 2).await;
    assert_eq!(store.claim(&set, first, read_model, all).await.unwrap(), ClaimOutcome::Superseded);
    let unknown = store.claim(&set, second, ReadModelId::new(999), all).await;
    assert_eq!(unknown.unwrap(), ClaimOutcome::Fenced, "no worker may move a read model that does not exist");
    let once = claim(store, second, read_model, HashRange::of_partition(0, 2)).await;
    assert_eq!(claim(store, second, read_model, HashRange::of_partition(0, 2)).await, once);
}

/// Workers come and go while they are at different positions; afterwards the checkpoints tile the hash
/// space and none has gone back.
pub async fn checkpoints_split_and_meet_as_workers_come_and_go(store: &dyn StorePorts) {
    let read_model = deploy(store, "p").await.read_model;
    let mut generation = Generation::NONE;
    let mut target = 0;
    for count in [1_u32, 2, 3, 2, 1, 4, 1] {
        generation = agree(store, generation, u128::from(count)).await;
        for index in 0..count {
            let range = HashRange::of_partition(index, count);
            let owned = claim(store, generation, read_model, range).await;
            let covered: u64 = owned.iter().map(|row| row.range.end() - row.range.start()).sum();
            assert_eq!(covered, range.end() - range.start());
            // Every worker but the first gets somewhere; the first dies at once.
            for row in owned.iter().filter(|_| index > 0 || count == 1) {
                target += 1;
                let mut step =
                    batch(read_model, generation, row.position.get(), row.position.get().max(target));
                (step.ranges, step.sole_owner) = (vec![row.range], false);
                commit(store, &step).await;
            }
        }
        let rows = &store.progress().await.unwrap()[0].checkpoints;
        assert_eq!(
            rows.iter().map(|row| row.range.end() - row.range.start()).sum::<u64>(),
            HashRange::ALL.end()
        );
        assert!(rows.windows(2).all(|pair| pair[0].range.end() == pair[1].range.start()), "{rows:?}");
    }
}
