//! The event log in PostgreSQL: high-water mark and appending. How pages are read is in `reading`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use kennel_core::event::NewEvent;
use kennel_core::port::{Appended, HighWaterMark, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_core::witness::Witness;
use sqlx::{Row as _, SqlStr};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::decoding::since_2000;
use super::log_watch::LogWatch;
use super::{PostgresBackend, Tx};
use crate::append::{Aggregate, Culprit, Numbered, aggregate_of, check, number};
use crate::backend::EventLog;
use crate::error::{Doing, classify, reason_of_row};
use crate::high_water_mark::{Question, SEARCH_MAX, Tracker};
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Row as _, Tx as _};

/// Rows in one insert: enough to make round trips cheap, few enough to keep a message small.
const INSERT_ROWS: usize = 2_000;
/// How often an append that met another one is begun again.
const APPEND_ATTEMPTS: u32 = 10;

/// What this process knows of the high-water mark, looked at by one caller at a time.
#[derive(Debug, Default)]
pub(crate) struct SharedHighWaterMark {
    known: Mutex<Known>,
    looks: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    tracker: Option<Tracker>,
    /// The last event at or below the high-water mark: while the log holds it there, it is the log that it was.
    witness: Option<Witness>,
    /// Since when the server runs, in microseconds since 1970.
    server: Option<i64>,
    incarnation: u64,
    /// The number of the look that found this out.
    finished: u64,
    watch: LogWatch,
}

impl Known {
    /// Whether this was seen of another log than the known one: one that was set back, or that another server has.
    fn is_other(&self, seen: &Seen) -> bool {
        let is_another_server = self.server.is_some_and(|server| server != seen.server);
        self.tracker.is_some() && (is_another_server || seen.witness != self.witness)
    }

    /// Forgets a log that is not there any more.
    fn forget(&mut self) {
        *self = Self { incarnation: self.incarnation + 1, ..Self::default() };
    }

    fn high_water_mark(&self) -> Option<HighWaterMark> {
        let high_water_mark = self.tracker.as_ref()?.high_water_mark();
        // Reported with the event that is there, and no farther: should the log have been set back a moment ago, what
        // was settled in the old one says nothing of the new one.
        let position = self.witness.map_or(Position::START, |witness| witness.position);
        Some(HighWaterMark {
            position,
            witness: self.witness,
            incarnation: self.incarnation,
            ..high_water_mark
        })
    }
}

/// The end of the log, seen by one statement, so that all of it fits.
struct Seen {
    head: Position,
    /// The last event, if there is one.
    last: Option<Witness>,
    /// Events above what was settled, and not too far from it.
    grown: u64,
    /// The last event at or below the position of the witness that was known.
    witness: Option<Witness>,
    server: i64,
}

impl EventLog for PostgresBackend {
    /// See [`crate::high_water_mark`].
    ///
    /// Callers that wait while another looks share what the next look finds.
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        let arrived = self.high_water_mark.looks.load(Ordering::SeqCst);
        let mut known = self.high_water_mark.known.lock().await;
        if let Some(high_water_mark) = known.high_water_mark().filter(|_| known.finished > arrived) {
            return Ok(high_water_mark);
        }
        let look = self.high_water_mark.looks.fetch_add(1, Ordering::SeqCst) + 1;
        loop {
            match self.look(&mut known).await {
                Ok(Some(high_water_mark)) => {
                    known.finished = look;
                    return Ok(high_water_mark);
                }
                Ok(None) => {}
                // A log that is not fit may be one that cannot even be asked: why it is not says more.
                Err(error @ StoreError::Failed { .. }) => {
                    self.see_fit(&mut known.watch).await?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read(&self, query: &ReadQuery<'_>) -> Result<Page, StoreError> {
        self.read_page(query).await
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        let doing = "appending events";
        check(events)?;
        let mut attempt = 1;
        loop {
            match self.try_append(events, true).await {
                Ok(appended) => {
                    self.listen.announce();
                    return Ok(appended);
                }
                Err(Failed::Invalid(error)) => return Err(error),
                // Another writer has just begun one of the aggregates or written one of the events: looking again
                // shows which, with a message.
                Err(Failed::Database(error)) if is_race(&error) && attempt < APPEND_ATTEMPTS => attempt += 1,
                Err(Failed::Database(error)) if is_race(&error) => {
                    let message = "an event with the same aggregate and version exists although the table of aggregate \
                                   heads does not know it: the two disagree; correct the heads from the events";
                    return Err(StoreError::Invalid { message: message.to_owned() });
                }
                Err(Failed::Database(error)) => {
                    let Some(reason) = reason_of_row(&error) else { return Err(classify(error, doing)) };
                    return Err(self.invalid(events, reason).await?);
                }
            }
        }
    }

    async fn notification(&self) {
        self.listen.next().await;
    }

    async fn common(
        &self,
        tx: &mut Tx,
        read_model: ReadModelId,
        upto: Position,
        moved_at: i64,
    ) -> Result<Option<Position>, sqlx::Error> {
        let upto = Arg::Int(signed(upto.get()));
        let args = |with_rows| [upto, Arg::Int(moved_at), Arg::Int(with_rows), Arg::Int(read_model.get())];
        let row = match tx.row(&self.sql.events_common, &args(1)).await? {
            Some(row) => Some(row),
            // Rows that were loaded anew from a dump are all younger than the checkpoint.
            None => tx.row(&self.sql.events_common, &args(0)).await?,
        };
        row.map(|row| row::position(&row, "global_position")).transpose()
    }
}

impl PostgresBackend {
    /// Looks once; nothing if it had to be seen first that this is no longer the log that was known.
    async fn look(&self, known: &mut Known) -> Result<Option<HighWaterMark>, StoreError> {
        // The floor is asked for before the head: a checkpoint that lies behind the head by then was behind
        // a high-water mark, and one beyond it belongs to a log that this one has replaced.
        let floor = match known.tracker {
            Some(_) => Position::START,
            None => self.position(&self.sql.events_floor).await?,
        };
        let settled = known.tracker.as_ref().map_or(floor, |tracker| tracker.high_water_mark().position);
        // While writers are waited for there is a gap for certain, and no use in counting.
        let counts = !known.tracker.as_ref().is_some_and(Tracker::waits);
        let mut seen = self.seen(settled, counts, known.witness).await?;
        if !known.is_other(&seen)
            && let Err(error) = self.see_fit_lately(&mut known.watch).await
        {
            // What looks as if it had come too late may belong to a log that was set back a moment ago.
            seen = self.seen(settled, counts, known.witness).await?;
            if !known.is_other(&seen) {
                return Err(error);
            }
        }
        if known.is_other(&seen) {
            known.forget();
            return Ok(None);
        }
        known.server = Some(seen.server);
        let Known { tracker, watch, .. } = known;
        let tracker = tracker.get_or_insert_with(|| Tracker::starting_at(floor.min(seen.head)));
        let mut question = tracker.look(seen.head);
        let mut complete_after = None;
        if let Question::FirstMissing { after, upto } = question {
            let is_complete =
                counts && (after, upto) == (settled, seen.head) && seen.grown == upto.distance_from(after);
            complete_after = is_complete.then_some(after);
            let missing = if is_complete { None } else { self.first_missing(after, upto).await? };
            question = tracker.first_missing(missing);
        }
        if question == Question::Writers {
            // Both after the head was read: a writer that could draw or hold a position below it then is on the list.
            self.see_fit(watch).await?;
            let open = self.writers().await?;
            // Transactions that were prepared bear other names at a server that was started again.
            if open.server.is_some_and(|server| server != seen.server) {
                known.forget();
                return Ok(None);
            }
            tracker.writers(open.writers);
        }
        let reached = tracker.high_water_mark().position;
        self.note_gaps(watch, reached, complete_after).await?;
        known.witness = match known.witness {
            _ if reached == seen.head => seen.last,
            Some(witness) if reached == settled => Some(witness),
            _ => self.last_event(reached).await?,
        };
        Ok(known.high_water_mark())
    }

    async fn position(&self, sql: &SqlStr) -> Result<Position, StoreError> {
        let number = sqlx::query_scalar(sql.clone()).fetch_one(&self.pool).await;
        let number: i64 = number.doing("reading the head of the event log")?;
        Ok(Position::new(unsigned(number)))
    }

    /// The end of the log. `counts`: how much it has grown beyond `settled`.
    async fn seen(
        &self,
        settled: Position,
        counts: bool,
        witness: Option<Witness>,
    ) -> Result<Seen, StoreError> {
        let upto = if counts { settled.get().saturating_add(SEARCH_MAX) } else { settled.get() };
        let query = sqlx::query(self.sql.events_grown.clone())
            .bind(signed(settled.get()))
            .bind(signed(upto))
            .bind(witness.map_or(0, |witness| signed(witness.position.get())));
        let doing = "reading the head of the event log";
        let row = query.fetch_one(&self.pool).await.doing(doing)?;
        let int = |column: &str| row.int(column).doing(doing);
        Ok(Seen {
            head: Position::new(unsigned(int("head")?)),
            last: row::witness_of(&row, "head", "head_id")?,
            grown: unsigned(int("grown")?),
            witness: row::witness(&row)?,
            server: int("server")?,
        })
    }

    async fn last_event(&self, upto: Position) -> Result<Option<Witness>, StoreError> {
        let query = sqlx::query(self.last_event.clone()).bind(signed(upto.get()));
        let row = query.fetch_one(&self.pool).await.doing("reading the last event of a position")?;
        row::witness(&row)
    }

    async fn first_missing(&self, after: Position, upto: Position) -> Result<Option<Position>, StoreError> {
        let doing = "looking for missing positions in the event log";
        let query = sqlx::query_scalar(self.sql.events_first_missing.clone());
        let number: Option<i64> = query
            .bind(signed(after.get()))
            .bind(signed(upto.get()))
            .fetch_optional(&self.pool)
            .await
            .doing(doing)?;
        Ok(number.map(|number| Position::new(unsigned(number))))
    }

    /// Finds out which event the database does not take. It only says that one of them is wrong.
    async fn invalid(&self, events: &[NewEvent], reason: String) -> Result<StoreError, StoreError> {
        let mut culprit = Culprit::among(events.len(), reason);
        while let Some(some) = culprit.next() {
            let invalid = match self.try_append(&events[..some], false).await {
                Ok(_) => None,
                Err(Failed::Invalid(error)) => return Err(error),
                Err(Failed::Database(error)) => {
                    let reason = reason_of_row(&error);
                    let doing = "looking for an event that the database does not take";
                    Some(reason.ok_or_else(|| classify(error, doing))?)
                }
            };
            culprit.tried(some, invalid);
        }
        Ok(culprit.found(events))
    }

    /// Appends, or only tries to and leaves no trace.
    async fn try_append(&self, events: &[NewEvent], keep: bool) -> Result<Appended, Failed> {
        let mut tx = self.pool.begin().await?;
        // The heads come first: the transaction that holds them is alone with these aggregates, so that the events
        // that are known afterwards are all that will be.
        let mut heads = self.lock_heads(&mut tx, events).await?;
        let ids: Vec<Uuid> = events.iter().map(|event| event.event_id).collect();
        let known = sqlx::query_scalar(self.sql.events_known.clone()).bind(ids).fetch_all(&mut *tx).await?;
        let mut known: HashSet<Uuid> = known.into_iter().collect();
        let numbered = number(events, &mut known, &mut heads).map_err(Failed::Invalid)?;
        for rows in numbered.chunks(INSERT_ROWS) {
            self.insert(&mut tx, rows).await?;
        }
        if !numbered.is_empty() {
            self.move_heads(&mut tx, &numbered, &heads).await?;
            sqlx::query(self.sql.notify.clone()).execute(&mut *tx).await?;
        }
        let head: i64 = sqlx::query_scalar(self.sql.events_head.clone()).fetch_one(&mut *tx).await?;
        if keep {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        let written = numbered.len();
        Ok(Appended {
            written: written as u64,
            skipped: (events.len() - written) as u64,
            head: Position::new(unsigned(head)),
        })
    }

    async fn lock_heads<'a>(
        &self,
        tx: &mut Tx,
        events: &'a [NewEvent],
    ) -> Result<HashMap<Aggregate<'a>, i64>, sqlx::Error> {
        let mut wanted: Vec<Aggregate<'a>> = events.iter().map(aggregate_of).collect();
        // In one order for all appends, so that two of them wait one for the other.
        wanted.sort_unstable();
        wanted.dedup();
        let (contexts, types, ids) = columns(&wanted);
        let query = sqlx::query(self.sql.heads_lock.clone()).bind(contexts).bind(types).bind(ids);
        let mut heads = HashMap::new();
        for row in query.fetch_all(&mut **tx).await? {
            let index = usize::try_from(row.try_get::<i64, _>("number")? - 1).unwrap_or(usize::MAX);
            if let Some(aggregate) = wanted.get(index) {
                heads.insert(*aggregate, row.try_get("aggregate_version")?);
            }
        }
        Ok(heads)
    }

    async fn move_heads(
        &self,
        tx: &mut Tx,
        numbered: &[Numbered<'_>],
        heads: &HashMap<Aggregate<'_>, i64>,
    ) -> Result<(), sqlx::Error> {
        let mut moved: Vec<Aggregate<'_>> = numbered.iter().map(|row| aggregate_of(row.event)).collect();
        moved.sort_unstable();
        moved.dedup();
        let (contexts, types, ids) = columns(&moved);
        let versions: Vec<i64> = moved.iter().map(|name| heads.get(name).copied().unwrap_or(0)).collect();
        let query = sqlx::query(self.sql.heads_put.clone());
        query.bind(contexts).bind(types).bind(ids).bind(versions).execute(&mut **tx).await.map(|_| ())
    }

    async fn insert(&self, tx: &mut Tx, rows: &[Numbered<'_>]) -> Result<(), sqlx::Error> {
        fn column<'a, T>(rows: &'a [Numbered<'a>], of: impl Fn(&'a NewEvent) -> T) -> Vec<T> {
            rows.iter().map(|row| of(row.event)).collect()
        }
        let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
        let query = sqlx::query(self.sql.events_insert.clone())
            .bind(column(rows, |event| event.bounded_context.as_str()))
            .bind(column(rows, |event| event.aggregate_type.as_str()))
            .bind(column(rows, |event| event.aggregate_id.as_str()))
            .bind(versions)
            .bind(column(rows, |event| event.event_id))
            .bind(column(rows, |event| event.event_type.as_str()))
            .bind(column(rows, |event| i32::try_from(event.event_version).unwrap_or(i32::MAX)))
            .bind(column(rows, |event| event.payload.as_slice()))
            .bind(column(rows, |event| event.trace_id.as_deref()))
            .bind(column(rows, |event| event.correlation_id.as_deref()))
            .bind(column(rows, |event| event.causation_id.as_deref()))
            .bind(column(rows, |event| event.metadata.as_deref()))
            .bind(column(rows, |event| event.created_at.and_then(since_2000)));
        query.execute(&mut **tx).await.map(|_| ())
    }
}

/// Why an append came to nothing.
enum Failed {
    Invalid(StoreError),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A unique violation, or a deadlock with another append.
fn is_race(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("23505" | "40P01" | "40001"))
}

fn columns<'a>(aggregates: &[Aggregate<'a>]) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let contexts = aggregates.iter().map(|name| name.0).collect();
    let types = aggregates.iter().map(|name| name.1).collect();
    (contexts, types, aggregates.iter().map(|name| name.2).collect())
}
