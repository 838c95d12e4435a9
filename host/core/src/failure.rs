//! Why an event was not handled.

use std::fmt;

use uuid::Uuid;

use crate::digest::Digest;
use crate::position::Position;

/// The kinds of failure that count as an error of the projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The guest returned `retry`.
    Retry,
    /// The guest returned `reject`.
    Reject,
    /// The guest trapped.
    Trap,
    /// The guest ran longer than a call may take.
    TimeLimit,
    /// The guest asked for more memory than it may have.
    MemoryLimit,
    /// The guest ran out of stack.
    StackLimit,
    /// The guest called the host with invalid input, such as a document that is not JSON.
    InvalidCall,
    /// The event's row in the log cannot be read, so that no guest saw it.
    Unreadable,
}

impl FailureKind {
    /// Every kind, so that metric series can exist from the start.
    pub const ALL: [Self; 8] = [
        Self::Retry,
        Self::Reject,
        Self::Trap,
        Self::TimeLimit,
        Self::MemoryLimit,
        Self::StackLimit,
        Self::InvalidCall,
        Self::Unreadable,
    ];

    /// The name used in metrics, stores and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject => "reject",
            Self::Trap => "trap",
            Self::TimeLimit => "time-limit",
            Self::MemoryLimit => "memory-limit",
            Self::StackLimit => "stack-limit",
            Self::InvalidCall => "invalid-call",
            Self::Unreadable => "unreadable",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
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
