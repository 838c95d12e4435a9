//! How many events one commit may hold where the database ends commits that take too long. A size that was too much is
//! not tried again at once, or every other batch would be in vain.

use std::time::Duration;

use kennel_core::retry::Backoff;
use tokio::time::Instant;

/// After a commit that was cut short, a larger one is tried after so long, and then after twice as long each time.
const PAUSE_MIN: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Without bounds while nothing was cut short.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ceiling(Option<Lowered>);

#[derive(Clone, Copy, Debug)]
struct Lowered {
    events: usize,
    /// It stays at least until then.
    until: Instant,
    pause: Duration,
    backoff: Backoff,
}

impl Ceiling {
    /// Most events of one commit.
    pub(super) fn events(&self) -> usize {
        self.0.map_or(usize::MAX, |lowered| lowered.events)
    }

    /// A commit of so many events was cut short; returns how many the next may hold.
    pub(super) fn lower(&mut self, handled: usize, now: Instant) -> usize {
        let events = (handled / 2).max(1);
        let mut backoff = self.0.map_or(Backoff::new(PAUSE_MIN, PAUSE_MAX), |lowered| lowered.backoff);
        let pause = match self.0 {
            // Those that follow at once look for what fits, and say nothing of how long it will be so.
            Some(lowered) if now < lowered.until => lowered.pause,
            _ => backoff.next_pause(),
        };
        self.0 = Some(Lowered { events, until: now + pause, pause, backoff });
        events
    }

    /// Most events of the next commit, after one that has worked. At most `batch_max`.
    pub(super) fn raised(&mut self, batch_max: usize, now: Instant) -> usize {
        if let Some(lowered) = &mut self.0
            && now >= lowered.until
        {
            lowered.events = lowered.events.saturating_mul(2);
            // It is forgotten only once the full size has worked for as long again.
            if lowered.events >= batch_max.saturating_mul(2) {
                self.0 = None;
            } else {
                lowered.until = now + lowered.pause;
            }
        }
        self.events().min(batch_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_were_too_much_are_tried_less_and_less_often() {
        let began = Instant::now();
        let at = |seconds: u64| began + Duration::from_secs(seconds);
        let mut ceiling = Ceiling::default();
        assert_eq!((ceiling.events(), ceiling.raised(1000, at(0))), (usize::MAX, 1000));
        assert_eq!([1000, 500, 250].map(|handled| ceiling.lower(handled, at(1))), [500, 250, 125]);
        assert_eq!([2, 10].map(|now| ceiling.raised(1000, at(now))), [125, 125]);
        assert_eq!(ceiling.raised(1000, at(11)), 250);
        assert_eq!(ceiling.lower(250, at(22)), 125, "it is still too much");
        assert_eq!([32, 41].map(|now| ceiling.raised(1000, at(now))), [125, 125], "twice as long this time");
        assert_eq!([42, 62, 82].map(|now| ceiling.raised(1000, at(now))), [250, 500, 1000]);
        assert_eq!([102, 103].map(|now| ceiling.raised(1000, at(now))), [1000, 1000]);
        assert_eq!(ceiling.events(), usize::MAX, "it is forgotten");
        assert_eq!(ceiling.lower(1, at(200)), 1);
    }
}
