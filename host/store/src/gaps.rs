//! Positions that the high-water mark has gone past although nothing was written at them: those of writers that rolled back.
//! Pure.
//!
//! Nothing may ever appear there. If something does, its writer did what no lock shows, such as drawing the position in
//! one transaction and writing the event in another, and projections have missed the event. Only the
//! latest gaps are remembered: such a writer is seldom alone.

use std::collections::VecDeque;

use kennel_core::position::Position;

/// Gaps that are remembered.
pub(crate) const GAPS_MAX: usize = 1_000;

/// The latest gaps, each from its first to its last position, lowest first.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    ranges: VecDeque<(Position, Position)>,
    /// Up to here the log has been searched for gaps.
    noted: Position,
}

impl Gaps {
    /// The high-water mark is at `settled`. Returns from where to there the log is to be searched for gaps, if it moved. It was
    /// `complete` if no position is missing between there and the high-water mark before.
    pub(crate) fn settled(
        &mut self,
        settled: Position,
        complete_after: Option<Position>,
    ) -> Option<Position> {
        if settled < self.noted {
            // The log has gone back: events above will be written anew.
            self.ranges.retain(|(_, last)| *last <= settled);
            self.noted = settled;
            return None;
        }
        if settled == self.noted || complete_after.is_some_and(|after| after <= self.noted) {
            self.noted = settled;
            return None;
        }
        Some(self.noted)
    }

    /// The log has been searched up to `settled`, and these gaps were found.
    pub(crate) fn found(&mut self, settled: Position, mut gaps: Vec<(Position, Position)>) {
        gaps.sort_unstable();
        self.ranges.extend(gaps);
        let surplus = self.ranges.len().saturating_sub(GAPS_MAX);
        self.ranges.drain(..surplus);
        self.noted = settled;
    }

    /// The first and the last position of each.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = (Position, Position)> {
        self.ranges.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn ranges(gaps: &Gaps) -> Vec<(u64, u64)> {
        gaps.bounds().map(|(first, last)| (first.get(), last.get())).collect()
    }

    #[test]
    fn gaps_are_searched_for_below_the_high_water_mark_and_forgotten_where_the_log_goes_back() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.settled(at(10), None), Some(at(0)));
        gaps.found(at(10), vec![(at(7), at(8)), (at(2), at(2))]);
        assert_eq!(ranges(&gaps), [(2, 2), (7, 8)]);
        assert_eq!(gaps.settled(at(10), None), None);
        // Nothing is missing after 10, so there is nothing to search for.
        assert_eq!(gaps.settled(at(20), Some(at(10))), None);
        assert_eq!(gaps.settled(at(30), Some(at(25))), Some(at(20)));
        gaps.found(at(30), vec![(at(22), at(22))]);
        assert_eq!(gaps.settled(at(7), None), None);
        assert_eq!(ranges(&gaps), [(2, 2)]);
        assert_eq!(gaps.settled(at(9), None), Some(at(7)));
    }

    #[test]
    fn the_latest_are_remembered() {
        let mut gaps = Gaps::default();
        let all = (1..=GAPS_MAX as u64 + 5).map(|n| (at(2 * n), at(2 * n))).collect();
        gaps.found(at(9_999), all);
        assert_eq!((ranges(&gaps).len(), ranges(&gaps)[0]), (GAPS_MAX, (12, 12)));
    }
}
