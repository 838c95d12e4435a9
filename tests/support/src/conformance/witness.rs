//! Witnesses: a checkpoint moves only with the log that was read, and a log that does not bear it out is found out.

use kennel_core::checkpoint::{Checkpoint, Mark};
use kennel_core::condition::ReportedCondition;
use kennel_core::lifecycle::{Operation, Rejected};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{ClaimOutcome, Commit, CommitOutcome, ProjectionState};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_core::witness::{LogSetBack, Witness};
use uuid::Uuid;

use super::{StorePorts, agree, ask, batch, claim, commit, deploy, replica_set};
use crate::samples::event;

fn at(position: u64) -> Position {
    Position::new(position)
}

/// Event number `number` at `position`.
fn witness(position: u64, number: u128) -> Option<Witness> {
    Some(Witness { position: at(position), event_id: Uuid::from_u128(number) })
}

/// A batch that moves to a position whose last event is this one.
fn to(
    read_model: ReadModelId,
    generation: Generation,
    from: u64,
    position: u64,
    witness: Option<Witness>,
) -> Commit {
    let to = Mark { position: at(position), witness };
    Commit { to, ..batch(read_model, generation, from, position) }
}

/// A log of three events, and a read model whose checkpoint is claimed.
async fn begin(store: &dyn StorePorts) -> (ReadModelId, Generation) {
    store.append(&[event(11, "a"), event(12, "b"), event(13, "c")]).await.unwrap();
    let read_model = deploy(store, "orders").await.read_model;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, read_model, HashRange::ALL).await;
    (read_model, generation)
}

pub async fn the_end_of_the_log_comes_with_its_event(store: &dyn StorePorts) {
    let empty = store.high_water_mark().await.unwrap();
    assert_eq!((empty.position, empty.witness), (Position::START, None));
    store.append(&[event(11, "a"), event(12, "b")]).await.unwrap();
    let high_water_mark = store.high_water_mark().await.unwrap();
    assert_eq!((high_water_mark.position, high_water_mark.witness), (at(2), witness(2, 12)));
    store.append(&[event(13, "a")]).await.unwrap();
    let grown = store.high_water_mark().await.unwrap();
    assert_eq!((grown.witness, grown.incarnation), (witness(3, 13), high_water_mark.incarnation));
}

pub async fn a_batch_moves_only_with_the_last_event_as_its_witness(store: &dyn StorePorts) {
    let (read_model, generation) = begin(store).await;
    for wrong in [None, witness(2, 99), witness(1, 11), witness(3, 13), witness(2, 13)] {
        let outcome = store.commit(&to(read_model, generation, 0, 2, wrong)).await.unwrap();
        assert_eq!(outcome, CommitOutcome::LogSetBack, "{wrong:?}");
    }
    let stays = store.checkpoints_of(read_model).await.unwrap();
    assert_eq!((stays[0].position, stays[0].witness), (Position::START, None));
    commit(store, &to(read_model, generation, 0, 2, witness(2, 12))).await;
    let moved = store.checkpoints_of(read_model).await.unwrap();
    assert_eq!(
        moved,
        [Checkpoint { range: HashRange::ALL, position: at(2), generation, witness: witness(2, 12) }]
    );
    // Who owns it comes first: a worker that was taken for dead hears nothing of the log.
    let zombie = to(read_model, generation.next(), 2, 3, None);
    assert_eq!(store.commit(&zombie).await.unwrap(), CommitOutcome::Fenced);
}

pub async fn a_log_that_does_not_bear_a_checkpoint_out_is_found_out_and_accepted(store: &dyn StorePorts) {
    let (read_model, generation) = begin(store).await;
    // Nothing lies between the last event and 50, and an event that is written there belongs to another log.
    commit(store, &to(read_model, generation, 0, 50, witness(3, 13))).await;
    let holds = ask(store, "orders", Operation::AcceptLog { after: at(3) }).await.unwrap_err();
    assert!(matches!(holds, Rejected::LogHolds(_)), "{holds:?}");
    store.append(&[event(14, "d")]).await.unwrap();

    let next = to(read_model, generation, 50, 60, witness(4, 14));
    assert_eq!(store.commit(&next).await.unwrap(), CommitOutcome::LogSetBack);
    let claimed = store.claim(&replica_set(), generation, read_model, HashRange::ALL).await.unwrap();
    let ClaimOutcome::LogSetBack(found) = claimed else { panic!("{claimed:?}") };
    let LogSetBack { handled, witness: last, log_end, .. } = found.clone();
    assert_eq!((handled, last, log_end), (at(50), witness(3, 13), at(4)));
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!(progress.state, ProjectionState::Halted);
    let condition = ReportedCondition::found(found.condition(&progress.deployment.projection));
    assert_eq!(progress.conditions, [condition]);

    let beyond = ask(store, "orders", Operation::AcceptLog { after: at(5) }).await.unwrap_err();
    assert_eq!(beyond, Rejected::BeyondLog { after: at(5), log_end: at(4) });
    ask(store, "orders", Operation::AcceptLog { after: at(3) }).await.unwrap();
    let operations = store.operations(&"orders".parse().unwrap()).await.unwrap();
    let last = operations.last().map(|record| (record.operation.as_str(), record.detail.as_deref()));
    assert_eq!(last, Some(("accept-log", Some("after 3"))));
    // What was under way for the old checkpoint is fenced; a worker that claims goes on.
    let late = to(read_model, generation, 3, 4, witness(4, 14));
    assert_eq!(store.commit(&late).await.unwrap(), CommitOutcome::Fenced);
    let owned = claim(store, generation, read_model, HashRange::ALL).await;
    assert_eq!((owned[0].position, owned[0].witness), (at(3), witness(3, 13)));
    commit(store, &late).await;
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!((progress.state, progress.conditions), (ProjectionState::Running, Vec::new()));
}
