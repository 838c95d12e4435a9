//! Reads pages of the event log in PostgreSQL.
//!
//! Nothing that a writer can do makes a page take more memory than it may, and nothing makes it fail for ever. Most logs
//! have short rows, and one statement reads these without weighing them, as long as a page of them is sure to fit. Where
//! a long row has turned up, another statement stops by the bytes that rows have as they are stored. Metadata may have
//! far more bytes written out: rows are taken one by one, until the page is full by what they really have, and the next
//! statement is asked for accordingly less. A row that cannot be read ends the page.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::TryStreamExt as _;
use kennel_core::event::Event;
use kennel_core::limits;
use kennel_core::partition::{HASH_SPACE, HashRange};
use kennel_core::port::{Page, ReadQuery, StoreError, Unreadable};
use kennel_core::position::Position;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _, SqlStr};
use uuid::Uuid;

use super::PostgresBackend;
use super::decoding::{
    EventColumns, SHORT_PAYLOAD, SHORT_TEXT, event, is_long, is_short, row_bytes, stored_upto,
};
use crate::error::{Doing, classify, reason_of_row, was_cut_short};
use crate::row::{signed, unsigned};
use crate::sql::{TableNames, statement};

/// Positions that a reading statement looks at: at least, beside what the page should need, and at most.
const WINDOW_MIN: u64 = 64;
const WINDOW_MAX: u64 = 100_000;
/// Bytes that are thrown away at most when a page has turned out fuller than was asked for. A connection with more to
/// come is abandoned.
const DROPPED_BYTES_MAX: usize = limits::BATCH_EVENT_BYTES_MAX;
/// What stands for a ratio of 1.
const PER_MILLE: u64 = 1000;

/// A statement in its three forms: without a partition, with one range, with several.
#[derive(Debug)]
struct Forms {
    all: SqlStr,
    one_range: SqlStr,
    ranges: SqlStr,
}

impl Forms {
    fn new(names: &TableNames, template: &str) -> Self {
        const HASH: &str = "('x' || substr(md5(coalesce(aggregate_id::text, '')), 1, 8))::bit(32)::bigint";
        let wanted = include_str!("../../sql/postgres/events_wanted.sql");
        let template = template
            .replace("{wanted}", wanted.trim())
            .replace("{event_bytes_max}", &limits::EVENT_BYTES_MAX.to_string())
            .replace("{short_payload}", &SHORT_PAYLOAD.to_string())
            .replace("{short_text}", &SHORT_TEXT.to_string());
        let template = names.fill(&template);
        let of = |in_ranges: &str| {
            statement(template.as_str().replace("{in_ranges}", &in_ranges.replace("{hash}", HASH)))
        };
        Self {
            all: of("true"),
            one_range: of("{hash} >= $8 AND {hash} < $9"),
            ranges: of(
                "EXISTS (SELECT FROM unnest($8::bigint[], $9::bigint[]) AS owned(range_start, range_end) \
                 WHERE {hash} >= range_start AND {hash} < range_end)",
            ),
        }
    }

    /// The form for a query, with its parameters.
    fn bound<'a>(&self, query: &ReadQuery<'_>, bytes: u64) -> Query<'a, Postgres, PgArguments> {
        let list = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
        let scoped = |sql: &SqlStr| {
            sqlx::query(sql.clone())
                .bind(signed(query.after.get()))
                .bind(signed(query.upto.get()))
                .bind(list(&query.scope.bounded_contexts))
                .bind(list(&query.scope.aggregate_types))
                .bind(list(&query.scope.event_types))
                .bind(i64::try_from(query.limit).unwrap_or(i64::MAX))
                .bind(signed(bytes))
        };
        let (starts, ends): (Vec<i64>, Vec<i64>) =
            query.ranges.iter().map(|range| (signed(range.start()), signed(range.end()))).unzip();
        match query.ranges {
            _ if query.ranges.contains(&HashRange::ALL) => scoped(&self.all),
            [_] => scoped(&self.one_range).bind(starts[0]).bind(ends[0]),
            _ => scoped(&self.ranges).bind(starts).bind(ends),
        }
    }
}

/// The reading statements, and how much larger rows were than they are stored when a page was read last, in thousandths.
#[derive(Debug)]
pub(crate) struct ReadSql {
    read: Forms,
    read_weighed: Forms,
    identify: Forms,
    /// Whether all rows that were read last were short.
    are_short: AtomicBool,
    ratio: AtomicU64,
    /// Positions that one statement is known to get through before the database cuts it short.
    fits: AtomicU64,
}

impl ReadSql {
    pub(crate) fn new(names: &TableNames) -> Self {
        Self {
            read: Forms::new(names, include_str!("../../sql/postgres/events_read.sql")),
            read_weighed: Forms::new(names, include_str!("../../sql/postgres/events_read_weighed.sql")),
            identify: Forms::new(names, include_str!("../../sql/postgres/events_identify.sql")),
            are_short: AtomicBool::new(true),
            ratio: AtomicU64::new(PER_MILLE),
            fits: AtomicU64::new(u64::MAX),
        }
    }

    /// How many stored bytes to ask for where so many are wanted.
    fn stored_bytes(&self, bytes: usize) -> u64 {
        ((bytes as u64).saturating_mul(PER_MILLE) / self.ratio.load(Ordering::Relaxed)).max(1)
    }

    fn learn(&self, window: &Window) {
        let bytes = (window.bytes as u64).saturating_mul(PER_MILLE);
        if let Some(ratio) = bytes.checked_div(window.stored) {
            self.ratio.store(ratio.max(PER_MILLE), Ordering::Relaxed);
        }
        let are_short = !window.met_long && window.events.iter().all(is_short);
        self.are_short.store(are_short, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl ReadSql {
    pub(crate) fn all(&self) -> impl Iterator<Item = &SqlStr> {
        [&self.read, &self.read_weighed, &self.identify]
            .into_iter()
            .flat_map(|forms| [&forms.all, &forms.one_range, &forms.ranges])
    }
}

/// What a statement has found.
#[derive(Default)]
struct Window {
    events: Vec<Event>,
    bytes: usize,
    /// The same, as the rows are stored, where they were weighed.
    stored: u64,
    /// Whether the row after these is a long one that was not read.
    met_long: bool,
    end: End,
}

/// Where a statement has ended.
#[derive(Default)]
enum End {
    /// At the end of its window.
    #[default]
    Window,
    /// At its last row, because the page is full.
    Row,
    /// At its last row, though the page may have room: it was to find no more rows, or the next is a long one.
    Rows,
    Unreadable(Unreadable),
}

impl PostgresBackend {
    /// Reads a page, window by window of the log.
    ///
    /// A statement never looks farther than its window. Left to itself, the planner takes the hash for a
    /// rare one and reads and sorts all the rest of the log to find a page of it.
    pub(super) async fn read_page(&self, query: &ReadQuery<'_>) -> Result<Page, StoreError> {
        let mut page = Page { reached: query.after, ..Page::default() };
        let covered: u64 = query.ranges.iter().map(|range| range.end() - range.start()).sum();
        if covered == 0 {
            page.reached = query.upto.max(query.after);
            return Ok(page);
        }
        let mut window = (query.limit as u64).saturating_mul(HASH_SPACE) / covered;
        window += window / 4 + WINDOW_MIN;
        let mut fits = self.read.fits.load(Ordering::Relaxed);
        let mut bytes = 0;
        let end = query.end();
        while page.reached < end {
            window = window.min(fits);
            let upto = end.min(Position::new(page.reached.get().saturating_add(window)));
            let missing = ReadQuery {
                after: page.reached,
                upto,
                limit: query.limit - page.events.len(),
                ..query.clone()
            };
            let found = match self.read_window(&missing, limits::BATCH_EVENT_BYTES_MAX - bytes).await {
                Err(error) if was_cut_short(&error) && window > 1 => {
                    fits = self.read_less(window, &error);
                    continue;
                }
                read => read?,
            };
            let last = found.events.last().map_or(missing.after, |event| event.position);
            bytes += found.bytes;
            page.events.extend(found.events);
            page.reached = upto;
            match found.end {
                End::Unreadable(unreadable) => {
                    page.reached = unreadable.position;
                    page.unreadable = Some(unreadable);
                    break;
                }
                // A page that was cut short, by either bound, ends at its last row.
                End::Row => page.reached = last,
                End::Rows => {
                    page.reached = last;
                    if page.events.len() < query.limit && bytes < limits::BATCH_EVENT_BYTES_MAX {
                        continue;
                    }
                }
                End::Window if bytes < limits::BATCH_EVENT_BYTES_MAX => {
                    window = (window * 4).min(WINDOW_MAX.max(window));
                    continue;
                }
                End::Window => {}
            }
            break;
        }
        page.reached = page.reached.max(query.after);
        // What was too much once may fit later, when the server is less busy.
        self.read.fits.store(fits.saturating_add(fits / 16), Ordering::Relaxed);
        Ok(page)
    }

    /// Has statements look less far, because one was cut short.
    fn read_less(&self, window: u64, error: &StoreError) -> u64 {
        let fits = (window / 4).max(1);
        if self.read.fits.swap(fits, Ordering::Relaxed) == u64::MAX {
            tracing::warn!(
                reason = error.source().map(ToString::to_string),
                positions = fits,
                "the database cuts reads of the log short: reading less at a time; raise `statement_timeout` of \
                 Kennel's role"
            );
        }
        fits
    }

    async fn read_window(&self, query: &ReadQuery<'_>, bytes_max: usize) -> Result<Window, StoreError> {
        let mut found = Window::default();
        match self.take_rows(query, bytes_max, &mut found).await {
            Ok(()) => {}
            Err(error) => {
                let Some(reason) = reason_of_row(&error) else {
                    return Err(classify(error, "reading events"));
                };
                if found.events.is_empty() {
                    // Which row it was is only certain when there was no other.
                    if query.limit > 1 {
                        let one = ReadQuery { limit: 1, ..query.clone() };
                        found = Box::pin(self.read_window(&one, bytes_max)).await?;
                        if matches!(found.end, End::Window | End::Rows) && !found.events.is_empty() {
                            found.end = End::Row;
                        }
                        return Ok(found);
                    }
                    found.end = self.identify(query, reason).await?;
                } else {
                    // What came before the row is a page; the next one begins with it.
                    found.end = End::Row;
                }
            }
        }
        self.read.learn(&found);
        Ok(found)
    }

    /// Takes rows until a long one is met, the page is full, one cannot be read, or there are no more.
    async fn take_rows(
        &self,
        query: &ReadQuery<'_>,
        bytes_max: usize,
        found: &mut Window,
    ) -> Result<(), sqlx::Error> {
        let weighs = !self.read.are_short.load(Ordering::Relaxed);
        let stored_max = self.read.stored_bytes(bytes_max);
        // Without weights, no more rows than fit for certain.
        let rows_max = if weighs { query.limit } else { query.limit.min((bytes_max / SHORT_PAYLOAD).max(1)) };
        let forms = if weighs { &self.read.read_weighed } else { &self.read.read };
        let query = ReadQuery { limit: rows_max, ..query.clone() };
        let mut connection = self.pool.acquire().await?;
        let mut rows = forms.bound(&query, stored_max).fetch(&mut *connection);
        let (mut dropped, mut columns) = (0, None);
        while let Some(row) = rows.try_next().await? {
            if !matches!(found.end, End::Window) {
                dropped += row_bytes(&row);
                if dropped > DROPPED_BYTES_MAX {
                    drop(rows);
                    // The server stops when no client takes what it sends.
                    connection.discard();
                    return Ok(());
                }
                continue;
            }
            if !weighs && is_long(&row)? {
                found.met_long = true;
                found.end = End::Rows;
                continue;
            }
            match event(&row, EventColumns::of(&mut columns, &row)?) {
                Ok(event) => {
                    found.bytes += event.bytes();
                    found.stored = if weighs { stored_upto(&row)? } else { 0 };
                    found.events.push(event);
                    if found.bytes >= bytes_max || found.stored >= stored_max {
                        found.end = End::Row;
                    }
                }
                Err(unreadable) => found.end = End::Unreadable(unreadable),
            }
        }
        drop(rows);
        if matches!(found.end, End::Window) && found.events.len() >= rows_max {
            found.end = End::Rows;
        }
        connection.done(Ok(()))
    }

    /// The first row of a query, which cannot be read for this reason.
    async fn identify(&self, query: &ReadQuery<'_>, reason: String) -> Result<End, StoreError> {
        let doing = "looking for an event that cannot be read";
        let Some(row) = self.read.identify.bound(query, 1).fetch_optional(&self.pool).await.doing(doing)?
        else {
            return Ok(End::Window);
        };
        let text = |column: &str| row_text(&row, column).unwrap_or_default();
        Ok(End::Unreadable(Unreadable {
            position: Position::new(unsigned(row.try_get("global_position").doing(doing)?)),
            event_id: Uuid::parse_str(&text("event_id")).ok(),
            event_type: text("event_type"),
            aggregate_id: text("aggregate_id"),
            reason,
        }))
    }
}

fn row_text(row: &PgRow, column: &str) -> Option<String> {
    row.try_get::<Option<String>, _>(column).ok().flatten()
}
