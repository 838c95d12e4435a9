//! SQLite: one writing connection, a few reading ones, and one that watches for other processes.
//!
//! Durability. The file is in WAL mode, where a commit appends to the log and `synchronous` says whether
//! it also waits for the disk. What was acknowledged to a client (appended events, deployments) is committed with FULL
//! and survives a power loss. Projection commits use NORMAL, which never waits: a power loss may take the latest of
//! them, and that is harmless, because documents and checkpoint go together, so the events are simply handled again.
//! Nor can a checkpoint outlive the events that it counts: the log is written in order and cut at the first damaged
//! frame, so whatever survives has everything before it.

mod documents;
mod events;
pub(crate) mod files;
mod liveness;
mod log;
mod namespaces;
mod open;
mod reading;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use kennel_core::port::StoreError;
use kennel_core::projection::ReadModelId;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqlStr, Sqlite, SqlitePool, Transaction};

pub(crate) use open::open;

use files::Files;
use log::WriteAheadLog;

use crate::backend::{Backend, Dialect, Transactions};
use crate::error::Doing as _;
use crate::opening::{ConnectError, StoreLost};
use crate::run_lock::{self, RunLock, RunLockError};
use crate::session::{Arg, Durability, bound, transaction};
use crate::sql::{Fragments, TableNames, statements};

statements! {
    /// The statements that only SQLite has.
    SqliteSql in "../sql/sqlite/":
    events_head events_known events_insert events_read events_one events_size events_common heads_get heads_put now_text table_exists
}

/// How long a write waits for another process that is writing. `kennel append` of a large file holds
/// the lock for as long as one chunk takes, far less than this.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// How SQLite says what shared statements leave open.
pub(crate) static FRAGMENTS: Fragments = Fragments {
    prefix: "kennel_",
    event_id: EVENT_ID,
    now: "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
    // A writing transaction is alone.
    for_update: "",
    for_no_key_update: "",
    for_share: "",
    connected: "true",
    listed: "SELECT value FROM json_each($1)",
    events_members: "",
};

/// The id of an event as text, however SQLite holds it; that of none if it is no UUID.
const EVENT_ID: &str = "(SELECT CASE WHEN length(h) = 32 AND h NOT GLOB '*[^0-9a-f]*' \
     THEN substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-' || substr(h, 13, 4) || '-' || substr(h, 17, 4) || '-' \
     || substr(h, 21) ELSE '00000000-0000-0000-0000-000000000000' END \
     FROM (SELECT lower(CASE typeof(event_id) WHEN 'blob' THEN hex(event_id) ELSE \
     replace(replace(replace(replace(lower(event_id), 'urn:uuid:', ''), '-', ''), char(123), ''), char(125), '') END) AS h))";

#[derive(Debug)]
pub(crate) struct SqliteBackend {
    /// As it was given, for messages.
    pub(crate) path: PathBuf,
    /// The same without links.
    database: PathBuf,
    files: Files,
    log: WriteAheadLog,
    /// A single connection, so that this process queues fairly instead of polling for SQLite's lock.
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) watch: watch::Watch,
    pub(crate) high_water_mark: events::SharedHighWaterMark,
    pub(crate) last_event: SqlStr,
    pub(crate) names: TableNames,
    pub(crate) sql: SqliteSql,
}

/// How often the files are looked at: once in a while is enough, since every write looks first.
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

transaction!(Transaction<'static, Sqlite>, SqliteRow);

impl Transactions for SqliteBackend {
    type Row = SqliteRow;
    type Tx = Transaction<'static, Sqlite>;

    /// Takes the write lock at once: a transaction that reads first and wants to write later can fail halfway when
    /// another process has written in between.
    async fn begin(&self, durability: Durability, doing: &str) -> Result<Self::Tx, StoreError> {
        let lost = |lost: StoreLost| StoreError::Failed { doing: doing.to_owned(), source: lost.into() };
        let log_bytes = self.files.check().map_err(lost)?;
        self.log.keep_short(&self.writer, &self.path, log_bytes).await;
        self.writer.begin_with(begin_of(durability)).await.doing(doing)
    }

    async fn begin_commit(&self, _read_model: ReadModelId, doing: &str) -> Result<Self::Tx, StoreError> {
        self.begin(Durability::Replayable, doing).await
    }

    async fn begin_reading(&self, doing: &str) -> Result<Self::Tx, StoreError> {
        self.readers.begin().await.doing(doing)
    }

    async fn limit_waiting(&self, _tx: &mut Self::Tx) -> Result<(), sqlx::Error> {
        // A writer is alone, and readers block no other transaction.
        Ok(())
    }

    async fn rows(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<Vec<SqliteRow>, StoreError> {
        bound!(sql, args).fetch_all(&self.readers).await.doing(doing)
    }
}

impl Backend for SqliteBackend {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn migrate(&self) -> Result<(), ConnectError> {
        self.create_tables().await
    }

    async fn install_notify(&self) -> Result<(), ConnectError> {
        Ok(())
    }

    fn acquire_run_lock(&self) -> Result<RunLock, RunLockError> {
        run_lock::acquire(&self.database, &self.path)
    }

    fn is_lost(&self) -> bool {
        self.files.check().is_err()
    }

    /// What has not been moved from the log into the database is moved before that, for a file
    /// that has only got another name, or has lost its log; whatever bears its name now finds no log that is not its own.
    async fn lost(&self) -> StoreLost {
        loop {
            if let Err(lost) = self.files.check() {
                self.log.move_rest(&self.writer).await;
                return lost;
            }
            tokio::time::sleep(FILES_LOOKED_AT_EVERY).await;
        }
    }

    /// The writing connection last: it moves the write-ahead log into the file.
    async fn close(&self) {
        if self.is_lost() {
            // The last to close removes the log by its name, which may be that of another file's by now.
            return;
        }
        self.watch.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn begin_of(durability: Durability) -> &'static str {
    match durability {
        Durability::Acknowledged => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        Durability::Replayable => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
    }
}

impl Drop for SqliteBackend {
    fn drop(&mut self) {
        if self.is_lost() {
            // As in `close`: these connections are never closed, but end with the process.
            std::mem::forget((self.writer.clone(), self.readers.clone()));
            self.watch.forget();
        }
    }
}
