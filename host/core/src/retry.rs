//! When to try again what has failed, and what to do with an event that was not handled. Pure: attempts and policy in,
//! decision out.

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

/// The pauses between attempts: each is twice as long as the one before, up to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    taken: u32,
}

impl Backoff {
    /// Pauses that grow from `first` to `max`; a `max` below `first` counts as that.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, taken: 0 }
    }

    /// The pause after this failure.
    pub fn next_pause(&mut self) -> Duration {
        let pause = doubled(self.first, self.max, self.taken);
        self.taken = self.taken.saturating_add(1);
        pause
    }

    /// It has worked: the next pause is the first again.
    pub const fn reset(&mut self) {
        self.taken = 0;
    }

    /// Whether nothing has failed since the beginning or the last success.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.taken == 0
    }
}

/// `first`, doubled so many times, and at most `max`.
#[must_use]
pub fn doubled(first: Duration, max: Duration, doublings: u32) -> Duration {
    let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(max.max(first))
}

/// A pause spread over its upper half by `jitter` in `0.0..1.0`, so that many do not come back at the same moment.
#[must_use]
pub fn spread(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
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

/// Decides after try number `attempts` (from 1) has failed. `jitter` spreads the pause, as in [`spread`].
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
        let pause =
            doubled(policy.pause_first, policy.pause_max, attempts.saturating_sub(1)).min(policy.pause_max);
        return RetryDecision::RetryAfter(spread(pause, jitter));
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
    fn a_backoff_doubles_until_its_bound_or_a_success() {
        let mut backoff = Backoff::new(Duration::from_secs(3), Duration::from_secs(20));
        assert!(backoff.is_fresh());
        assert_eq!([(); 5].map(|()| backoff.next_pause().as_secs()), [3, 6, 12, 20, 20]);
        assert!(!backoff.is_fresh());
        backoff.reset();
        assert_eq!((backoff.is_fresh(), backoff.next_pause().as_secs()), (true, 3));
        let mut fixed = Backoff::new(Duration::from_secs(9), Duration::from_secs(1));
        assert_eq!([fixed.next_pause(), fixed.next_pause()], [Duration::from_secs(9); 2]);
    }

    #[test]
    fn a_pause_has_its_bound_after_any_number_of_failures() {
        for doublings in 0..200 {
            let pause = doubled(Duration::from_millis(1), Duration::from_secs(3_600), doublings);
            assert_eq!(pause, Duration::from_millis(1 << doublings.min(40)).min(Duration::from_secs(3_600)));
        }
        assert_eq!([0.0, 1.0].map(|jitter| spread(Duration::from_secs(2), jitter).as_secs()), [1, 2]);
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
