//! The event log in SQLite: reading pages, appending.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use futures::TryStreamExt as _;
use kennel_core::event::{Event, NewEvent, Payload};
use kennel_core::limits;
use kennel_core::partition::{self, HashRange};
use kennel_core::port::{Appended, Horizon, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::witness::Witness;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlStr, Sqlite, Transaction};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::SqliteBackend;
use crate::append::{Aggregate, Numbered, aggregate_of, check, number};
use crate::error::{Doing, classify, corrupt};
use crate::row::{self, signed, unsigned};
use crate::session::{Durability, Row};
use crate::sql::statement;

/// Rows per insert. Few sizes, so that few statements have to be prepared; large ones, because every
/// statement is a round trip to the connection's thread.
const INSERT_ROWS: [usize; 3] = [128, 16, 1];
const INSERT_COLUMNS: usize = 13;

/// What was last seen of the end of the log.
#[derive(Debug, Default)]
pub(crate) struct SharedHorizon(Mutex<Horizon>);

impl SqliteBackend {
    /// Up to where the log is complete: writers take turns, and positions are given out under the write lock, so that
    /// is where it ends.
    pub(crate) async fn horizon(&self) -> Result<Horizon, StoreError> {
        let mut known = self.horizon.0.lock().await;
        let seen = known.witness.map_or(Position::START, |witness| witness.position);
        let (witness, head) = self.last_event(seen).await?;
        if witness != known.witness {
            // The log was set back since.
            known.incarnation += 1;
        }
        known.witness = match head == seen {
            true => witness,
            false => self.last_event(head).await?.0,
        };
        let position = known.witness.map_or(Position::START, |witness| witness.position);
        *known = Horizon { position, head, ..known.clone() };
        Ok(known.clone())
    }

    /// The last event at or below a position, and the highest position.
    async fn last_event(&self, upto: Position) -> Result<(Option<Witness>, Position), StoreError> {
        let doing = "reading the head of the event log";
        let query = sqlx::query(self.last_event.clone()).bind(signed(upto.get()));
        let row = Row::Sqlite(query.fetch_one(&self.readers).await.doing(doing)?);
        Ok((row::witness(&row, 0)?, Position::new(unsigned(row.int(2).doing(doing)?))))
    }

    pub(crate) async fn read(&self, query: &ReadQuery<'_>) -> Result<Page, StoreError> {
        let doing = "reading events";
        let list = |words: &[String]| (!words.is_empty()).then(|| serde_json::json!(words).to_string());
        let scope = query.scope;
        let lists = [list(&scope.bounded_contexts), list(&scope.aggregate_types), list(&scope.event_types)];
        let end = query.end();
        let everything = query.ranges.contains(&HashRange::ALL);
        let mut page = Page { reached: query.after, ..Page::default() };
        let mut bytes = 0;
        // The hash of an aggregate id cannot be computed here in SQL, so rows of other partitions are read
        // and left out, until the page is full or the log ends.
        loop {
            let [contexts, types, events] = lists.clone();
            let mut rows = sqlx::query(self.sql.events_read.clone())
                .bind(signed(page.reached.get()))
                .bind(signed(end.get()))
                .bind(contexts)
                .bind(types)
                .bind(events)
                .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
                .fetch(&self.readers);
            let mut rows_seen = 0;
            while let Some(row) = rows.try_next().await.doing(doing)? {
                rows_seen += 1;
                page.reached = Position::new(unsigned(row.try_get(0).doing(doing)?));
                if !everything {
                    let point = partition::hash(row.try_get_unchecked(3).doing(doing)?);
                    if !query.ranges.iter().any(|range| range.contains(point)) {
                        continue;
                    }
                }
                let event = event(&row)?;
                bytes += event.payload.as_bytes().len();
                page.events.push(event);
                if page.events.len() >= query.limit || bytes >= limits::BATCH_PAYLOAD_BYTES_MAX {
                    return Ok(page);
                }
            }
            if rows_seen < query.limit {
                page.reached = end.max(query.after);
                return Ok(page);
            }
        }
    }

    pub(crate) async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        let doing = "appending events";
        check(events)?;
        let mut tx = self.begin(Durability::Acknowledged, doing).await?;
        let mut known = self.known(&mut tx, events).await.doing(doing)?;
        let mut heads = self.heads(&mut tx, events).await.doing(doing)?;
        let numbered = number(events, &mut known, &mut heads)?;
        let now: String = sqlx::query(self.sql.now_text.clone())
            .fetch_one(&mut *tx)
            .await
            .and_then(|row| row.try_get(0))
            .doing(doing)?;
        let mut rest = numbered.as_slice();
        for size in INSERT_ROWS {
            let insert = self.insert_of(size);
            while let Some((chunk, after)) = rest.split_at_checked(size) {
                insert_rows(&mut tx, &insert, chunk, &now)
                    .await
                    .map_err(|error| insert_failed(error, doing))?;
                rest = after;
            }
        }
        if !numbered.is_empty() {
            let moved: HashSet<Aggregate<'_>> = numbered.iter().map(|row| aggregate_of(row.event)).collect();
            let rows: Vec<_> = moved.iter().map(|name| (name.0, name.1, name.2, heads.get(name))).collect();
            let rows = crate::row::to_json(&rows)?;
            sqlx::query(self.sql.heads_put.clone()).bind(rows).execute(&mut *tx).await.doing(doing)?;
        }
        let head: i64 = sqlx::query(self.sql.events_head.clone())
            .fetch_one(&mut *tx)
            .await
            .and_then(|row| row.try_get(0))
            .doing(doing)?;
        tx.commit().await.doing(doing)?;
        self.watch.announce();
        let written = numbered.len();
        Ok(Appended {
            written: written as u64,
            skipped: (events.len() - written) as u64,
            head: Position::new(unsigned(head)),
        })
    }

    async fn known(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        events: &[NewEvent],
    ) -> Result<HashSet<Uuid>, sqlx::Error> {
        let ids: Vec<String> = events.iter().map(|event| event.event_id.to_string()).collect();
        let ids = serde_json::json!(ids).to_string();
        let rows = sqlx::query(self.sql.events_known.clone()).bind(ids).fetch_all(&mut **tx).await?;
        rows.iter().map(event_id_at::<0>).collect()
    }

    async fn heads<'a>(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        events: &'a [NewEvent],
    ) -> Result<HashMap<Aggregate<'a>, i64>, sqlx::Error> {
        let wanted: HashSet<Aggregate<'a>> = events.iter().map(aggregate_of).collect();
        let wanted: Vec<Aggregate<'a>> = wanted.into_iter().collect();
        let json = serde_json::json!(wanted).to_string();
        let rows = sqlx::query(self.sql.heads_get.clone()).bind(json).fetch_all(&mut **tx).await?;
        let mut heads = HashMap::with_capacity(rows.len());
        for row in &rows {
            let index = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX);
            if let Some(aggregate) = wanted.get(index) {
                heads.insert(*aggregate, row.try_get(1)?);
            }
        }
        Ok(heads)
    }

    fn insert_of(&self, rows: usize) -> SqlStr {
        let mut sql = self.sql.events_insert.as_str().to_owned();
        for row in 0..rows {
            let columns = vec!["?"; INSERT_COLUMNS].join(", ");
            let _ = write!(sql, "{}({columns})", if row == 0 { " " } else { ", " });
        }
        statement(sql)
    }
}

async fn insert_rows(
    tx: &mut Transaction<'static, Sqlite>,
    insert: &SqlStr,
    rows: &[Numbered<'_>],
    now: &str,
) -> Result<(), sqlx::Error> {
    let mut query = sqlx::query(insert.clone());
    for Numbered { event, version } in rows {
        query = query
            .bind(event.bounded_context.as_str())
            .bind(event.aggregate_type.as_str())
            .bind(event.aggregate_id.as_str())
            .bind(version)
            .bind(event.event_id.to_string())
            .bind(event.event_type.as_str())
            .bind(i64::from(event.event_version))
            .bind(event.payload.as_slice())
            .bind(event.trace_id.as_deref())
            .bind(event.correlation_id.as_deref())
            .bind(event.causation_id.as_deref())
            .bind(event.metadata.as_deref())
            .bind(event.created_at.map_or_else(|| now.to_owned(), written_time));
    }
    query.execute(&mut **tx).await.map(|_| ())
}

/// The version of an aggregate exists although its head says otherwise: the heads table is wrong.
fn insert_failed(error: sqlx::Error, doing: &str) -> StoreError {
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        let message = "an event with the same aggregate and version exists although aggregate_heads does not know it: \
                       the two tables disagree; correct aggregate_heads from the events";
        return StoreError::Invalid { message: message.to_owned() };
    }
    classify(error, doing)
}

fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    let doing = "reading an event";
    let text = |index| row.try_get_unchecked::<String, _>(index).doing(doing);
    let text_or_null = |index| row.try_get_unchecked::<Option<String>, _>(index).doing(doing);
    let int = |index| row.try_get_unchecked::<i64, _>(index).doing(doing);
    let created_at: &str = row.try_get_unchecked(13).doing(doing)?;
    Ok(Event {
        position: Position::new(unsigned(int(0)?)),
        bounded_context: text(1)?,
        aggregate_type: text(2)?,
        aggregate_id: text(3)?,
        aggregate_version: unsigned(int(4)?),
        event_id: event_id_at::<5>(row).doing(doing)?,
        event_type: text(6)?,
        event_version: u32::try_from(int(7)?).unwrap_or(0),
        payload: Payload::from_stored(row.try_get_unchecked(8).doing(doing)?),
        trace_id: text_or_null(9)?,
        correlation_id: text_or_null(10)?,
        causation_id: text_or_null(11)?,
        metadata: text_or_null(12)?,
        created_at: read_time(created_at).ok_or_else(|| corrupt("an event's created_at", created_at))?,
    })
}

fn event_id_at<const INDEX: usize>(row: &SqliteRow) -> Result<Uuid, sqlx::Error> {
    let text: &str = row.try_get_unchecked(INDEX)?;
    Uuid::parse_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Nanoseconds since 1970 as the text to store.
fn written_time(nanos: u64) -> String {
    let time =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Nanoseconds since 1970 from stored text: RFC 3339, or `YYYY-MM-DD HH:MM:SS[.f]` in UTC as SQLite's own
/// functions write it.
fn read_time(text: &str) -> Option<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok().or_else(|| {
        let (date, time) = text.split_once([' ', 'T'])?;
        let offset = if time.ends_with('Z') || time.contains(['+', '-']) { "" } else { "Z" };
        OffsetDateTime::parse(&format!("{date}T{time}{offset}"), &Rfc3339).ok()
    })?;
    u64::try_from(time.to_offset(UtcOffset::UTC).unix_timestamp_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written_here_and_elsewhere() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.5Z", Some(1_500_000_000)),
            ("1970-01-01T02:00:01.000000001+02:00", Some(1_000_000_001)),
            ("1970-01-01 00:00:01", Some(1_000_000_000)),
            ("1970-01-01 00:00:01.25", Some(1_250_000_000)),
            ("1970-01-01T00:00:01", Some(1_000_000_000)),
            ("yesterday", None),
            ("1969-12-31T23:59:59Z", None),
        ] {
            assert_eq!(read_time(text), expected, "{text}");
        }
        for nanos in [0, 1, 1_700_000_000_123_456_789] {
            assert_eq!(read_time(&written_time(nanos)), Some(nanos));
        }
    }
}
