//! One event as it arrives, and its payload as the projection's own type.

use serde::Deserialize;

use crate::{Failure, Timestamp};

/// The body of an event, exactly as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// JSON text.
    Json(String),
    /// Anything else, byte for byte.
    Binary(Vec<u8>),
}

/// One immutable row of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Position in the log: unique and increasing, but not free of gaps. The first is 1.
    pub position: u64,
    /// The part of the business that the aggregate belongs to, such as `Sales`.
    pub bounded_context: String,
    /// The kind of aggregate, such as `Order`.
    pub aggregate_type: String,
    /// Which aggregate. Events of one aggregate arrive in order, one at a time.
    pub aggregate_id: String,
    /// The aggregate's version after this event. The first is 1.
    pub aggregate_version: u64,
    /// The event's own identity, a UUID in lower-case text with hyphens.
    pub event_id: String,
    /// What happened, such as `OrderPlaced`.
    pub event_type: String,
    /// The version of the payload's schema.
    pub event_version: u32,
    /// What happened, in detail.
    pub payload: Payload,
    /// JSON text that the writer attached, if any.
    pub metadata: Option<String>,
    /// The distributed trace in which the event was written, if any.
    pub trace_id: Option<String>,
    /// The business process that the event belongs to, if any.
    pub correlation_id: Option<String>,
    /// The message that caused the event, if any.
    pub causation_id: Option<String>,
    /// When the event was written, as its writer says.
    pub created_at: Timestamp,
}

impl Event {
    /// The payload as a type of your own. Fields may borrow from the event (`&str`, or `Cow<str>` with
    /// `#[serde(borrow)]`), which copies nothing. A [`Value`](crate::Value) holds numbers in 64 bits and sorts the
    /// fields of objects; a `&RawValue` is the JSON text itself.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`] when the payload is not JSON or does not fit the type.
    pub fn json<'event, T: Deserialize<'event>>(&'event self) -> Result<T, Failure> {
        match &self.payload {
            Payload::Json(text) => {
                serde_json::from_str(text).map_err(|error| self.misfit(&error.to_string()))
            }
            Payload::Binary(bytes) => {
                Err(self.misfit(&format!("it is {} bytes that are not JSON", bytes.len())))
            }
        }
    }

    /// The payload's bytes, whatever they are.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Json(text) => text.as_bytes(),
            Payload::Binary(bytes) => bytes,
        }
    }

    #[cold]
    fn misfit(&self, why: &str) -> Failure {
        Failure::reject(format!(
            "the payload of {} (version {}) cannot be read: {why}",
            self.event_type, self.event_version
        ))
    }
}
