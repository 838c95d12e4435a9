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
            rfc3339: rfc3339(event.created_at),
        },
    };
    model.put("arrivals", &event.event_id, &arrival)
}

/// The moment as RFC 3339 writes it, in UTC. Years and days by Howard Hinnant's `civil_from_days`.
pub(crate) fn rfc3339(moment: Timestamp) -> String {
    let (days, second) = (moment.seconds.div_euclid(86_400), moment.seconds.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{year:+05}"),
    };
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = match moment.nanoseconds {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => format!(".{:06}", n / 1_000),
        n => format!(".{n:09}"),
    };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}
