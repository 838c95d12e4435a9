//! Why an event was not handled.

use uuid::Uuid;

use crate::digest::Digest;
use crate::named::named;
use crate::position::Position;

named! {
    /// The kinds of failure that count as an error of the projection.
    FailureKind, "a kind of failure" {
        /// The guest returned `retry`.
        Retry = "retry",
        /// The guest returned `reject`.
        Reject = "reject",
        /// The guest trapped.
        Trap = "trap",
        /// The guest ran longer than a call may take.
        TimeLimit = "time-limit",
        /// The guest asked for more memory than it may have.
        MemoryLimit = "memory-limit",
        /// The guest ran out of stack.
        StackLimit = "stack-limit",
        /// The guest called the host with invalid input, such as a document that is not JSON.
        InvalidCall = "invalid-call",
        /// The event's row in the log cannot be read, so that no guest saw it.
        Unreadable = "unreadable",
    }
}

/// An event that was not handled, with everything that an operator needs to find out why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFailure {
    pub position: Position,
    /// None if the log does not say it.
    pub event_id: Option<Uuid>,
    pub event_type: String,
    pub aggregate_id: String,
    /// The component that failed.
    pub digest: Digest,
    pub kind: FailureKind,
    /// What happened: the guest's message, its standard error and its backtrace, as far as there are any.
    pub message: String,
    /// How many times the event has been tried.
    pub attempts: u32,
}

impl EventFailure {
    /// The event's id for messages.
    #[must_use]
    pub fn event_id_text(&self) -> String {
        self.event_id.map_or_else(|| "of unknown id".to_owned(), |id| id.to_string())
    }
}
