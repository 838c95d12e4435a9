//! Reads pages of the event log in SQLite, which keeps in a column whatever it is given: a row that is no event ends
//! the page, with a message. A large row is read by itself, because the driver reads others ahead.

use futures::TryStreamExt as _;
use kennel_core::event::{Event, Payload, is_json};
use kennel_core::limits;
use kennel_core::partition::{self, HashRange};
use kennel_core::port::{Page, ReadQuery, StoreError, Unreadable};
use kennel_core::position::Position;
use kennel_core::timestamp::Timestamp;
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use super::SqliteBackend;
use crate::error::Doing;
use crate::row::{signed, unsigned};
use crate::session::ordinals;

ordinals! {
    /// The columns of a reading statement.
    EventColumns:
    global_position bounded_context aggregate_type aggregate_id aggregate_version event_id event_type event_version
    payload trace_id correlation_id causation_id metadata created_at
}

impl EventColumns {
    /// Those that the reading statement gives as a number when they are long.
    fn maybe_long(self) -> [usize; 10] {
        let Self { bounded_context, aggregate_type, aggregate_id, event_type, payload, .. } = self;
        let Self { trace_id, correlation_id, causation_id, metadata, created_at, .. } = self;
        [
            bounded_context,
            aggregate_type,
            aggregate_id,
            event_type,
            payload,
            trace_id,
            correlation_id,
            causation_id,
            metadata,
            created_at,
        ]
    }
}

/// A page in the making.
struct Filling<'a> {
    query: &'a ReadQuery<'a>,
    /// Whether every aggregate is wanted.
    everything: bool,
    page: Page,
    bytes: usize,
}

/// What has become of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It is in the page, or is not wanted.
    More,
    /// The page ends with it.
    Last,
    /// It is too long to be read with others.
    Long,
}

impl Filling<'_> {
    fn wants(&self, aggregate_id: &str) -> bool {
        let point = || partition::hash(aggregate_id);
        self.everything || self.query.ranges.iter().any(|range| range.contains(point()))
    }

    /// Takes a row of the reading statement, unless it has to be read by itself.
    fn take_short(&mut self, row: &SqliteRow, at: EventColumns) -> Taken {
        // Without its aggregate, whether a row is wanted is not known.
        if !self.everything && is_long(row, at.aggregate_id) {
            return Taken::Long;
        }
        if !self.everything && !self.wants(&identity(row, at.aggregate_id)) {
            return Taken::More;
        }
        match event(row, at) {
            // No event has a number where its text should be, so only a row that is none has to be looked at again.
            Err(_) if at.maybe_long().into_iter().any(|index| is_long(row, index)) => Taken::Long,
            read => self.add(row, at, read),
        }
    }

    /// Takes a row that was read by itself.
    fn take_long(&mut self, row: &SqliteRow, at: EventColumns) -> Taken {
        let read = event(row, at);
        self.add(row, at, read)
    }

    fn add(&mut self, row: &SqliteRow, at: EventColumns, read: Result<Event, String>) -> Taken {
        match read {
            Ok(event) => {
                self.bytes += event.bytes();
                self.page.events.push(event);
                let is_full =
                    self.page.events.len() >= self.query.limit || self.bytes >= limits::BATCH_EVENT_BYTES_MAX;
                if is_full { Taken::Last } else { Taken::More }
            }
            Err(reason) => self.end(Unreadable {
                position: self.page.reached,
                event_id: event_id(row, at).ok(),
                event_type: identity(row, at.event_type),
                aggregate_id: identity(row, at.aggregate_id),
                reason,
            }),
        }
    }

    fn end(&mut self, unreadable: Unreadable) -> Taken {
        self.page.unreadable = Some(unreadable);
        Taken::Last
    }
}

impl SqliteBackend {
    pub(super) async fn read_page(&self, query: &ReadQuery<'_>) -> Result<Page, StoreError> {
        let doing = "reading events";
        let list = |names: &[String]| (!names.is_empty()).then(|| serde_json::json!(names).to_string());
        let scope = query.scope;
        let lists = [list(&scope.bounded_contexts), list(&scope.aggregate_types), list(&scope.event_types)];
        let end = query.end();
        let mut filling = Filling {
            query,
            everything: query.ranges.contains(&HashRange::ALL),
            page: Page { reached: query.after, ..Page::default() },
            bytes: 0,
        };
        // The hash of an aggregate id cannot be computed here in SQL, so rows of other partitions are read
        // and left out, until the page is full or the log ends.
        loop {
            let [contexts, types, events] = lists.clone();
            let mut rows = sqlx::query(self.sql.events_read.clone())
                .bind(signed(filling.page.reached.get()))
                .bind(signed(end.get()))
                .bind(contexts)
                .bind(types)
                .bind(events)
                .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
                .fetch(&self.readers);
            let (mut rows_read, mut taken, mut columns) = (0, Taken::More, None);
            while taken == Taken::More
                && let Some(row) = rows.try_next().await.doing(doing)?
            {
                rows_read += 1;
                let at = EventColumns::of(&mut columns, &row).doing(doing)?;
                filling.page.reached = Position::new(unsigned(row.try_get(at.global_position).doing(doing)?));
                taken = filling.take_short(&row, at);
            }
            // Before another statement begins: a task that held a connection and waited for a second could wait for
            // a task that does the same.
            drop(rows);
            match taken {
                Taken::Last => return Ok(filling.page),
                Taken::Long if self.read_long(&mut filling).await? == Taken::Last => return Ok(filling.page),
                Taken::More if rows_read < query.limit => {
                    filling.page.reached = end.max(query.after);
                    return Ok(filling.page);
                }
                Taken::Long | Taken::More => {}
            }
        }
    }

    /// Reads the row that the page has reached by itself.
    async fn read_long(&self, filling: &mut Filling<'_>) -> Result<Taken, StoreError> {
        let doing = "reading a large event";
        let position = signed(filling.page.reached.get());
        let size = sqlx::query(self.sql.events_size.clone()).bind(position);
        let Some(size) = size.fetch_optional(&self.readers).await.doing(doing)? else {
            return Ok(Taken::More);
        };
        let bytes = unsigned(size.try_get("bytes").doing(doing)?);
        let aggregate_id = identity(&size, "aggregate_id");
        if !filling.wants(&aggregate_id) {
            return Ok(Taken::More);
        }
        if bytes > limits::EVENT_BYTES_MAX as u64 {
            let max = limits::EVENT_BYTES_MAX;
            return Ok(filling.end(Unreadable {
                position: filling.page.reached,
                event_id: Uuid::parse_str(&identity(&size, "event_id")).ok(),
                event_type: identity(&size, "event_type"),
                aggregate_id,
                reason: format!("the event has {bytes} bytes; at most {max} are read"),
            }));
        }
        let row = sqlx::query(self.sql.events_one.clone()).bind(position);
        let row = row.fetch_optional(&self.readers).await.doing(doing)?;
        let Some(row) = row else { return Ok(Taken::More) };
        Ok(filling.take_long(&row, EventColumns::of(&mut None, &row).doing(doing)?))
    }
}

/// Whether the reading statement has left a column out because it is long.
fn is_long(row: &SqliteRow, index: usize) -> bool {
    kind(row, index) == "INTEGER"
}

/// The kind of value that a column holds, as SQLite names it.
fn kind(row: &SqliteRow, index: usize) -> &'static str {
    row.try_get_raw(index).map_or("NULL", |value| kind_of(&value))
}

fn kind_of(value: &SqliteValueRef<'_>) -> &'static str {
    if value.is_null() {
        return "NULL";
    }
    match value.type_info().name() {
        "INTEGER" => "INTEGER",
        "REAL" => "REAL",
        "BLOB" => "BLOB",
        _ => "TEXT",
    }
}

/// What a column says of which row it is, as far as it is text.
fn identity(row: &SqliteRow, column: impl sqlx::ColumnIndex<SqliteRow> + Copy) -> String {
    if let Ok(text) = row.try_get_unchecked::<&str, _>(column) {
        return text.to_owned();
    }
    // A value that was asked for text is not to be asked for anything else; its copy is.
    let copy = row.try_get_raw(column).ok().and_then(|value| value.try_to_owned().ok());
    let bytes = copy.and_then(|copy| {
        let value = sqlx::Value::as_ref(&copy);
        <Vec<u8> as sqlx::Decode<'_, sqlx::Sqlite>>::decode(value).ok()
    });
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The event of a row, or why it is invalid.
fn event(row: &SqliteRow, at: EventColumns) -> Result<Event, String> {
    let metadata = text_or_null(row, at.metadata, "metadata")?;
    if metadata.as_deref().is_some_and(|metadata| !is_json(metadata)) {
        return Err("metadata is not JSON".to_owned());
    }
    let event_version = number(row, at.event_version, "event_version")?;
    let created_at = text(row, at.created_at, "created_at")?;
    Ok(Event {
        position: Position::new(number(row, at.global_position, "global_position")?),
        bounded_context: text(row, at.bounded_context, "bounded_context")?,
        aggregate_type: text(row, at.aggregate_type, "aggregate_type")?,
        aggregate_id: text(row, at.aggregate_id, "aggregate_id")?,
        aggregate_version: number(row, at.aggregate_version, "aggregate_version")?,
        event_id: event_id(row, at)?,
        event_type: text(row, at.event_type, "event_type")?,
        event_version: u32::try_from(event_version)
            .map_err(|_| format!("event_version is {event_version}, more than {}", u32::MAX))?,
        payload: Payload::from_stored(payload(row, at.payload)?),
        trace_id: text_or_null(row, at.trace_id, "trace_id")?,
        correlation_id: text_or_null(row, at.correlation_id, "correlation_id")?,
        causation_id: text_or_null(row, at.causation_id, "causation_id")?,
        metadata,
        created_at: Timestamp::parse(&created_at).ok_or_else(|| no_time(&created_at))?,
    })
}

fn no_time(found: &str) -> String {
    let found = limits::excerpt(found);
    if found.trim_start_matches(['-', '+']).eq_ignore_ascii_case("infinity") {
        return format!("created_at is {found}, which is no time");
    }
    format!("created_at is no time like 2026-01-31T12:00:00Z: `{found}`")
}

fn number(row: &SqliteRow, index: usize, name: &str) -> Result<u64, String> {
    match kind(row, index) {
        "INTEGER" => {}
        "NULL" => return Err(format!("{name} is NULL")),
        other => return Err(format!("{name} is {other}; INTEGER is read")),
    }
    let number: i64 =
        row.try_get_unchecked(index).map_err(|error| format!("{name} cannot be read: {error}"))?;
    u64::try_from(number).map_err(|_| format!("{name} is {number}, less than 0"))
}

fn text(row: &SqliteRow, index: usize, name: &str) -> Result<String, String> {
    text_or_null(row, index, name)?.ok_or_else(|| format!("{name} is NULL"))
}

/// Text, also where a writer has bound its bytes.
fn text_or_null(row: &SqliteRow, index: usize, name: &str) -> Result<Option<String>, String> {
    let value = row.try_get_raw(index).map_err(|error| format!("{name} cannot be read: {error}"))?;
    match kind_of(&value) {
        "NULL" => return Ok(None),
        "TEXT" | "BLOB" => {}
        other => return Err(format!("{name} is {other}; TEXT is read")),
    }
    <String as sqlx::Decode<'_, sqlx::Sqlite>>::decode(value)
        .map(Some)
        .map_err(|_| format!("{name} is not UTF-8 text"))
}

fn payload(row: &SqliteRow, index: usize) -> Result<Vec<u8>, String> {
    match kind(row, index) {
        "NULL" => return Err("payload is NULL".to_owned()),
        "TEXT" | "BLOB" => {}
        other => return Err(format!("payload is {other}; BLOB is read")),
    }
    row.try_get_unchecked(index).map_err(|error| format!("payload cannot be read: {error}"))
}

/// A UUID as text, or its 16 bytes.
fn event_id(row: &SqliteRow, at: EventColumns) -> Result<Uuid, String> {
    if kind(row, at.event_id) == "BLOB" {
        let bytes: &[u8] = row.try_get_unchecked(at.event_id).map_err(|error| error.to_string())?;
        return Uuid::from_slice(bytes)
            .map_err(|_| format!("event_id has {} bytes and is no UUID", bytes.len()));
    }
    let text = text(row, at.event_id, "event_id")?;
    Uuid::parse_str(&text).map_err(|_| format!("event_id is not a UUID: `{}`", limits::excerpt(&text)))
}
