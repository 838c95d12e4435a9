//! Events as the log holds them and as writers append them.

use uuid::Uuid;

use crate::document;
use crate::limits;
use crate::position::Position;
use crate::timestamp::Timestamp;
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
    pub created_at: Timestamp,
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
    /// `None` takes the store's time.
    pub created_at: Option<Timestamp>,
}

/// About what an event takes besides its names and bodies.
const OVERHEAD_BYTES: usize = 256;

impl Event {
    /// About how many bytes the event takes, everything included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = [&self.bounded_context, &self.aggregate_type, &self.aggregate_id, &self.event_type];
        let maybe = [&self.metadata, &self.trace_id, &self.correlation_id, &self.causation_id];
        total(self.payload.as_bytes(), names, maybe)
    }
}

fn total(payload: &[u8], names: [&String; 4], maybe: [&Option<String>; 4]) -> usize {
    let names: usize = names.into_iter().map(String::len).sum();
    let maybe: usize = maybe.into_iter().flatten().map(String::len).sum();
    OVERHEAD_BYTES + payload.len() + names + maybe
}

impl NewEvent {
    /// About how many bytes the event takes, everything included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let names = [&self.bounded_context, &self.aggregate_type, &self.aggregate_id, &self.event_type];
        let maybe = [&self.metadata, &self.trace_id, &self.correlation_id, &self.causation_id];
        total(&self.payload, names, maybe)
    }

    /// Reports why no log can hold the event, so that every store rejects the same events.
    pub fn check(&self) -> Result<(), String> {
        self.check_names()?;
        if let Some(metadata) = &self.metadata {
            if !is_json(metadata) {
                return Err("metadata is not JSON".to_owned());
            }
            document::check_metadata(metadata).map_err(|unfit| format!("metadata {unfit}"))?;
        }
        if i32::try_from(self.event_version).is_err() {
            return Err(format!("event_version {} is larger than {}", self.event_version, i32::MAX));
        }
        if let Some(time) = self.created_at.filter(|time| !(Timestamp::MIN..=Timestamp::MAX).contains(time)) {
            return Err(format!(
                "created_at {time} is no time that databases hold: they begin at {} and end at {}",
                Timestamp::MIN,
                Timestamp::MAX
            ));
        }
        let bytes = self.bytes();
        if bytes > limits::EVENT_BYTES_MAX {
            return Err(format!("it has {bytes} bytes; at most {} are allowed", limits::EVENT_BYTES_MAX));
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let names = [
            ("bounded_context", Some(&self.bounded_context)),
            ("aggregate_type", Some(&self.aggregate_type)),
            ("aggregate_id", Some(&self.aggregate_id)),
            ("event_type", Some(&self.event_type)),
            ("trace_id", self.trace_id.as_ref()),
            ("correlation_id", self.correlation_id.as_ref()),
            ("causation_id", self.causation_id.as_ref()),
        ];
        let max = limits::EVENT_NAME_BYTES_MAX;
        for (name, value) in names.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            if value.contains('\0') {
                return Err(format!(
                    "{name} contains the character NUL, which databases cannot hold in text"
                ));
            }
            if value.len() > max {
                return Err(format!("{name} has {} bytes; at most {max} are allowed", value.len()));
            }
        }
        let together = self.bounded_context.len() + self.aggregate_type.len() + self.aggregate_id.len();
        if together > max {
            return Err(format!(
                "bounded_context, aggregate_type and aggregate_id have {together} bytes together; at most {max} are \
                 allowed"
            ));
        }
        Ok(())
    }
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
        assert!(!sorted(b"plain text"));
        assert!(!sorted(&[0xff, 0xfe]));
    }
}
