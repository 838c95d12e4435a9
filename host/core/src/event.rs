//! Events as the log holds them and as writers append them.

use uuid::Uuid;

use crate::position::Position;
use crate::witness::Witness;

/// The body of an event, exactly as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Valid UTF-8 that parses as JSON.
    Json(String),
    /// Anything else, byte for byte.
    Binary(Vec<u8>),
}

impl Payload {
    /// Sorts stored bytes into JSON text or plain bytes.
    #[must_use]
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if is_json(&text) => Self::Json(text),
            Ok(text) => Self::Binary(text.into_bytes()),
            Err(error) => Self::Binary(error.into_bytes()),
        }
    }

    /// The bytes as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Json(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// Whether `text` is one JSON value.
#[must_use]
pub fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// One immutable row of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub position: Position,
    pub bounded_context: String,
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// The aggregate's version after this event; the first is 1.
    pub aggregate_version: u64,
    pub event_id: Uuid,
    pub event_type: String,
    /// Version of the payload's schema.
    pub event_version: u32,
    pub payload: Payload,
    /// JSON text, if the writer attached any.
    pub metadata: Option<String>,
    pub trace_id: Option<String>,
    pub correlation_id: Option<String>,
    pub causation_id: Option<String>,
    /// Nanoseconds since the Unix epoch, UTC.
    pub created_at: u64,
}

impl Event {
    /// This event as the last one that a checkpoint covers.
    #[must_use]
    pub const fn witness(&self) -> Witness {
        Witness { position: self.position, event_id: self.event_id }
    }
}

/// An event that has not been written yet: it has no position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub bounded_context: String,
    pub aggregate_type: String,
    pub aggregate_id: String,
    /// The version that the aggregate must reach with this event; `None` takes the next one.
    pub aggregate_version: Option<u64>,
    pub event_id: Uuid,
    pub event_type: String,
    pub event_version: u32,
    pub payload: Vec<u8>,
    pub metadata: Option<String>,
    pub trace_id: Option<String>,
    pub correlation_id: Option<String>,
    pub causation_id: Option<String>,
    /// Nanoseconds since the Unix epoch, UTC; `None` takes the store's time.
    pub created_at: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_json_only_if_it_parses() {
        let sorted = |bytes: &[u8]| matches!(Payload::from_stored(bytes.to_vec()), Payload::Json(_));
        assert!(sorted(br#"{"a":1}"#));
        assert!(sorted(b"null"));
        assert!(!sorted(b""));
        assert!(!sorted(b"{"));
        assert!(!sorted(b"plain words"));
        assert!(!sorted(&[0xff, 0xfe]));
    }
}
