//! Events as lines of JSON, with fields named like the columns of the event log.

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use kennel_core::event::NewEvent;
use kennel_core::limits;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    bounded_context: String,
    aggregate_type: String,
    aggregate_id: String,
    #[serde(default)]
    aggregate_version: Option<u64>,
    event_id: String,
    event_type: String,
    #[serde(default)]
    event_version: Option<u32>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(default)]
    trace_id: Option<String>,
    #[serde(default)]
    correlation_id: Option<String>,
    #[serde(default)]
    causation_id: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
    /// Accepted so that an export of a log can be appended to another: positions are given out anew.
    #[serde(default, rename = "global_position")]
    _global_position: Option<u64>,
}

/// Reads one event. The error is in words, without the line's number.
pub fn parse(text: &str) -> Result<NewEvent, String> {
    let line: Line<'_> = serde_json::from_str(text).map_err(|error| explain(&error))?;
    for (field, value) in [
        ("bounded_context", &line.bounded_context),
        ("aggregate_type", &line.aggregate_type),
        ("aggregate_id", &line.aggregate_id),
        ("event_type", &line.event_type),
    ] {
        if value.is_empty() {
            return Err(format!("`{field}` is empty"));
        }
    }
    if line.aggregate_version == Some(0) {
        return Err("`aggregate_version` counts from 1".to_owned());
    }
    let event_id = Uuid::parse_str(&line.event_id)
        .map_err(|_| format!("`event_id` is not a UUID: `{}`", limits::excerpt(&line.event_id)))?;
    let created_at = line.created_at.as_deref().map(nanoseconds).transpose()?;
    Ok(NewEvent {
        bounded_context: line.bounded_context,
        aggregate_type: line.aggregate_type,
        aggregate_id: line.aggregate_id,
        aggregate_version: line.aggregate_version,
        event_id,
        event_type: line.event_type,
        event_version: line.event_version.unwrap_or(1),
        payload: line.payload.get().as_bytes().to_vec(),
        metadata: line.metadata.map(|metadata| metadata.get().to_owned()).filter(|text| text != "null"),
        trace_id: line.trace_id,
        correlation_id: line.correlation_id,
        causation_id: line.causation_id,
        created_at,
    })
}

fn nanoseconds(text: &str) -> Result<u64, String> {
    let wrong = || {
        format!(
            "`created_at` is not a time since 1970 like 2026-01-31T12:00:00Z (RFC 3339): `{}`",
            limits::excerpt(text)
        )
    };
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
    u64::try_from(time.unix_timestamp_nanos()).map_err(|_| wrong())
}

/// serde's words without its line number, which is always 1 here.
fn explain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => format!("{what} (column {})", error.column()),
        None => message,
    }
}
