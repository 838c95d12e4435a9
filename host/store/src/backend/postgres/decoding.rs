//! Rows of the event log in PostgreSQL to events and back, so far as the driver does not do it.
//!
//! Times are read as the server sends them, microseconds since 2000 in 64 bits: the calendars of libraries end
//! before the server's does, and its infinities are none of their days.

use kennel_core::event::{Event, Payload, is_json};
use kennel_core::limits;
use kennel_core::port::Unreadable;
use kennel_core::position::Position;
use kennel_core::timestamp::Timestamp;
use sqlx::postgres::types::PgInterval;
use sqlx::postgres::{PgRow, PgValueFormat};
use sqlx::{Decode, Postgres, Row as _, Type, TypeInfo as _, ValueRef as _};

use crate::row::unsigned;
use crate::session::ordinals;

/// Seconds from the epoch to the beginning of 2000, from where PostgreSQL counts.
const EPOCH_SECONDS: i64 = 946_684_800;

/// Bytes of a payload, and of any other column, in a row that counts as short.
pub(super) const SHORT_PAYLOAD: usize = 16 * 1024;
pub(super) const SHORT_TEXT: usize = 1024;

ordinals! {
    /// The columns of a reading statement.
    EventColumns:
    global_position bounded_context aggregate_type aggregate_id aggregate_version event_id event_type event_version
    payload trace_id correlation_id causation_id metadata created_at bytes has_metadata
}

/// Whether a row that was read without its weight is a long one, of which nothing else was sent.
pub(super) fn is_long(row: &PgRow) -> Result<bool, sqlx::Error> {
    row.try_get("is_long")
}

/// Whether an event's row counts as short.
pub(super) fn is_short(event: &Event) -> bool {
    let is_short = |text: &str| text.len() <= SHORT_TEXT;
    let optional = [&event.trace_id, &event.correlation_id, &event.causation_id, &event.metadata];
    let required = [&event.bounded_context, &event.aggregate_type, &event.aggregate_id, &event.event_type];
    event.payload.as_bytes().len() <= SHORT_PAYLOAD
        && required.into_iter().all(|text| is_short(text))
        && optional.into_iter().flatten().all(|text| is_short(text))
}

/// How many bytes the rows of a weighing statement have taken, this one included, as they are stored.
pub(super) fn stored_upto(row: &PgRow) -> Result<u64, sqlx::Error> {
    row.try_get("bytes_upto").map(unsigned)
}

/// About how many bytes of a row have been sent.
pub(super) fn row_bytes(row: &PgRow) -> usize {
    let sent = |index| row.try_get_raw(index).ok().and_then(|value| value.as_bytes().ok().map(<[u8]>::len));
    (0..row.len()).filter_map(sent).sum()
}

/// The event of a row, or why it is invalid.
pub(super) fn event(row: &PgRow, at: EventColumns) -> Result<Event, Unreadable> {
    let unreadable = |reason: String| Unreadable {
        position: Position::new(unsigned(row.try_get(at.global_position).unwrap_or_default())),
        event_id: row.try_get(at.event_id).ok(),
        event_type: row.try_get(at.event_type).unwrap_or_default(),
        aggregate_id: row.try_get(at.aggregate_id).unwrap_or_default(),
        reason,
    };
    decode(row, at).map_err(unreadable)
}

fn decode(row: &PgRow, at: EventColumns) -> Result<Event, String> {
    let own_bytes: i32 = column(row, at.bytes, "its size")?;
    let max = limits::EVENT_BYTES_MAX;
    if usize::try_from(own_bytes).unwrap_or_default() > max {
        return Err(format!("the event has {own_bytes} bytes; at most {max} are read"));
    }
    let metadata: Option<String> = column(row, at.metadata, "metadata")?;
    match &metadata {
        None if column(row, at.has_metadata, "metadata")? => {
            return Err(format!("metadata has more than {max} bytes once it is written out"));
        }
        Some(metadata) if !is_json(metadata) => return Err("metadata is not JSON".to_owned()),
        _ => {}
    }
    let number = |index, name| {
        let number: i64 = column(row, index, name)?;
        u64::try_from(number).map_err(|_| format!("{name} is {number}, less than 0"))
    };
    let event_version = number(at.event_version, "event_version")?;
    Ok(Event {
        position: Position::new(number(at.global_position, "global_position")?),
        bounded_context: column(row, at.bounded_context, "bounded_context")?,
        aggregate_type: column(row, at.aggregate_type, "aggregate_type")?,
        aggregate_id: column(row, at.aggregate_id, "aggregate_id")?,
        aggregate_version: number(at.aggregate_version, "aggregate_version")?,
        event_id: column(row, at.event_id, "event_id")?,
        event_type: column(row, at.event_type, "event_type")?,
        event_version: u32::try_from(event_version)
            .map_err(|_| format!("event_version is {event_version}, more than {}", u32::MAX))?,
        payload: Payload::from_stored(column(row, at.payload, "payload")?),
        trace_id: column(row, at.trace_id, "trace_id")?,
        correlation_id: column(row, at.correlation_id, "correlation_id")?,
        causation_id: column(row, at.causation_id, "causation_id")?,
        metadata,
        created_at: created_at(row, at.created_at)?,
    })
}

/// A column of an event, or why it is invalid.
fn column<'r, T>(row: &'r PgRow, index: usize, name: &str) -> Result<T, String>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(index).map_err(|error| match error {
        sqlx::Error::ColumnDecode { source, .. } if source.is::<sqlx::error::UnexpectedNullError>() => {
            format!("{name} is NULL")
        }
        sqlx::Error::ColumnDecode { source, .. } => format!("{name} cannot be read: {source}"),
        error => format!("{name} cannot be read: {error}"),
    })
}

fn created_at(row: &PgRow, index: usize) -> Result<Timestamp, String> {
    let value = row.try_get_raw(index).map_err(|error| format!("created_at cannot be read: {error}"))?;
    if value.is_null() {
        return Err("created_at is NULL".to_owned());
    }
    let type_name = value.type_info().name().to_owned();
    let bytes = value.as_bytes().ok().filter(|_| value.format() == PgValueFormat::Binary);
    let bytes = bytes.filter(|_| matches!(type_name.as_str(), "TIMESTAMPTZ" | "TIMESTAMP"));
    let Some(bytes) = bytes.and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) else {
        return Err(format!("created_at is of type {type_name}; TIMESTAMPTZ is read"));
    };
    match i64::from_be_bytes(bytes) {
        i64::MAX => Err("created_at is infinity, which is no time".to_owned()),
        i64::MIN => Err("created_at is -infinity, which is no time".to_owned()),
        microseconds => {
            let time = Timestamp::from_microseconds(microseconds);
            Timestamp::new(time.seconds() + EPOCH_SECONDS, time.nanoseconds())
                .ok_or_else(|| "created_at is no time".to_owned())
        }
    }
}

/// A time as the interval from the beginning of 2000: whole microseconds in 64 bits, which are added to it exactly.
pub(super) fn since_2000(time: Timestamp) -> Option<PgInterval> {
    let time = Timestamp::new(time.seconds().checked_sub(EPOCH_SECONDS)?, time.nanoseconds())?;
    Some(PgInterval { months: 0, days: 0, microseconds: time.microseconds()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_server_s_calendar_fit() {
        for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::default()] {
            let interval = since_2000(time).unwrap();
            assert_eq!((interval.months, interval.days), (0, 0));
        }
        assert_eq!(since_2000(Timestamp::default()).unwrap().microseconds, -EPOCH_SECONDS * 1_000_000);
    }
}
