//! The life of a projection: what each operation changes in a store, and that it changes nothing else. How
//! one read model replaces another is in `cutovers`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kennel_core::change::Expectation;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    Activity, Deploy, Lifecycle, Mode, Operation, OperationRequest, Origin, Outcome, Promotion,
    ReadModelStatus, Rejected, Role,
};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Changed, ClaimOutcome, Commit, CommitOutcome, CutoverOutcome};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, ReadModelId};
use serde_json::json;

use super::{
    StorePorts, agree, ask, batch, change, claim, commit, deploy, document, name, new_code, of, put,
    replica_set,
};
use crate::samples::request;

pub const PROJECTION: &str = "order-summary";

pub async fn current(store: &dyn StorePorts) -> Lifecycle {
    store.lifecycle(&name(PROJECTION)).await.unwrap().unwrap()
}

/// Deploys this code and expects it to change something. The new deployment.
pub async fn renew(store: &dyn StorePorts, code: &str, mode: Mode) -> Deployment {
    changed(store, Operation::Deploy(Box::new(new_code(PROJECTION, code, mode)))).await;
    current(store).await.history.pop().unwrap().deployment
}

/// Back to the deployment that served before, also from the one that serves after a rollback.
pub async fn go_back(store: &dyn StorePorts) -> Changed {
    let to = current(store).await.previous().map(|previous| previous.deployment.number);
    changed(store, Operation::Rollback { to }).await
}

/// Has an operation carried out that changes something.
pub async fn changed(store: &dyn StorePorts, operation: Operation) -> Changed {
    let changed = ask(store, PROJECTION, operation.clone()).await.unwrap();
    assert!(changed.changed, "{operation:?} changed nothing");
    assert_eq!(changed.lifecycle, current(store).await, "{operation:?} reports something else than there is");
    changed
}

/// Puts a document that says how far its read model is, and moves everything from `from` to `to`.
pub async fn advance(
    store: &dyn StorePorts,
    read_model: ReadModelId,
    generation: Generation,
    from: u64,
    to: u64,
) -> CommitOutcome {
    let document = put(&json!({ "at": to }).to_string());
    let changes = of("orders", vec![change("o-1", document, Expectation::Unread, to)]);
    store.commit(&Commit { changes, ..batch(read_model, generation, from, to) }).await.unwrap()
}

pub async fn claim_outcome(
    store: &dyn StorePorts,
    generation: Generation,
    read_model: ReadModelId,
) -> ClaimOutcome {
    store.claim(&replica_set(), generation, read_model, HashRange::ALL).await.unwrap()
}

fn outcomes(lifecycle: &Lifecycle) -> Vec<(u32, Origin, Outcome)> {
    let lines = lifecycle.history.iter();
    lines.map(|entry| (entry.deployment.number, entry.origin, entry.outcome)).collect()
}

pub async fn the_history_records_actor_operation_and_reason(store: &dyn StorePorts) {
    assert_eq!(store.lifecycle(&name(PROJECTION)).await.unwrap(), None);
    let first = deploy(store, PROJECTION).await;
    let second = renew(store, "2", Mode::Continue).await;
    let third = renew(store, "3", Mode::Rebuild).await;
    changed(store, Operation::Cancel).await;
    let back = changed(store, Operation::Rollback { to: None }).await;
    assert_eq!(back.number, Some(4));
    let lifecycle = current(store).await;
    assert_eq!(
        outcomes(&lifecycle),
        [
            (1, Origin::First, Outcome::Superseded),
            (2, Origin::Continue, Outcome::Superseded),
            (3, Origin::Rebuild, Outcome::Cancelled),
            (4, Origin::Rollback, Outcome::Serving),
        ]
    );
    let fourth = &lifecycle.history[3].deployment;
    assert_eq!(
        (fourth.digest, &fourth.descriptor, &fourth.settings, fourth.read_model),
        (first.digest, &first.descriptor, &first.settings, first.read_model)
    );
    let returns: Vec<_> = lifecycle.history.iter().map(|entry| entry.returns_to).collect();
    assert_eq!(returns, [None, None, None, Some(1)]);
    let operations = store.operations(&name(PROJECTION)).await.unwrap();
    let reported: Vec<_> = operations.iter().map(|one| (one.operation.as_str(), one.deployment)).collect();
    let deploys = (1..=3).map(|number| ("deploy", Some(number)));
    assert_eq!(reported, deploys.chain([("cancel", Some(3)), ("rollback", Some(4))]).collect::<Vec<_>>());
    assert!(operations.is_sorted_by_key(|one| one.at));
    assert_eq!(operations[4].attribution, lifecycle.history[3].attribution);
    let mut ids: Vec<_> = lifecycle.history.iter().map(|entry| entry.deployment.id).collect();
    assert_eq!(ids[..3], [first.id, second.id, third.id]);
    ids.dedup();
    assert_eq!(ids.len(), 4);
    for entry in &lifecycle.history {
        assert_eq!(entry.attribution, request(Operation::Pause).attribution);
        assert!(entry.deployed_at > 0 && entry.decided_at >= entry.deployed_at, "{entry:?}");
        assert_eq!(entry.deployment.replica_set, replica_set());
    }
    assert!(lifecycle.history.windows(2).all(|pair| pair[0].deployed_at <= pair[1].deployed_at));
    assert_eq!(
        lifecycle.read_models,
        [first.read_model],
        "the read model of a cancelled candidate is deleting"
    );
    let repeated = ask(store, PROJECTION, Operation::Rollback { to: None }).await.unwrap_err();
    assert!(matches!(repeated, Rejected::RolledBack { number: 4, returns_to: 1, .. }), "{repeated:?}");
    assert_eq!(go_back(store).await.number, Some(5));
}

pub async fn continuing_keeps_read_model_and_checkpoints(store: &dyn StorePorts) {
    let first = deploy(store, PROJECTION).await;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, first.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, first.read_model, generation, 0, 5).await, CommitOutcome::Committed);
    let second = renew(store, "2", Mode::Continue).await;
    assert_eq!((second.number, second.read_model), (2, first.read_model));
    assert_ne!(second.id, first.id);
    assert_eq!(store.active(&replica_set()).await.unwrap(), [(second.clone(), Role::Serving)]);
    assert_eq!(store.find(&name(PROJECTION)).await.unwrap(), Some(second.clone()));
    assert_eq!(current(store).await.history[1].from, Position::new(5));
    let progress = store.progress().await.unwrap();
    assert_eq!((progress.len(), progress[0].from, progress[0].position().get()), (1, Position::new(5), 5));
    // A worker that was at work goes on; so does one that claims it anew.
    assert_eq!(advance(store, second.read_model, generation, 5, 6).await, CommitOutcome::Committed);
    assert_eq!(claim(store, generation, second.read_model, HashRange::ALL).await[0].position.get(), 6);
    assert_eq!(document(store, second.read_model, "orders", "o-1").await, Some((json!({"at": 6}), 6)));
}

pub async fn a_rebuild_stands_beside_the_serving_deployment(store: &dyn StorePorts) {
    let serving = deploy(store, PROJECTION).await;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, serving.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, serving.read_model, generation, 0, 5).await, CommitOutcome::Committed);
    let candidate = renew(store, "2", Mode::Rebuild).await;
    assert_ne!(candidate.read_model, serving.read_model);
    let active = store.active(&replica_set()).await.unwrap();
    assert_eq!(active, [(serving.clone(), Role::Serving), (candidate.clone(), Role::Candidate)]);
    assert_eq!(store.find(&name(PROJECTION)).await.unwrap(), Some(serving.clone()), "the old one serves");
    let progress = store.progress().await.unwrap();
    let reported: Vec<_> =
        progress.iter().map(|one| (one.role, one.from.get(), one.position().get())).collect();
    assert_eq!(reported, [(Role::Serving, 0, 5), (Role::Candidate, 0, 0)]);
    // Both are moved by the same generation, each for itself.
    claim(store, generation, candidate.read_model, HashRange::ALL).await;
    assert_eq!(document(store, candidate.read_model, "orders", "o-1").await, None);
    assert_eq!(advance(store, candidate.read_model, generation, 0, 3).await, CommitOutcome::Committed);
    assert_eq!(advance(store, serving.read_model, generation, 5, 6).await, CommitOutcome::Committed);
    assert_eq!(document(store, candidate.read_model, "orders", "o-1").await, Some((json!({"at": 3}), 3)));
    assert_eq!(document(store, serving.read_model, "orders", "o-1").await, Some((json!({"at": 6}), 6)));
    let code = new_code(PROJECTION, "2", Mode::Rebuild);
    let same = ask(store, PROJECTION, Operation::Deploy(Box::new(code.clone()))).await.unwrap();
    assert_eq!((same.number, same.changed), (Some(2), false), "it is the candidate already");
    let anew = Operation::Deploy(Box::new(Deploy { force: true, ..code }));
    let anew = changed(store, anew).await.lifecycle;
    let third = anew.candidate().unwrap().deployment.clone();
    assert_eq!((third.number, anew.read_models.clone()), (3, vec![serving.read_model, third.read_model]));
    let fenced = advance(store, candidate.read_model, generation, 3, 4).await;
    assert_eq!(fenced, CommitOutcome::Fenced, "a cancelled candidate is not moved any further");
    assert_eq!(claim_outcome(store, generation, candidate.read_model).await, ClaimOutcome::Fenced);
}

pub async fn a_paused_projection_is_neither_claimed_nor_moved(store: &dyn StorePorts) {
    let serving = deploy(store, PROJECTION).await;
    let candidate = renew(store, "2", Mode::Rebuild).await;
    let generation = agree(store, Generation::NONE, 1).await;
    for deployment in [&serving, &candidate] {
        claim(store, generation, deployment.read_model, HashRange::ALL).await;
        commit(store, &batch(deployment.read_model, generation, 0, 5)).await;
    }
    changed(store, Operation::Pause).await;
    assert!(store.active(&replica_set()).await.unwrap().is_empty());
    let progress = store.progress().await.unwrap();
    assert_eq!(progress.len(), 2, "it is still reported");
    assert!(progress.iter().all(|one| one.activity == Activity::Paused));
    for deployment in [&serving, &candidate] {
        let read_model = deployment.read_model;
        assert_eq!(advance(store, read_model, generation, 5, 6).await, CommitOutcome::Fenced);
        assert_eq!(claim_outcome(store, generation, read_model).await, ClaimOutcome::Fenced);
        assert_eq!(document(store, read_model, "orders", "o-1").await, None);
    }
    assert_eq!(store.begin_cutover(&name(PROJECTION), u64::MAX).await.unwrap(), CutoverOutcome::Nothing);
    // Code that is deployed meanwhile waits with the rest.
    changed(store, Operation::Cancel).await;
    let third = renew(store, "3", Mode::Continue).await;
    assert!(store.active(&replica_set()).await.unwrap().is_empty());
    changed(store, Operation::Resume).await;
    assert_eq!(store.active(&replica_set()).await.unwrap(), [(third, Role::Serving)]);
    let fenced = advance(store, serving.read_model, generation, 5, 6).await;
    assert_eq!(fenced, CommitOutcome::Fenced, "a worker that was at work before has to claim it again");
    let owned = claim(store, generation, serving.read_model, HashRange::ALL).await;
    assert_eq!((owned.len(), owned[0].position.get()), (1, 5));
    assert_eq!(advance(store, serving.read_model, generation, 5, 6).await, CommitOutcome::Committed);
}

pub async fn a_retired_projection_can_be_brought_back(store: &dyn StorePorts) {
    let serving = deploy(store, PROJECTION).await;
    let candidate = renew(store, "2", Mode::Rebuild).await;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, serving.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, serving.read_model, generation, 0, 5).await, CommitOutcome::Committed);
    changed(store, Operation::Retire { drop: false }).await;
    assert_eq!(claim_outcome(store, generation, serving.read_model).await, ClaimOutcome::Fenced);
    assert!(store.active(&replica_set()).await.unwrap().is_empty());
    assert!(store.progress().await.unwrap().is_empty());
    assert_eq!(store.find(&name(PROJECTION)).await.unwrap(), Some(serving.clone()), "it can still be read");
    let lifecycle = current(store).await;
    assert_eq!((lifecycle.activity, lifecycle.read_models), (Activity::Retired, vec![serving.read_model]));
    assert!(!store.collections(serving.read_model).await.unwrap().is_empty());
    for operation in [Operation::Resume, Operation::Pause, Operation::Rollback { to: None }] {
        let rejected = ask(store, PROJECTION, operation).await.unwrap_err();
        assert_eq!(rejected, Rejected::Retired(name(PROJECTION)));
    }
    // It may come back elsewhere, and goes on where it stood.
    let elsewhere = Deploy {
        replica_set: Some("other".parse().unwrap()),
        ..new_code(PROJECTION, PROJECTION, Mode::Continue)
    };
    let back = changed(store, Operation::Deploy(Box::new(elsewhere))).await.lifecycle;
    let third = back.serving().unwrap().deployment.clone();
    assert_eq!((third.number, third.read_model), (3, serving.read_model));
    assert_eq!(back.serving().unwrap().from, Position::new(5));
    assert_eq!(store.active(&"other".parse().unwrap()).await.unwrap(), [(third, Role::Serving)]);
    assert!(store.active(&replica_set()).await.unwrap().is_empty());
    assert_eq!(advance(store, serving.read_model, generation, 5, 6).await, CommitOutcome::Fenced);
    assert_eq!(document(store, candidate.read_model, "orders", "o-1").await, None);
}

pub async fn a_retired_and_dropped_projection_begins_anew(store: &dyn StorePorts) {
    let first = deploy(store, PROJECTION).await;
    let generation = agree(store, Generation::NONE, 1).await;
    claim(store, generation, first.read_model, HashRange::ALL).await;
    assert_eq!(advance(store, first.read_model, generation, 0, 5).await, CommitOutcome::Committed);
    changed(store, Operation::Retire { drop: true }).await;
    assert_eq!(store.find(&name(PROJECTION)).await.unwrap(), None);
    assert_eq!(advance(store, first.read_model, generation, 5, 6).await, CommitOutcome::Fenced);
    assert!(current(store).await.read_models.is_empty());
    let second = renew(store, PROJECTION, Mode::Continue).await;
    assert_ne!(second.read_model, first.read_model);
    let lifecycle = current(store).await;
    assert_eq!(
        outcomes(&lifecycle),
        [(1, Origin::First, Outcome::Superseded), (2, Origin::Rebuild, Outcome::Serving)]
    );
    // A read model that is deleting before it is removed stays so, whether or not garbage was collected.
    assert_eq!(lifecycle.read_models, [second.read_model]);
    let gone = ask(store, PROJECTION, Operation::Rollback { to: None }).await.unwrap_err();
    assert!(matches!(gone, Rejected::ReadModelGone { number: 1, .. }), "{gone:?}");
    assert_eq!(store.collect_garbage().await.unwrap(), 1);
    assert_eq!(claim(store, generation, second.read_model, HashRange::ALL).await[0].position.get(), 0);
    assert_eq!(advance(store, second.read_model, generation, 0, 1).await, CommitOutcome::Committed);
}

pub async fn only_changes_move_the_revision(store: &dyn StorePorts) {
    let mut last = store.revision().await.unwrap();
    let projection = name(PROJECTION);
    let deploy = |code: &str, mode| Operation::Deploy(Box::new(new_code(PROJECTION, code, mode)));
    let manual = Deploy { promotion: Promotion::Manual, ..new_code(PROJECTION, "3", Mode::Rebuild) };
    for (operation, moves) in [
        (Operation::Pause, false),
        (deploy("1", Mode::Continue), true),
        (deploy("1", Mode::Continue), false),
        (deploy("2", Mode::Continue), true),
        (Operation::Promote, false),
        (Operation::Cancel, false),
        (Operation::Resume, false),
        (Operation::Pause, true),
        (Operation::Pause, false),
        (Operation::Resume, true),
        (Operation::Deploy(Box::new(manual)), true),
        (deploy("4", Mode::Continue), false),
        (Operation::Promote, true),
        (Operation::Promote, false),
        (Operation::Cancel, true),
        (Operation::Rollback { to: Some(9) }, false),
        (Operation::Rollback { to: None }, true),
        (Operation::Retire { drop: false }, true),
        (Operation::Retire { drop: false }, false),
        (Operation::Retire { drop: true }, true),
        (Operation::Retire { drop: true }, false),
        (deploy("1", Mode::Continue), true),
    ] {
        let before = store.lifecycle(&projection).await.unwrap();
        let answer = ask(store, PROJECTION, operation.clone()).await;
        assert_eq!(answer.is_ok_and(|changed| changed.changed), moves, "{operation:?}");
        let now = store.revision().await.unwrap();
        assert_eq!(now != last, moves, "{operation:?}");
        assert_eq!(store.lifecycle(&projection).await.unwrap() != before, moves, "{operation:?}");
        last = now;
    }
    assert_eq!(store.begin_cutover(&projection, 0).await.unwrap(), CutoverOutcome::Nothing);
    assert_eq!(store.complete_cutover(&projection).await.unwrap(), CutoverOutcome::Nothing);
    store.abort_cutover(&projection).await.unwrap();
    store.abort_cutover(&name("unknown")).await.unwrap();
    assert_eq!(store.complete_cutover(&name("unknown")).await.unwrap(), CutoverOutcome::Nothing);
    assert_eq!(store.lifecycle(&name("unknown")).await.unwrap(), None);
    let digest = Digest::of(b"x");
    store.put_component(digest, b"x").await.unwrap();
    let _ = (store.active(&replica_set()).await.unwrap(), store.progress().await.unwrap());
    assert_eq!(store.revision().await.unwrap(), last);
}

pub async fn of_two_operations_one_wins(store: &dyn StorePorts) {
    deploy(store, PROJECTION).await;
    for round in 1..=20 {
        let asked = |code: &str| {
            let deploy = new_code(PROJECTION, &format!("{code} {round}"), Mode::Continue);
            OperationRequest {
                expected_deployment: Some(round),
                ..request(Operation::Deploy(Box::new(deploy)))
            }
        };
        let (left, right) = (asked("left"), asked("right"));
        let projection = name(PROJECTION);
        let answers = tokio::join!(store.carry_out(&projection, &left), store.carry_out(&projection, &right));
        let answers = [answers.0.unwrap(), answers.1.unwrap()];
        let winner = answers.iter().flatten().next().expect("one of them wins").lifecycle.serving().cloned();
        let winner = winner.unwrap().deployment;
        let overtaken = Rejected::Overtaken {
            projection,
            number: round + 1,
            component: winner.digest.short(),
            actor: "me".to_owned(),
        };
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter_map(|answer| answer.as_ref().err()).next(), Some(&overtaken));
        assert_eq!(store.find(&name(PROJECTION)).await.unwrap(), Some(winner));
        assert_eq!(current(store).await.latest(), round + 1);
    }
}

/// Two operators at two machines that have looked at the same history. Each has a store of its own on the same database.
pub async fn of_two_hosts_that_deploy_at_once_one_wins(
    store: Arc<dyn StorePorts>,
    other: Arc<dyn StorePorts>,
) {
    deploy(&*store, PROJECTION).await;
    for round in 1..=40_u32 {
        let tasks = [(&store, "left"), (&other, "right")].map(|(store, operator)| {
            let mode = if round % 3 == 0 { Mode::Rebuild } else { Mode::Continue };
            let code = new_code(PROJECTION, &format!("{operator} {round}"), mode);
            let asked = request(Operation::Deploy(Box::new(code)));
            let asked = OperationRequest { expected_deployment: Some(round), ..asked };
            let store = Arc::clone(store);
            tokio::spawn(async move { store.carry_out(&name(PROJECTION), &asked).await.unwrap() })
        });
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => won += 1,
                Err(Rejected::Overtaken { number, .. } | Rejected::CandidateExists { number, .. }) => {
                    assert_eq!(number, round + 1);
                }
                Err(other) => panic!("{other}"),
            }
        }
        let life = current(&*store).await;
        assert_eq!((won, life.latest()), (1, round + 1));
        if life.candidate().is_some() {
            changed(&*store, Operation::Cancel).await;
        }
    }
}

/// A reader that looks while a projection changes sees it as it was before or as it is after.
pub async fn a_projection_is_read_as_of_one_moment(store: &dyn StorePorts) {
    deploy(store, PROJECTION).await;
    let done = AtomicBool::new(false);
    let changing = async {
        for round in 0..25 {
            renew(store, &format!("{round}"), Mode::Rebuild).await;
            let next = if round % 2 == 0 { Operation::Cancel } else { Operation::Pause };
            changed(store, next).await;
            if round % 2 == 1 {
                changed(store, Operation::Resume).await;
            }
            // A store that waits for nothing lets the other run.
            tokio::task::yield_now().await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let looking = async {
        let mut looked = 0;
        while !done.load(Ordering::SeqCst) {
            let life = current(store).await;
            for entry in life.serving().into_iter().chain(life.candidate()) {
                assert!(life.read_models.contains(&entry.deployment.read_model), "{life:#?}");
            }
            let kept = life.read_models.iter();
            assert!(
                kept.clone().all(|id| life.read_model_status(*id) != ReadModelStatus::Deleting),
                "{life:#?}"
            );
            assert!(life.latest() as usize == life.history.len(), "{life:#?}");
            for progress in store.progress().await.unwrap() {
                assert_eq!(progress.checkpoints, [Checkpoint::INITIAL]);
            }
            looked += 1;
            tokio::task::yield_now().await;
        }
        looked
    };
    let ((), looked) = tokio::join!(changing, looking);
    assert!(looked > 0);
}

pub async fn projections_are_listed_and_their_read_models_have_a_position(store: &dyn StorePorts) {
    assert!(store.projections().await.unwrap().is_empty());
    for projection in ["b-c", "a", "b_c", "b"] {
        deploy(store, projection).await;
    }
    ask(store, "a", Operation::Retire { drop: true }).await.unwrap();
    let names = store.projections().await.unwrap();
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b", "b-c", "b_c"]);
    let read_model = store.find(&name("b")).await.unwrap().unwrap().read_model;
    let generation = agree(store, Generation::NONE, 2).await;
    let [left, right] = [0, 1].map(|index| HashRange::of_partition(index, 2));
    for (range, to) in [(left, 3), (right, 2)] {
        assert_eq!(store.position(read_model).await.unwrap(), Position::START);
        claim(store, generation, read_model, range).await;
        let step = Commit { ranges: vec![range], sole_owner: false, ..batch(read_model, generation, 0, to) };
        commit(store, &step).await;
    }
    assert_eq!(store.position(read_model).await.unwrap(), Position::new(2), "where it is furthest behind");
    assert_eq!(store.position(ReadModelId::new(999)).await.unwrap(), Position::START);
}

/// The status that the rules assign to every read model is the one that workers meet.
pub async fn workers_meet_the_status_that_the_rules_assign(store: &dyn StorePorts) {
    deploy(store, PROJECTION).await;
    let generation = agree(store, Generation::NONE, 1).await;
    let mut all: Vec<ReadModelId> = Vec::new();
    let rebuild = |code: &str| Operation::Deploy(Box::new(new_code(PROJECTION, code, Mode::Rebuild)));
    for operation in [
        rebuild("2"),
        rebuild("3"),
        Operation::Pause,
        rebuild("4"),
        Operation::Resume,
        Operation::Cancel,
        rebuild("5"),
        Operation::Retire { drop: false },
        rebuild("6"),
        Operation::Retire { drop: true },
        rebuild("7"),
    ] {
        changed(store, operation.clone()).await;
        let lifecycle = current(store).await;
        all.extend(lifecycle.history.iter().map(|entry| entry.deployment.read_model));
        all.sort_unstable();
        all.dedup();
        for read_model in &all {
            let claimed = claim_outcome(store, generation, *read_model).await;
            let open = lifecycle.read_model_status(*read_model) == ReadModelStatus::Active;
            assert_eq!(matches!(claimed, ClaimOutcome::Owned(_)), open, "{read_model} after {operation:?}");
            let kept = lifecycle.read_model_status(*read_model) != ReadModelStatus::Deleting;
            assert_eq!(lifecycle.read_models.contains(read_model), kept, "{read_model} after {operation:?}");
        }
    }
    assert!(all.len() >= 6, "{all:?}");
}
