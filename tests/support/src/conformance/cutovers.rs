//! One read model replaces another: when it may, what readers find then, and what becomes of those that are
//! no longer needed.

use std::sync::Arc;

use kennel_core::change::Expectation;
use kennel_core::lifecycle::{Deploy, Mode, Operation, Outcome, Promotion, Role};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{ClaimOutcome, Commit, CommitOutcome, CutoverOutcome};
use kennel_core::projection::{Deployment, ReadModelId};
use serde_json::json;

use super::lifecycle::{PROJECTION, advance, changed, claim_outcome, current, go_back, renew};
use super::{
    StorePorts, agree, batch, change, claim, commit, deploy, document, keys, name, new_code, of, put,
    replica_set,
};

/// Claims a read model in so many parts and moves each to its position, from where it stands.
async fn divided(store: &dyn StorePorts, generation: Generation, read_model: ReadModelId, positions: &[u64]) {
    let count = u32::try_from(positions.len()).unwrap();
    for (index, to) in (0..count).zip(positions) {
        let range = HashRange::of_partition(index, count);
        for row in claim(store, generation, read_model, range).await {
            let from = row.position.get();
            let step = batch(read_model, generation, from, from.max(*to));
            commit(store, &Commit { ranges: vec![row.range], sole_owner: false, ..step }).await;
        }
    }
}

async fn begin(store: &dyn StorePorts, slack: u64) -> CutoverOutcome {
    store.begin_cutover(&name(PROJECTION), slack).await.unwrap()
}

async fn finish(store: &dyn StorePorts) -> CutoverOutcome {
    store.complete_cutover(&name(PROJECTION)).await.unwrap()
}

async fn serving(store: &dyn StorePorts) -> Deployment {
    store.find(&name(PROJECTION)).await.unwrap().unwrap()
}

/// A serving read model at 5 and a candidate, both claimed by one worker.
async fn two(store: &dyn StorePorts) -> (Deployment, Deployment, Generation) {
    let old = deploy(store, PROJECTION).await;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, old.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, old.read_model, generation, 0, 5).await, CommitOutcome::Committed);
    let new = renew(store, "2", Mode::Rebuild).await;
    claim(store, generation, new.read_model, HashRange::ALL).await;
    (old, new, generation)
}

pub async fn a_cutover_takes_two_steps(store: &dyn StorePorts) {
    let (old, new, generation) = two(store).await;
    assert_eq!(finish(store).await, CutoverOutcome::Nothing, "the old one is not fenced");
    assert_eq!(begin(store, 4).await, CutoverOutcome::Behind(5));
    assert_eq!(serving(store).await, old);
    assert_eq!(advance(store, new.read_model, generation, 0, 2).await, CommitOutcome::Committed);
    assert_eq!(begin(store, 3).await, CutoverOutcome::Done);
    assert_eq!(begin(store, 3).await, CutoverOutcome::Nothing, "it is fenced already");
    assert!(current(store).await.fenced);
    // The old one is fenced, the new one catches up.
    assert_eq!(advance(store, old.read_model, generation, 5, 6).await, CommitOutcome::Fenced);
    assert_eq!(claim_outcome(store, generation, old.read_model).await, ClaimOutcome::Fenced);
    assert_eq!(store.active(&replica_set()).await.unwrap().len(), 2, "it is still to be run");
    assert_eq!(finish(store).await, CutoverOutcome::Behind(3));
    assert_eq!(advance(store, new.read_model, generation, 2, 4).await, CommitOutcome::Committed);
    assert_eq!(finish(store).await, CutoverOutcome::Behind(1));
    assert_eq!(serving(store).await, old, "until it has caught up nothing has changed");
    assert_eq!(advance(store, new.read_model, generation, 4, 7).await, CommitOutcome::Committed);
    assert_eq!(finish(store).await, CutoverOutcome::Done);
    assert_eq!(finish(store).await, CutoverOutcome::Nothing);
    assert_eq!(serving(store).await, new);
    assert_eq!(
        document(store, serving(store).await.read_model, "orders", "o-1").await,
        Some((json!({"at": 7}), 7))
    );
    assert_eq!(store.active(&replica_set()).await.unwrap(), [(new.clone(), Role::Serving)]);
    let lifecycle = current(store).await;
    let outcomes: Vec<Outcome> = lifecycle.history.iter().map(|entry| entry.outcome).collect();
    assert_eq!((outcomes, lifecycle.fenced), (vec![Outcome::Superseded, Outcome::Serving], false));
    assert_eq!(lifecycle.history[1].attribution.actor, "me", "a cutover leaves the actor of the deployment");
    // The new one goes on without a new claim; the old one is kept and makes no progress.
    assert_eq!(advance(store, new.read_model, generation, 7, 8).await, CommitOutcome::Committed);
    assert_eq!(claim_outcome(store, generation, old.read_model).await, ClaimOutcome::Fenced);
    assert_eq!(document(store, old.read_model, "orders", "o-1").await, Some((json!({"at": 5}), 5)));
}

pub async fn it_has_caught_up_when_it_has_on_every_range(store: &dyn StorePorts) {
    let old = deploy(store, PROJECTION).await;
    let first = agree(store, Generation::NONE, 2).await;
    divided(store, first, old.read_model, &[10, 20]).await;
    let new = renew(store, "2", Mode::Rebuild).await;
    let second = agree(store, first, 3).await;
    divided(store, second, new.read_model, &[10, 10, 30]).await;
    // The middle third crosses the middle: its right half belongs to what has reached 20.
    assert_eq!(begin(store, 9).await, CutoverOutcome::Behind(10));
    assert_eq!(begin(store, 10).await, CutoverOutcome::Done);
    assert_eq!(finish(store).await, CutoverOutcome::Behind(10));
    let third = agree(store, second, 1).await;
    let owned = claim(store, third, new.read_model, HashRange::ALL).await;
    assert_eq!(owned.iter().map(|row| row.position.get()).collect::<Vec<_>>(), [10, 30]);
    let rest = Commit { ranges: vec![owned[0].range], ..batch(new.read_model, third, 10, 19) };
    commit(store, &rest).await;
    assert_eq!(finish(store).await, CutoverOutcome::Behind(1));
    let rest = Commit { ranges: vec![owned[0].range], ..batch(new.read_model, third, 19, 20) };
    commit(store, &rest).await;
    assert_eq!(finish(store).await, CutoverOutcome::Done);
    assert_eq!(serving(store).await, new);
}

pub async fn an_aborted_cutover_changes_nothing(store: &dyn StorePorts) {
    let (old, new, generation) = two(store).await;
    let before = current(store).await;
    assert_eq!(begin(store, 5).await, CutoverOutcome::Done);
    store.abort_cutover(&name(PROJECTION)).await.unwrap();
    assert_eq!(current(store).await, before);
    assert_eq!(finish(store).await, CutoverOutcome::Nothing);
    let fenced = advance(store, old.read_model, generation, 5, 6).await;
    assert_eq!(fenced, CommitOutcome::Fenced, "it has to be claimed again");
    assert_eq!(claim(store, generation, old.read_model, HashRange::ALL).await[0].position.get(), 5);
    assert_eq!(advance(store, old.read_model, generation, 5, 6).await, CommitOutcome::Committed);
    assert_eq!(advance(store, new.read_model, generation, 0, 6).await, CommitOutcome::Committed);
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    assert_eq!(serving(store).await, new);
}

/// Operations while the old read model is fenced release it.
pub async fn operations_during_a_cutover_release_the_old_one(store: &dyn StorePorts) {
    let (old, _, generation) = two(store).await;
    let anew =
        Operation::Deploy(Box::new(Deploy { force: true, ..new_code(PROJECTION, "2", Mode::Rebuild) }));
    let operations =
        [vec![Operation::Pause, Operation::Resume], vec![anew.clone()], vec![Operation::Cancel], vec![anew]];
    for (at, some) in (5..).zip(operations) {
        let candidate = current(store).await.candidate().is_some();
        assert_eq!(
            begin(store, u64::MAX).await,
            if candidate { CutoverOutcome::Done } else { CutoverOutcome::Nothing }
        );
        assert_eq!(current(store).await.fenced, candidate);
        for operation in some {
            changed(store, operation).await;
        }
        assert_eq!(finish(store).await, CutoverOutcome::Nothing);
        claim(store, generation, old.read_model, HashRange::ALL).await;
        assert_eq!(advance(store, old.read_model, generation, at, at + 1).await, CommitOutcome::Committed);
    }
    assert_eq!(begin(store, u64::MAX).await, CutoverOutcome::Done);
    changed(store, Operation::Retire { drop: false }).await;
    assert_eq!(finish(store).await, CutoverOutcome::Nothing);
    assert_eq!(serving(store).await, old);
}

pub async fn a_manual_promotion_waits_for_the_operator(store: &dyn StorePorts) {
    let (_, _, generation) = two(store).await;
    let manual = Deploy { promotion: Promotion::Manual, ..new_code(PROJECTION, "3", Mode::Rebuild) };
    changed(store, Operation::Deploy(Box::new(manual))).await;
    let new = current(store).await.candidate().unwrap().deployment.clone();
    assert_eq!(store.progress().await.unwrap()[1].promotion, Promotion::Manual);
    claim(store, generation, new.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, new.read_model, generation, 0, 9).await, CommitOutcome::Committed);
    assert_eq!(
        (begin(store, 9).await, finish(store).await),
        (CutoverOutcome::Nothing, CutoverOutcome::Nothing)
    );
    assert_eq!(changed(store, Operation::Promote).await.lifecycle.promotion, Promotion::Auto);
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    assert_eq!(serving(store).await, new);
}

pub async fn a_rollback_brings_the_old_read_model_up_to_date_first(store: &dyn StorePorts) {
    let (old, new, generation) = two(store).await;
    commit(store, &batch(new.read_model, generation, 0, 5)).await;
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    assert_eq!(advance(store, new.read_model, generation, 5, 8).await, CommitOutcome::Committed);
    let back = changed(store, Operation::Rollback { to: None }).await.lifecycle;
    let third = back.candidate().unwrap().clone();
    assert_eq!((third.deployment.read_model, third.deployment.digest), (old.read_model, old.digest));
    assert_eq!(third.from.get(), 5, "it goes on from where it was left");
    assert_eq!(serving(store).await, new, "the new one serves until the old one is up to date");
    assert_eq!(begin(store, 2).await, CutoverOutcome::Behind(3));
    assert_eq!(claim(store, generation, old.read_model, HashRange::ALL).await[0].position.get(), 5);
    assert_eq!(advance(store, old.read_model, generation, 5, 8).await, CommitOutcome::Committed);
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    assert_eq!(serving(store).await, third.deployment);
    assert_eq!(document(store, old.read_model, "orders", "o-1").await, Some((json!({"at": 8}), 8)));
    assert_eq!(store.collect_garbage().await.unwrap(), 0, "the other one is kept");
    // And back again.
    go_back(store).await;
    claim(store, generation, new.read_model, HashRange::ALL).await;
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    let fourth = serving(store).await;
    assert_eq!((fourth.number, fourth.read_model, fourth.digest), (4, new.read_model, new.digest));
}

pub async fn garbage_collection_removes_deleting_read_models_and_nothing_else(store: &dyn StorePorts) {
    let (first, second, generation) = two(store).await;
    commit(store, &batch(second.read_model, generation, 0, 5)).await;
    assert_eq!((begin(store, 0).await, finish(store).await), (CutoverOutcome::Done, CutoverOutcome::Done));
    let mut built = vec![first, second];
    for code in ["3", "4", "5"] {
        let next = renew(store, code, Mode::Rebuild).await;
        claim(store, generation, next.read_model, HashRange::ALL).await;
        for collection in ["orders", "Orders", code] {
            let at = store.progress().await.unwrap()[1].position().get();
            let changes = of(collection, vec![change("o-1", put(code), Expectation::Unread, at + 1)]);
            commit(store, &Commit { changes, ..batch(next.read_model, generation, at, at + 1) }).await;
        }
        let behind = begin(store, u64::MAX).await;
        assert_eq!(behind, CutoverOutcome::Done);
        if code != "5" {
            commit(store, &batch(next.read_model, generation, 3, 9)).await;
            assert_eq!(finish(store).await, CutoverOutcome::Done);
        }
        built.push(next);
    }
    // 4 serves, 5 is the candidate, 3 is kept for a rollback: 1 and 2 are of no use.
    let kept: Vec<ReadModelId> = built[2..].iter().map(|deployment| deployment.read_model).collect();
    assert_eq!(current(store).await.read_models, kept);
    assert!(!store.collections(built[0].read_model).await.unwrap().is_empty());
    let revision = store.revision().await.unwrap();
    assert_eq!((store.collect_garbage().await.unwrap(), store.collect_garbage().await.unwrap()), (2, 0));
    assert_eq!((current(store).await.read_models, store.revision().await.unwrap()), (kept.clone(), revision));
    for gone in &built[..2] {
        assert!(store.collections(gone.read_model).await.unwrap().is_empty());
        assert_eq!(claim_outcome(store, generation, gone.read_model).await, ClaimOutcome::Fenced);
        let fenced = advance(store, gone.read_model, generation, 5, 6).await;
        assert_eq!(fenced, CommitOutcome::Fenced);
        assert!(store.dead_letters(gone.read_model, 9).await.unwrap().is_empty());
    }
    for (deployment, code) in built[2..].iter().zip(["3", "4", "5"]) {
        let mut expected = ["orders", "Orders", code];
        expected.sort_unstable();
        let collections: Vec<Arc<str>> = store.collections(deployment.read_model).await.unwrap();
        assert_eq!(collections.iter().map(|name| &**name).collect::<Vec<_>>(), expected);
        assert_eq!(keys(store, deployment.read_model, "Orders").await, ["o-1"]);
    }
    assert_eq!(current(store).await.history.len(), 5, "the history stays");
    changed(store, Operation::Retire { drop: true }).await;
    assert_eq!((store.collect_garbage().await.unwrap(), store.collect_garbage().await.unwrap()), (3, 0));
    assert_eq!(current(store).await.history.len(), 5);
}
