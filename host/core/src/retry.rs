//! What to do with an event that was not handled. Pure: attempts and policy in, decision out.

use std::time::Duration;

use crate::failure::FailureKind;
use crate::projection::OnFailure;

/// How often a failing event is tried again, and how long to wait between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub attempts_max: u32,
    /// Pause before the second try; every further pause doubles.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 4, pause_first: Duration::from_millis(100), pause_max: Duration::from_secs(5) }
    }
}

/// What becomes of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again after this pause.
    RetryAfter(Duration),
    /// Record it and go on with the next event.
    DeadLetter,
    /// Halt the projection.
    Halt,
}

/// Decides after try number `attempts` (from 1) has failed. `jitter` in `0.0..1.0` spreads the pause
/// over its upper half, so that many projections do not come back at the same moment.
#[must_use]
pub fn decide(
    kind: FailureKind,
    attempts: u32,
    policy: &RetryPolicy,
    on_failure: OnFailure,
    jitter: f64,
) -> RetryDecision {
    // A guest that says "never" means it, and a row that cannot be read stays as it is: trying again would only
    // cost time.
    let is_final = matches!(kind, FailureKind::Reject | FailureKind::Unreadable);
    if !is_final && attempts < policy.attempts_max {
        let doublings = attempts.saturating_sub(1).min(20);
        let pause = policy.pause_first.saturating_mul(1 << doublings).min(policy.pause_max);
        return RetryDecision::RetryAfter(pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0));
    }
    match on_failure {
        OnFailure::Halt => RetryDecision::Halt,
        OnFailure::DeadLetter => RetryDecision::DeadLetter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_bound_and_then_the_policy_decides() {
        let policy = RetryPolicy { attempts_max: 9, ..RetryPolicy::default() };
        let pause = |attempts| match decide(FailureKind::Trap, attempts, &policy, OnFailure::Halt, 1.0) {
            RetryDecision::RetryAfter(pause) => pause.as_millis(),
            other => panic!("{other:?}"),
        };
        let pauses: Vec<u128> = (1..9).map(pause).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(decide(FailureKind::Trap, 9, &policy, OnFailure::Halt, 0.3), RetryDecision::Halt);
        assert_eq!(
            decide(FailureKind::Retry, 9, &policy, OnFailure::DeadLetter, 0.3),
            RetryDecision::DeadLetter
        );
    }

    #[test]
    fn final_failures_are_not_tried_again() {
        let policy = RetryPolicy::default();
        for kind in [FailureKind::Reject, FailureKind::Unreadable] {
            assert_eq!(decide(kind, 1, &policy, OnFailure::Halt, 0.0), RetryDecision::Halt);
            assert_eq!(decide(kind, 1, &policy, OnFailure::DeadLetter, 0.0), RetryDecision::DeadLetter);
        }
    }
}
