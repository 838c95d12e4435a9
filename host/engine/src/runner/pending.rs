//! A page of the log in hand: which of its entries were executed, which is next, and where a checkpoint stands then.
//! An entry is an event, or the row behind the last event that cannot be read.

use kennel_core::checkpoint::Mark;
use kennel_core::event::Event;
use kennel_core::partition::HashRange;
use kennel_core::port::{Page, Unreadable};
use kennel_core::position::Position;
use kennel_core::witness::Witness;
use uuid::Uuid;

/// Which page to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageQuery {
    pub(super) ranges: Vec<HashRange>,
    /// Where the ranges stand.
    pub(super) from: Position,
    /// Where the page begins. The log holds nothing of interest from `from` up to here.
    pub(super) after: Position,
    pub(super) upto: Mark,
}

/// The move of checkpoints in one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advance {
    pub(super) ranges: Vec<HashRange>,
    pub(super) from: Position,
    pub(super) to: Mark,
}

/// Which event, or which row, is at the front.
pub(super) struct Front {
    pub(super) position: Position,
    pub(super) event_id: Option<Uuid>,
    pub(super) event_type: String,
    pub(super) aggregate_id: String,
}

/// The entries of a page, of which those at the front were executed.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) query: PageQuery,
    /// Where the page begins that is being read meanwhile, if there is one: where this page ends.
    pub(super) prefetched: Option<Position>,
    page: Page,
    /// The last event at or below where the page ends, unless that is not known.
    witness: Option<Witness>,
    executed: usize,
}

impl Pending {
    pub(super) fn new(query: PageQuery, page: Page, prefetched: Option<Position>) -> Self {
        let witness = last_of(&page, query.upto);
        Self { query, prefetched, page, witness, executed: 0 }
    }

    /// The events that were not executed.
    pub(super) fn events(&self) -> &[Event] {
        &self.page.events[self.executed.min(self.page.events.len())..]
    }

    /// The row behind the last event, if it ends the page because it cannot be read, and was not dealt with.
    pub(super) fn unreadable(&self) -> Option<&Unreadable> {
        self.page.unreadable.as_ref().filter(|_| self.executed <= self.page.events.len())
    }

    /// Up to where the page says everything about the log. Without a witness, no checkpoint can be moved there.
    pub(super) fn reached(&self) -> Mark {
        Mark { position: self.page.reached, witness: self.witness }
    }

    pub(super) fn has_more(&self) -> bool {
        !self.events().is_empty() || self.unreadable().is_some()
    }

    /// The entry that is next.
    pub(super) fn front(&self) -> Option<Front> {
        if let Some(event) = self.events().first() {
            return Some(Front {
                position: event.position,
                event_id: Some(event.event_id),
                event_type: event.event_type.clone(),
                aggregate_id: event.aggregate_id.clone(),
            });
        }
        self.unreadable().map(|unreadable| Front {
            position: unreadable.position,
            event_id: unreadable.event_id,
            event_type: unreadable.event_type.clone(),
            aggregate_id: unreadable.aggregate_id.clone(),
        })
    }

    /// Executes so many of the next entries, and returns where a checkpoint stands after them.
    pub(super) fn execute(&mut self, entries: usize) -> Option<Mark> {
        let last = self.events().get(entries.checked_sub(1)?).map(Event::witness);
        self.executed += entries;
        // An entry that was not executed lies before where the page ends.
        let at_end = !self.has_more() && self.witness.is_some();
        let last = last.map(|last| Mark { position: last.position, witness: Some(last) });
        if at_end { Some(self.reached()) } else { last.or_else(|| Some(self.reached())) }
    }

    /// Takes back everything that was executed beyond a position.
    pub(super) fn rewind(&mut self, to: Position) {
        let events = self.page.events.partition_point(|event| event.position <= to);
        let rows = self.page.unreadable.iter().filter(|row| row.position <= to).count();
        self.executed = self.executed.min(events + rows);
    }

    /// The positions of the last entry that was executed and of the first that was not.
    pub(super) fn around(&self) -> (Option<Position>, Option<Position>) {
        let positions = || {
            let events = self.page.events.iter().map(|event| event.position);
            events.chain(self.page.unreadable.iter().map(|row| row.position))
        };
        let last = self.executed.checked_sub(1).and_then(|last| positions().nth(last));
        (last, positions().nth(self.executed))
    }
}

/// The last event at or below where a page of a query up to `upto` ends, if that is known.
fn last_of(page: &Page, upto: Mark) -> Option<Witness> {
    if let Some(unreadable) = &page.unreadable {
        return Some(unreadable.witness());
    }
    let last = page.events.last().map(Event::witness).filter(|last| last.position == page.reached);
    let at_end = upto.witness.filter(|_| page.reached == upto.position);
    last.or(page.witness).or(at_end)
}
