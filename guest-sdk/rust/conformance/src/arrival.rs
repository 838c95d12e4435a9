//! What an event looks like when it arrives, field by field.

use kennel_guest::prelude::*;
use serde::Serialize;

/// A document of the collection `arrivals`.
#[derive(Serialize)]
struct Arrival<'event> {
    position: u64,
    bounded_context: &'event str,
    aggregate_type: &'event str,
    aggregate_id: &'event str,
    aggregate_version: u64,
    event_id: &'event str,
    event_type: &'event str,
    event_version: u32,
    payload: Body<'event>,
    metadata: Option<&'event str>,
    trace_id: Option<&'event str>,
    correlation_id: Option<&'event str>,
    causation_id: Option<&'event str>,
    created_at: Moment,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Body<'event> {
    Json(&'event str),
    Binary(&'event [u8]),
}

#[derive(Serialize)]
struct Moment {
    seconds: i64,
    nanoseconds: u32,
    rfc3339: String,
}

/// Writes the document of this event.
pub(crate) fn record(event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
    let arrival = Arrival {
        position: event.position,
        bounded_context: &event.bounded_context,
        aggregate_type: &event.aggregate_type,
        aggregate_id: &event.aggregate_id,
        aggregate_version: event.aggregate_version,
        event_id: &event.event_id,
        event_type: &event.event_type,
        event_version: event.event_version,
        payload: match &event.payload {
            Payload::Json(text) => Body::Json(text),
            Payload::Binary(bytes) => Body::Binary(bytes),
        },
        metadata: event.metadata.as_deref(),
        trace_id: event.trace_id.as_deref(),
        correlation_id: event.correlation_id.as_deref(),
        causation_id: event.causation_id.as_deref(),
        created_at: Moment {
            seconds: event.created_at.seconds,
            nanoseconds: event.created_at.nanoseconds,
            rfc3339: event.created_at.to_rfc3339(),
        },
    };
    model.put("arrivals", &event.event_id, &arrival)
}
