//! SQLite: one writing connection, a few reading ones, and one that watches for other processes.
//!
//! Durability. The file is in WAL mode, where a commit appends to the log and `synchronous` says whether
//! it also waits for the disk. What was acknowledged to somebody outside (appended events,
//! deployments) is committed with FULL and survives a power loss. Projection commits use NORMAL, which
//! never waits: a power loss may take the latest of them, and that is harmless, because documents and
//! checkpoint go together, so the events are simply handled again. Nor can a checkpoint outlive
//! the events that it counts: the log is written in order and cut at the first damaged frame, so
//! whatever survives has everything before it.

mod documents;
mod events;
mod open;
mod reading;
mod watch;

use std::path::PathBuf;

use sqlx::{Sqlite, SqlitePool, Transaction};

pub(crate) use documents::{Table, create_views, table_of};
pub(crate) use open::open;

use crate::session::Durability;
use crate::sql::{Words, statements};

statements! {
    /// The statements that only SQLite has.
    SqliteSql in "../sql/sqlite/":
    events_head events_known events_insert events_read events_one events_size heads_get heads_put now_text table_exists
}

#[derive(Debug)]
pub(crate) struct SqliteBackend {
    pub(crate) path: PathBuf,
    /// A single connection, so that this process queues fairly instead of polling for SQLite's lock.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) watch: watch::Watch,
    pub(crate) words: Words,
    pub(crate) sql: SqliteSql,
}

impl SqliteBackend {
    /// Begins a transaction and takes the write lock at once: a transaction that reads first and wants to
    /// write later can fail halfway when another process has written in between.
    pub(crate) async fn begin(
        &self,
        durability: Durability,
    ) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        let begin = match durability {
            Durability::Acknowledged => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Durability::Replayable => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        };
        self.writer.begin_with(begin).await
    }
}
