//! How far the work of a runner has come between the log and the read model: what was read, executed and committed.
//! Pure: it reads nothing, runs nothing and commits nothing, and time is a parameter.
//!
//! Invariants, checked after every step by [`InFlight::broken`] in debug builds and by the tests against a naive model:
//!
//! - read ≥ executed ≥ committed, for every range.
//! - Execution goes on with the first event of interest after the last one that was executed: none is skipped, none
//!   comes twice.
//! - Each commit begins where the last one ended.
//! - After a failure everything beyond the committed position is thrown away, except events that were only read.
//!
//! Execution may be several batches ahead of the commits, which come in the order of execution.

use kennel_core::checkpoint::{self, Behind, Checkpoint, Mark};
use kennel_core::event::Event;
use kennel_core::partition::HashRange;
use kennel_core::port::Unreadable;
use kennel_core::position::Position;
use tokio::time::Instant;

use super::pending::{Advance, Front, PageQuery, Pending};

/// The log holds nothing of interest up to `to`, which lies beyond what was executed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipped {
    from: Position,
    to: Mark,
    /// When this began to be so. Unwanted events may come without end: they must not put off the commit.
    pub(super) since: Instant,
}

/// The state of the work on the checkpoints of one claim.
#[derive(Debug)]
pub(super) struct InFlight {
    committed: Vec<Checkpoint>,
    /// Where they will be once everything that was executed is committed.
    executed: Vec<Checkpoint>,
    /// The page in hand. Its entries that were not executed are pending.
    page: Option<Pending>,
    skipped: Option<Skipped>,
}

impl InFlight {
    /// Nothing is under way, and these are the checkpoints that were claimed.
    pub(super) fn new(claimed: Vec<Checkpoint>) -> Self {
        Self { executed: claimed.clone(), committed: claimed, page: None, skipped: None }
    }

    /// The checkpoints as they were committed.
    pub(super) fn committed(&self) -> &[Checkpoint] {
        &self.committed
    }

    /// Whether the log holds another event where a checkpoint ends.
    pub(super) fn contradicts(&self, high_water: Mark) -> bool {
        let here = |checkpoint: &&Checkpoint| checkpoint.position == high_water.position;
        self.committed.iter().filter(here).any(|checkpoint| checkpoint.witness != high_water.witness)
    }

    /// The ranges to work on next, and up to where.
    pub(super) fn stretch(&self, high_water: Mark) -> Option<Behind> {
        checkpoint::furthest_behind(&self.executed, high_water)
    }

    /// Up to where it is known what a stretch holds, executed or of no interest.
    pub(super) fn reached(&self, stretch: &Behind) -> Position {
        self.skipped.map_or(stretch.from, |skipped| skipped.to.position.max(stretch.from))
    }

    /// The page to read for a stretch; nothing if the page in hand has more for it.
    pub(super) fn query(&self, stretch: &Behind) -> Option<PageQuery> {
        // A page for other ranges is of no use: they have merged, or others have fallen behind.
        let page = self.page.as_ref().filter(|page| page.query.ranges == stretch.ranges);
        let known = self.reached(stretch);
        let after = match page {
            Some(page) if page.has_more() => return None,
            Some(page) => known.max(page.reached().position),
            None => known,
        };
        let Behind { ranges, from, upto } = stretch.clone();
        Some(PageQuery { ranges, from, after, upto })
    }

    /// The page that was asked for is in hand.
    pub(super) fn read(&mut self, page: Pending) {
        self.page = Some(page);
        self.check();
    }

    /// The events that are to be executed next.
    pub(super) fn events(&self) -> &[Event] {
        self.page.as_ref().map_or(&[], Pending::events)
    }

    /// The row that is next after these events, if it cannot be read.
    pub(super) fn unreadable(&self) -> Option<&Unreadable> {
        self.page.as_ref().and_then(Pending::unreadable)
    }

    /// The entry that is next.
    pub(super) fn front(&self) -> Option<Front> {
        self.page.as_ref().and_then(Pending::front)
    }

    /// So many of the next entries were executed, or the one at the front was passed over. Returns what to commit.
    pub(super) fn execute(&mut self, entries: usize) -> Option<Advance> {
        let to = self.page.as_mut()?.execute(entries)?;
        self.advance(to)
    }

    /// The page in hand holds nothing of interest. Returns whether that is to be committed at once: ranges that are
    /// elsewhere wait to be joined, and only a commit brings them together.
    pub(super) fn skip(&mut self, stretch: &Behind, now: Instant) -> bool {
        let Some(page) = self.page.take() else { return false };
        let since = self.skipped.map_or(now, |skipped| skipped.since);
        self.skipped = Some(Skipped { from: stretch.from, to: page.reached(), since });
        self.check();
        self.executed.iter().any(|checkpoint| checkpoint.position != stretch.from)
    }

    /// The stretch of no interest, if it may be committed as such.
    pub(super) fn skipped(&self) -> Option<Skipped> {
        let least = self.executed.iter().map(|checkpoint| checkpoint.position).min()?;
        self.skipped.filter(|skipped| skipped.to.witness.is_some() && skipped.to.position > least)
    }

    /// Passes over everything of no interest. Returns what to commit.
    pub(super) fn pass_skipped(&mut self) -> Option<Advance> {
        let to = self.skipped()?.to;
        self.advance(to)
    }

    fn advance(&mut self, to: Mark) -> Option<Advance> {
        let Behind { ranges, from, .. } = self.stretch(to)?;
        self.executed = checkpoint::advance(&self.executed, &ranges, to);
        self.check();
        Some(Advance { ranges, from, to })
    }

    /// The first of the moves that are under way was committed.
    pub(super) fn commit(&mut self, advance: &Advance) {
        debug_assert_eq!(
            at(&self.committed, &advance.ranges),
            advance.from,
            "a commit goes on where the last one ended"
        );
        self.committed = checkpoint::advance(&self.committed, &advance.ranges, advance.to);
        self.skipped = None;
        self.check();
    }

    /// Throws away everything that was executed and not committed.
    pub(super) fn discard(&mut self) {
        self.executed.clone_from(&self.committed);
        // What follows that which is thrown away is of no use: between would be a gap.
        let least = self.committed.iter().map(|checkpoint| checkpoint.position).min().unwrap_or_default();
        self.skipped = self.skipped.filter(|skipped| skipped.from <= least);
        if let Some(mut page) = self.page.take() {
            let to = at(&self.committed, &page.query.ranges);
            page.rewind(to);
            self.page = Some(page).filter(|page| page.query.from <= to);
        }
        self.check();
    }

    fn check(&self) {
        debug_assert_eq!(self.broken(), None, "{self:?}");
    }

    /// The invariant that does not hold, if there is one.
    fn broken(&self) -> Option<&'static str> {
        let executed = |range| checkpoint::handled(&self.executed, range);
        if self.committed.iter().any(|checkpoint| executed(checkpoint.range) < checkpoint.position) {
            return Some("more was committed than executed");
        }
        let page = self.page.as_ref()?;
        let executed = at(&self.executed, &page.query.ranges);
        let (last, next) = page.around();
        let reached = page.reached().position;
        match () {
            () if executed > reached => Some("more was executed than read"),
            () if executed < page.query.from => {
                Some("the page in hand follows something that was not executed")
            }
            () if last.is_some_and(|last| last > executed) => {
                Some("an event was executed that does not count")
            }
            () if next.is_some_and(|next| next <= executed) => Some("an event was skipped"),
            () if page.prefetched.is_some_and(|begins| begins != reached) => {
                Some("the next page leaves a gap")
            }
            () => None,
        }
    }
}

/// Where these ranges are: where the one furthest behind is.
fn at(checkpoints: &[Checkpoint], ranges: &[HashRange]) -> Position {
    ranges.iter().map(|range| checkpoint::handled(checkpoints, *range)).min().unwrap_or_default()
}

#[cfg(test)]
mod tests;
