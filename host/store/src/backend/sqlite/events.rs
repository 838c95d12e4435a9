//! The event log in SQLite: where it ends, and appending. How pages are read is in `reading`.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use kennel_core::event::NewEvent;
use kennel_core::port::{Appended, HighWaterMark, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_core::witness::Witness;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlStr, Sqlite, Transaction};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::SqliteBackend;
use crate::append::{Aggregate, Culprit, Numbered, aggregate_of, check, number};
use crate::backend::{EventLog, Transactions as _};
use crate::error::{Doing, classify, reason_of_row};
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Durability, Row as _, Tx as _};
use crate::sql::statement;

/// Rows per insert. Few sizes, so that few statements have to be prepared; large ones, because every
/// statement is a round trip to the connection's thread.
const INSERT_ROWS: [usize; 3] = [128, 16, 1];
const INSERT_COLUMNS: usize = 13;

/// What was last seen of the end of the log.
#[derive(Debug, Default)]
pub(crate) struct SharedHighWaterMark(Mutex<HighWaterMark>);

impl EventLog for SqliteBackend {
    /// Writers run one at a time, and positions are given out under the write lock,
    /// so that is where it ends.
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        let mut known = self.high_water_mark.0.lock().await;
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
        *known = HighWaterMark { position, head, ..known.clone() };
        Ok(known.clone())
    }

    async fn read(&self, query: &ReadQuery<'_>) -> Result<Page, StoreError> {
        self.read_page(query).await
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        check(events)?;
        match self.try_append(events, true).await {
            Ok(appended) => {
                self.watch.announce();
                Ok(appended)
            }
            Err(Failed::Store(error)) => Err(error),
            Err(Failed::Row(reason)) => Err(self.invalid(events, reason).await?),
        }
    }

    async fn notification(&self) {
        self.watch.next().await;
    }

    async fn common(
        &self,
        tx: &mut Self::Tx,
        _read_model: ReadModelId,
        upto: Position,
        moved_at: i64,
    ) -> Result<Option<Position>, sqlx::Error> {
        let args = [Arg::Int(signed(upto.get())), Arg::Int(moved_at)];
        let row = tx.row(&self.sql.events_common, &args).await?;
        row.map(|row| row::position(&row, "global_position")).transpose()
    }
}

impl SqliteBackend {
    /// The last event at or below a position, and the highest position.
    async fn last_event(&self, upto: Position) -> Result<(Option<Witness>, Position), StoreError> {
        let doing = "reading the head of the event log";
        let query = sqlx::query(self.last_event.clone()).bind(signed(upto.get()));
        let row = query.fetch_one(&self.readers).await.doing(doing)?;
        Ok((row::witness(&row)?, Position::new(unsigned(row.int("head").doing(doing)?))))
    }

    /// Finds out which event the database does not take. It only says that one of them is wrong.
    async fn invalid(&self, events: &[NewEvent], reason: String) -> Result<StoreError, StoreError> {
        let mut culprit = Culprit::among(events.len(), reason);
        while let Some(some) = culprit.next() {
            let invalid = match self.try_append(&events[..some], false).await {
                Ok(_) => None,
                Err(Failed::Row(reason)) => Some(reason),
                Err(Failed::Store(error)) => return Err(error),
            };
            culprit.tried(some, invalid);
        }
        Ok(culprit.found(events))
    }

    /// Appends, or only tries to and leaves no trace.
    async fn try_append(&self, events: &[NewEvent], keep: bool) -> Result<Appended, Failed> {
        let doing = "appending events";
        let mut tx = self.begin(Durability::Acknowledged, doing).await?;
        let mut known = self.known(&mut tx, events).await.doing(doing)?;
        let mut heads = self.heads(&mut tx, events).await.doing(doing)?;
        let numbered = number(events, &mut known, &mut heads)?;
        let now: String =
            sqlx::query_scalar(self.sql.now_text.clone()).fetch_one(&mut *tx).await.doing(doing)?;
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
        let head: i64 =
            sqlx::query_scalar(self.sql.events_head.clone()).fetch_one(&mut *tx).await.doing(doing)?;
        if keep {
            tx.commit().await.doing(doing)?;
        } else {
            tx.rollback().await.doing(doing)?;
        }
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
        rows.iter().map(event_id).collect()
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
            let index = usize::try_from(row.try_get::<i64, _>("number")?).unwrap_or(usize::MAX);
            if let Some(aggregate) = wanted.get(index) {
                heads.insert(*aggregate, row.try_get("aggregate_version")?);
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
            .bind(event.created_at.map_or_else(|| now.to_owned(), |time| time.to_string()));
    }
    query.execute(&mut **tx).await.map(|_| ())
}

/// Why an append came to nothing.
enum Failed {
    /// Because of one of the events: the database's message.
    Row(String),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The version of an aggregate may exist although its head says otherwise: then the heads table is wrong.
fn insert_failed(error: sqlx::Error, doing: &str) -> Failed {
    if let Some(reason) = reason_of_row(&error) {
        return Failed::Row(reason);
    }
    if error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation) {
        let message = "an event with the same aggregate and version exists although aggregate_heads does not know it: \
                       the two tables disagree; correct aggregate_heads from the events";
        return StoreError::Invalid { message: message.to_owned() }.into();
    }
    classify(error, doing).into()
}

fn event_id(row: &SqliteRow) -> Result<Uuid, sqlx::Error> {
    let text: &str = row.try_get_unchecked("event_id")?;
    Uuid::parse_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
