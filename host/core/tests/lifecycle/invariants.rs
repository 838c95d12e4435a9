//! The invariants that hold after every step of every lifecycle, whatever a model may say.

use std::collections::BTreeSet;

use kennel_core::lifecycle::{
    Activity, Entry, Lifecycle, Mode, Operation, Origin, Outcome, ReadModelStatus, Role, abort_cutover,
    begin_cutover, complete_cutover,
};
use kennel_core::projection::{Deployment, Descriptor, ReadModelId};

use super::Answer;
use super::steps::Step;

/// The invariants, with what they remember of the lifecycle so far.
#[derive(Debug, Default)]
pub(crate) struct Invariants {
    deleting: BTreeSet<ReadModelId>,
}

impl Invariants {
    pub(crate) fn check(&mut self, before: &Lifecycle, step: &Step, answer: &Answer, after: &Lifecycle) {
        if !matches!(answer, Answer::Changed(_)) {
            assert_eq!(before, after, "{answer:?} of {step:?} changes nothing");
        }
        one_deployment_serves_and_one_is_the_candidate(after);
        the_history_is_not_rewritten(before, after);
        a_cutover_needs_a_running_projection_with_a_candidate(after);
        statuses_match_the_use_of_read_models(after);
        deployments_of_one_read_model_want_the_same_events(after);
        self.deleting_is_final(after);
        the_origin_matches_the_operation(before, step, after);
        if matches!((step, answer), (Step::CompleteCutover, Answer::Changed(_))) {
            the_superseded_read_model_is_kept(before, after);
        }
    }

    fn deleting_is_final(&mut self, after: &Lifecycle) {
        let used = after.serving().into_iter().chain(after.candidate());
        for entry in used {
            let read_model = entry.deployment.read_model;
            assert!(!self.deleting.contains(&read_model), "{read_model} is being deleted, and is used again");
            assert!(after.read_models.contains(&read_model));
        }
        for read_model in &self.deleting {
            assert_eq!(after.read_model_status(*read_model), ReadModelStatus::Deleting, "{read_model}");
        }
        let all = after.history.iter().map(|entry| entry.deployment.read_model);
        self.deleting.extend(all.filter(|id| after.read_model_status(*id) == ReadModelStatus::Deleting));
    }
}

fn one_deployment_serves_and_one_is_the_candidate(after: &Lifecycle) {
    let of = |outcome| after.history.iter().filter(|entry| entry.outcome == outcome).count();
    assert!(of(Outcome::Serving) <= 1 && of(Outcome::Candidate) <= 1, "{after:#?}");
    let numbers: Vec<u32> = after.history.iter().map(|entry| entry.deployment.number).collect();
    assert_eq!(numbers, (1..=after.latest()).collect::<Vec<_>>(), "numbers count up by one");
    if after.serving().is_none() && !after.history.is_empty() {
        assert_eq!(after.activity, Activity::Retired, "without a serving deployment it is retired");
    }
    let serving = after.serving().map(|entry| entry.deployment.read_model);
    if let Some(candidate) = after.candidate() {
        assert!(serving.is_some(), "a candidate without a serving deployment");
        assert_ne!(
            Some(candidate.deployment.read_model),
            serving,
            "the candidate has the serving read model"
        );
    }
}

fn the_history_is_not_rewritten(before: &Lifecycle, after: &Lifecycle) {
    assert!((0..=1).contains(&(after.history.len() - before.history.len())));
    for (was, is) in before.history.iter().zip(&after.history) {
        let outcome = is.outcome;
        assert_eq!(Entry { outcome, ..was.clone() }, *is, "only outcomes change");
        let may = match was.outcome {
            Outcome::Serving => matches!(outcome, Outcome::Serving | Outcome::Superseded),
            Outcome::Candidate => {
                matches!(outcome, Outcome::Candidate | Outcome::Serving | Outcome::Cancelled)
            }
            settled => outcome == settled,
        };
        assert!(may, "deployment {} was {} and is {outcome}", was.deployment.number, was.outcome);
    }
}

fn a_cutover_needs_a_running_projection_with_a_candidate(after: &Lifecycle) {
    if after.fenced {
        assert!(after.candidate().is_some() && after.activity == Activity::Running, "{after:#?}");
        assert!(
            begin_cutover(after).is_none()
                && abort_cutover(after).is_some()
                && complete_cutover(after).is_some()
        );
    } else {
        assert!(abort_cutover(after).is_none() && complete_cutover(after).is_none());
    }
}

fn statuses_match_the_use_of_read_models(after: &Lifecycle) {
    let at_work: Vec<(ReadModelId, Role)> =
        after.at_work().map(|(entry, role)| (entry.deployment.read_model, role)).collect();
    if after.activity == Activity::Running {
        let used = after.serving().into_iter().chain(after.candidate());
        assert!(used.map(|entry| entry.deployment.read_model).eq(at_work.iter().map(|(id, _)| *id)));
    } else {
        assert_eq!(at_work, []);
    }
    let mut kept = 0;
    for read_model in after.history.iter().map(|entry| entry.deployment.read_model).collect::<BTreeSet<_>>() {
        let role = at_work.iter().find(|(id, _)| *id == read_model).map(|(_, role)| *role);
        let active = match role {
            Some(Role::Serving) => !after.fenced,
            Some(Role::Candidate) => true,
            None => false,
        };
        let status = after.read_model_status(read_model);
        assert_eq!(status == ReadModelStatus::Active, active, "{read_model} in {after:#?}");
        assert_eq!(after.read_models.contains(&read_model), status != ReadModelStatus::Deleting);
        kept += usize::from(status != ReadModelStatus::Deleting);
    }
    assert_eq!(kept, after.read_models.len(), "there are read models that no deployment has");
    assert!(kept <= 3, "more is kept than the serving, the candidate and the previous read model");
    if after.activity == Activity::Retired {
        assert_eq!(
            kept,
            usize::from(after.serving().is_some()),
            "only the read model that can still be queried is kept"
        );
    }
}

/// Deployments of one read model agree on what they want, in whatever order they list it.
fn deployments_of_one_read_model_want_the_same_events(after: &Lifecycle) {
    let wants = |entry: &Entry| {
        let scope = entry.deployment.descriptor.scope.clone();
        let lists = [scope.bounded_contexts, scope.aggregate_types, scope.event_types];
        let Descriptor { partitioning, name, .. } = entry.deployment.descriptor.clone();
        (lists.map(BTreeSet::from_iter), partitioning, name)
    };
    for entry in &after.history {
        let read_model = entry.deployment.read_model;
        let first = after.history.iter().find(|first| first.deployment.read_model == read_model);
        assert_eq!(first.map(wants), Some(wants(entry)), "on {read_model}");
    }
}

fn the_origin_matches_the_operation(before: &Lifecycle, step: &Step, after: &Lifecycle) {
    if after.history.len() == before.history.len() {
        return;
    }
    let new = after.history.last().unwrap();
    assert_eq!(new.origin == Origin::Rollback, new.returns_to.is_some());
    let Step::Operation(operation, _) = step else { panic!("a step of the host has deployed something") };
    let shared = before.history.iter().any(|old| old.deployment.read_model == new.deployment.read_model);
    assert_eq!(shared, matches!(new.origin, Origin::Continue | Origin::Rollback));
    match operation {
        Operation::Deploy(deploy) | Operation::Rebuild(deploy) => {
            let deployment = &new.deployment;
            assert_eq!((deployment.digest, &deployment.settings), (deploy.digest, &deploy.settings));
            assert_eq!(deployment.descriptor, deploy.descriptor);
            let continues = before.serving().is_some() && deploy.mode == Mode::Continue;
            assert_eq!(new.origin == Origin::Continue, continues);
        }
        Operation::Rollback { .. } => {
            let Deployment { digest, descriptor, settings, read_model, .. } = &new.deployment;
            let returns_to = before.numbered(new.returns_to.unwrap()).unwrap();
            let alike = |old: &Entry| {
                let Deployment { digest: d, descriptor: c, settings: s, read_model: m, .. } = &old.deployment;
                (d, c, s, m) == (digest, descriptor, settings, read_model)
                    && old.outcome == Outcome::Superseded
            };
            assert!(alike(returns_to), "{new:?} returns to no earlier deployment");
        }
        other => panic!("{other:?} has deployed something"),
    }
}

fn the_superseded_read_model_is_kept(before: &Lifecycle, after: &Lifecycle) {
    let (old, new) = (before.serving().unwrap(), before.candidate().unwrap());
    assert_eq!(after.read_model_status(old.deployment.read_model), ReadModelStatus::Fenced);
    assert_eq!(after.read_model_status(new.deployment.read_model), ReadModelStatus::Active);
    assert_eq!(after.previous().map(|entry| entry.deployment.number), Some(old.deployment.number));
    assert_eq!(after.serving().map(|entry| entry.deployment.number), Some(new.deployment.number));
}
