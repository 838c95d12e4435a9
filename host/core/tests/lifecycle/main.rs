//! The rules of a projection's lifecycle: after any operations and steps of hosts it does what a naive model does, and
//! a list of invariants holds. Its messages are tested in `messages`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod invariants;
mod messages;
mod naive;
mod steps;

use kennel_core::lifecycle::{
    Activity, Decision, Lifecycle, Operation, Outcome, Promotion, abort_cutover, begin_cutover,
    complete_cutover,
};
use proptest::prelude::*;

use invariants::Invariants;
use naive::Naive;
use steps::{Step, apply, carry_out, projection, request, steps};

/// What a step did, in the terms of the naive model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With the deployment that it was about.
    Changed(Option<u32>),
    Same(Option<u32>),
    Rejected(&'static str),
}

/// Carries out a step of a host, if it is due.
fn host_step(lifecycle: &mut Lifecycle, rule: fn(&Lifecycle) -> Option<Decision>) -> Answer {
    match rule(lifecycle) {
        None => Answer::Same(None),
        Some(decision) => {
            *lifecycle = apply(lifecycle, &decision);
            Answer::Changed(decision.about)
        }
    }
}

fn take(lifecycle: &mut Lifecycle, step: &Step) -> Answer {
    match step {
        Step::BeginCutover => host_step(lifecycle, begin_cutover),
        Step::AbortCutover => host_step(lifecycle, abort_cutover),
        Step::CompleteCutover => host_step(lifecycle, complete_cutover),
        Step::Operation(operation, missed) => {
            let request = request(operation.clone(), lifecycle, *missed);
            carry_out(lifecycle, &request)
        }
    }
}

/// Carries out an operation whose actor expects no deployment.
fn operate(lifecycle: &mut Lifecycle, operation: Operation) -> Answer {
    let request = request(operation, lifecycle, None);
    carry_out(lifecycle, &request)
}

/// Promotes the candidate and completes the cutover, if there is a candidate.
fn promote(lifecycle: &mut Lifecycle) {
    if lifecycle.candidate().is_some() {
        operate(lifecycle, Operation::Promote);
        if begin_cutover(lifecycle).is_some() {
            assert_eq!(host_step(lifecycle, begin_cutover), Answer::Changed(None));
        }
        assert_eq!(host_step(lifecycle, complete_cutover), Answer::Changed(None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_lifecycle_follows_the_model_and_the_invariants(steps in steps()) {
        let mut lifecycle = Lifecycle::new(projection());
        let mut naive = Naive::default();
        let mut invariants = Invariants::default();
        for step in &steps {
            let before = lifecycle.clone();
            let answer = take(&mut lifecycle, step);
            let expected = naive.take(step);
            prop_assert_eq!(&answer, &expected, "{:?} after {:#?}", step, before);
            invariants.check(&before, step, &answer, &lifecycle);
            naive.compare(&lifecycle);
        }
    }

    /// From any deployment, going back twice leads there again.
    #[test]
    fn rolling_back_twice_changes_nothing_in_the_end(steps in steps()) {
        let mut lifecycle = Lifecycle::new(projection());
        for step in &steps {
            take(&mut lifecycle, step);
        }
        if lifecycle.activity == Activity::Paused {
            operate(&mut lifecycle, Operation::Resume);
        }
        promote(&mut lifecycle);
        let back = Operation::Rollback { to: None };
        let before = lifecycle.serving().map(|serving| serving.deployment.clone());
        let (latest, kept) = (lifecycle.latest(), lifecycle.read_models.clone());
        let once = operate(&mut lifecycle, back.clone());
        // Not by default: a repeated rollback does not mean the opposite.
        if matches!(once, Answer::Rejected(_)) {
            return Ok(());
        }
        promote(&mut lifecycle);
        prop_assert_eq!(operate(&mut lifecycle, back), Answer::Rejected("rolled back"));
        let to = lifecycle.previous().map(|previous| previous.deployment.number);
        let second = operate(&mut lifecycle, Operation::Rollback { to });
        prop_assert_eq!(second, Answer::Changed(Some(latest + 2)));
        promote(&mut lifecycle);
        let (before, after) = (before.unwrap(), lifecycle.serving().unwrap().deployment.clone());
        prop_assert_eq!(
            (before.digest, before.descriptor, before.settings, before.read_model),
            (after.digest, after.descriptor, after.settings, after.read_model)
        );
        prop_assert_eq!((lifecycle.latest(), lifecycle.read_models), (latest + 2, kept));
    }
}

/// The read model that served until a cutover is fenced afterwards, so that `rollback` finds it; the one before that is
/// deleted.
#[test]
fn the_previous_read_model_is_kept_for_a_rollback() {
    use kennel_core::lifecycle::ReadModelStatus;
    let mut lifecycle = Lifecycle::new(projection());
    let mut served = Vec::new();
    for code in 0..4 {
        let deploy = steps::rebuild(code, Promotion::Auto);
        assert_eq!(operate(&mut lifecycle, deploy), Answer::Changed(Some(u32::from(code) + 1)));
        promote(&mut lifecycle);
        served.push(lifecycle.serving().unwrap().deployment.read_model);
        let statuses: Vec<ReadModelStatus> =
            served.iter().rev().map(|id| lifecycle.read_model_status(*id)).collect();
        let expected = [
            ReadModelStatus::Active,
            ReadModelStatus::Fenced,
            ReadModelStatus::Deleting,
            ReadModelStatus::Deleting,
        ];
        assert_eq!(statuses, expected[..served.len()]);
    }
    operate(&mut lifecycle, Operation::Rollback { to: None });
    let candidate = lifecycle.candidate().unwrap();
    assert_eq!((candidate.deployment.read_model, candidate.outcome), (served[2], Outcome::Candidate));
    assert_eq!(lifecycle.read_model_status(served[2]), ReadModelStatus::Active);
}
