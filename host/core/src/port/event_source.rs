//! The event log.

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;
use crate::checkpoint::Mark;
use crate::event::{Event, NewEvent};
use crate::limits;
use crate::partition::HashRange;
use crate::position::Position;
use crate::projection::Scope;
use crate::witness::Witness;

/// A transaction that may still write below positions that are already visible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// The writer's process id at the database server. None for a prepared transaction: it needs no process.
    pub pid: Option<i32>,
    /// The application name of the writer.
    pub application: String,
    /// The name under which the transaction was prepared, if it was.
    pub prepared: Option<String>,
    /// Seconds since its transaction began, or was prepared. None if the database does not say.
    pub open_seconds: Option<u64>,
    /// What an operator can do about it.
    pub advice: String,
}

/// Up to where the log is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighWaterMark {
    /// No event can still appear at or below this position.
    pub position: Position,
    /// The highest visible position.
    pub head: Position,
    /// The writers that keep the high-water mark below the head.
    pub blockers: Vec<Blocker>,
    /// The last event at or below `position`; nothing if there is none.
    pub witness: Option<Witness>,
    /// Another number each time that the log was seen to be another: it was set back, or another server answers.
    pub incarnation: u64,
}

impl HighWaterMark {
    /// Up to where the log is complete.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { position: self.position, witness: self.witness }
    }
}

/// Which events to read.
#[derive(Clone, Debug)]
pub struct ReadQuery<'a> {
    pub after: Position,
    pub upto: Position,
    pub scope: &'a Scope,
    /// Only aggregates whose hash lies in one of these.
    pub ranges: &'a [HashRange],
    /// At least 1.
    pub limit: usize,
}

impl ReadQuery<'_> {
    /// Up to where the log is looked at, so that no caller waits long for a page that may be empty.
    #[must_use]
    pub fn end(&self) -> Position {
        self.upto.min(Position::new(self.after.get().saturating_add(limits::READ_POSITIONS_MAX)))
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of their positions.
    pub events: Vec<Event>,
    /// The row that ends the page because it cannot be read. The caller handles the events of the page first, and then
    /// lets this one fail.
    pub unreadable: Option<Unreadable>,
    /// Every wanted event after `after` and up to here is on the page: the last row that was looked at for a full page;
    /// for a short one `upto`, or somewhere before it if that is too far to look. The position of `unreadable`, if
    /// there is one.
    pub reached: Position,
    /// The last event of the log at or below `reached`, whether it is wanted or not, as the log was before the page was
    /// read. Nothing for a page that has `reached` the `upto` of its query: the caller knows it.
    pub witness: Option<Witness>,
}

/// A row of the log that is no event, and the part of it that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub position: Position,
    pub event_id: Option<Uuid>,
    pub event_type: String,
    /// As far as it is text: it decides which partition the row belongs to.
    pub aggregate_id: String,
    /// Which column is wrong, and why.
    pub reason: String,
}

impl Unreadable {
    /// This row as the last one that a checkpoint covers. One whose id cannot be read has the id of none.
    #[must_use]
    pub fn witness(&self) -> Witness {
        Witness { position: self.position, event_id: self.event_id.unwrap_or_else(Uuid::nil) }
    }
}

/// What an append did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    pub written: u64,
    /// Events that the log held already, known by their event id.
    pub skipped: u64,
    /// The highest position after the append.
    pub head: Position,
}

/// Reads the event log of a store.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// Up to where the log is complete. Never goes back within one process and incarnation.
    ///
    /// [`StoreError::Unfit`] if events are written in a way in which that cannot be known.
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError>;

    /// Reads a page of at most [`limits::BATCH_EVENT_BYTES_MAX`], or of one event. `query.upto` must not lie above the
    /// high-water mark.
    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError>;

    /// Resolves at the next notification of new events. A wake-up only: notifications can be lost and can be false.
    async fn notification(&self);
}

/// Writes to an event log, where that is allowed.
#[async_trait]
pub trait Appender: Send + Sync {
    /// Writes all of `events` or none, leaving out those whose event id the log holds already. An event that cannot be
    /// written is reported by [`StoreError::InvalidEvent`].
    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError>;
}
