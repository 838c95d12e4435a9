//! Events for tests: what a test does not say, the scenario fills in.

use std::collections::HashMap;

use serde::Serialize;

use crate::{Descriptor, Event, Payload, Timestamp};

/// When the first event of a scenario was written: the start of 2026, in seconds since the epoch.
const FIRST_CREATED_AT: i64 = 1_767_225_600;

/// An event of the given type.
///
/// Unless set otherwise it is the next of the log and of its aggregate, belongs to the first bounded
/// context and aggregate type that the projection asks for, is of aggregate `1`, was written one second
/// after the event before it, and carries `{}`.
#[must_use]
pub fn event(event_type: impl Into<String>) -> EventBuilder {
    EventBuilder {
        event_type: event_type.into(),
        bounded_context: None,
        aggregate_type: None,
        aggregate_id: "1".to_owned(),
        aggregate_version: None,
        position: None,
        event_id: None,
        event_version: 1,
        payload: Payload::Json("{}".to_owned()),
        metadata: None,
        trace_id: None,
        correlation_id: None,
        causation_id: None,
        created_at: None,
    }
}

/// An event in the making; begin with [`event()`].
#[derive(Clone, Debug)]
pub struct EventBuilder {
    event_type: String,
    bounded_context: Option<String>,
    aggregate_type: Option<String>,
    aggregate_id: String,
    aggregate_version: Option<u64>,
    position: Option<u64>,
    event_id: Option<String>,
    event_version: u32,
    payload: Payload,
    metadata: Option<String>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    created_at: Option<Timestamp>,
}

impl EventBuilder {
    /// Sets the aggregate's id.
    #[must_use]
    pub fn of(mut self, aggregate_id: impl Into<String>) -> Self {
        self.aggregate_id = aggregate_id.into();
        self
    }

    /// Sets the part of the business.
    #[must_use]
    pub fn bounded_context(mut self, name: impl Into<String>) -> Self {
        self.bounded_context = Some(name.into());
        self
    }

    /// Sets the kind of aggregate.
    #[must_use]
    pub fn aggregate_type(mut self, name: impl Into<String>) -> Self {
        self.aggregate_type = Some(name.into());
        self
    }

    /// Sets the aggregate's version after this event.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.aggregate_version = Some(version);
        self
    }

    /// Sets the position in the log; later events follow it.
    #[must_use]
    pub fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// Sets the event's own identity, a UUID.
    #[must_use]
    pub fn id(mut self, event_id: impl Into<String>) -> Self {
        self.event_id = Some(event_id.into());
        self
    }

    /// Sets the version of the payload's schema.
    #[must_use]
    pub fn schema(mut self, event_version: u32) -> Self {
        self.event_version = event_version;
        self
    }

    /// Sets the payload to a value's JSON text.
    ///
    /// # Panics
    ///
    /// When the value has no JSON form.
    #[must_use]
    #[track_caller]
    pub fn json(mut self, payload: impl Serialize) -> Self {
        self.payload = Payload::Json(to_text(&payload));
        self
    }

    /// Sets the payload to bytes that are not JSON.
    #[must_use]
    pub fn binary(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = Payload::Binary(payload.into());
        self
    }

    /// Attaches metadata: a value's JSON text.
    ///
    /// # Panics
    ///
    /// When the value has no JSON form.
    #[must_use]
    #[track_caller]
    pub fn metadata(mut self, metadata: impl Serialize) -> Self {
        self.metadata = Some(to_text(&metadata));
        self
    }

    /// Sets the distributed trace in which the event was written.
    #[must_use]
    pub fn trace_id(mut self, id: impl Into<String>) -> Self {
        self.trace_id = Some(id.into());
        self
    }

    /// Sets the business process that the event belongs to.
    #[must_use]
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Sets the message that caused the event.
    #[must_use]
    pub fn causation_id(mut self, id: impl Into<String>) -> Self {
        self.causation_id = Some(id.into());
        self
    }

    /// Sets when the event was written, as RFC 3339 writes it: `2026-03-01T09:30:00Z`.
    ///
    /// # Panics
    ///
    /// When the text is no such time.
    #[must_use]
    #[track_caller]
    pub fn at(self, time: &str) -> Self {
        match time.parse() {
            Ok(time) => self.created_at(time),
            Err(error) => panic!("{error}"),
        }
    }

    /// Sets when the event was written.
    #[must_use]
    pub fn created_at(mut self, time: Timestamp) -> Self {
        self.created_at = Some(time);
        self
    }
}

/// Counts positions and versions as a log does.
#[derive(Debug, Default)]
pub(super) struct Log {
    last_position: u64,
    last_versions: HashMap<(String, String, String), u64>,
}

impl Log {
    /// Makes the event whole, as the next of this log.
    pub(super) fn append(&mut self, event: EventBuilder, descriptor: &Descriptor) -> Event {
        let asked_for = |names: &[String]| names.first().map_or("Test", String::as_str).to_owned();
        let bounded_context =
            event.bounded_context.unwrap_or_else(|| asked_for(&descriptor.bounded_contexts));
        let aggregate_type = event.aggregate_type.unwrap_or_else(|| asked_for(&descriptor.aggregate_types));

        let position = event.position.unwrap_or(self.last_position + 1);
        self.last_position = position;
        let aggregate = (bounded_context.clone(), aggregate_type.clone(), event.aggregate_id.clone());
        let last_version = self.last_versions.entry(aggregate).or_default();
        let aggregate_version = event.aggregate_version.unwrap_or(*last_version + 1);
        *last_version = aggregate_version;

        Event {
            position,
            bounded_context,
            aggregate_type,
            aggregate_id: event.aggregate_id,
            aggregate_version,
            event_id: event.event_id.unwrap_or_else(|| format!("00000000-0000-4000-8000-{position:012x}")),
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
            trace_id: event.trace_id,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            created_at: event.created_at.unwrap_or_else(|| {
                let later = i64::try_from(position.saturating_sub(1)).unwrap_or(i64::MAX);
                Timestamp::from_seconds(FIRST_CREATED_AT.saturating_add(later))
            }),
        }
    }
}

#[track_caller]
fn to_text(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => panic!("the value has no JSON form: {error}"),
    }
}
