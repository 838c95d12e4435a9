//! What truly differs between the two databases: the shared store is written once, over [`Backend`], and each database
//! implements it in the folder of its name. Which one it is, is decided once, where a store is opened.

pub(crate) mod documents;
pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::collections::HashMap;
use std::fmt;

use kennel_core::change::Stored;
use kennel_core::event::NewEvent;
use kennel_core::membership::WorkerId;
use kennel_core::port::{Appended, ConnectionUsage, Document, HighWaterMark, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use sqlx::SqlStr;

use crate::error::Doing as _;
use crate::opening::{ConnectError, StoreLost};
use crate::run_lock::{RunLock, RunLockError};
use crate::session::{Arg, Durability, Row, Tx};

use documents::{LockSet, Locked, Put, Scan};

/// Which database a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// An open database.
pub(crate) trait Backend: EventLog + Liveness + Namespaces + Documents {
    const DIALECT: Dialect;

    /// Creates and upgrades the tables. Changes nothing if they are up to date.
    fn migrate(&self) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// Has the database itself announce every append, where those of other processes are not noticed anyway.
    fn install_notify(&self) -> impl Future<Output = Result<(), ConnectError>> + Send;

    /// Makes this process the running one, where only one may run.
    fn acquire_run_lock(&self) -> Result<RunLock, RunLockError>;

    /// Resolves when the database is no longer the one that was opened; never, where that is for its server to know.
    fn lost(&self) -> impl Future<Output = StoreLost> + Send;

    /// Whether [`Self::lost`] would resolve.
    fn is_lost(&self) -> bool;

    /// Closes the connections.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// Transactions, and statements outside of them.
pub(crate) trait Transactions: fmt::Debug + Send + Sync + 'static {
    type Row: Row;
    type Tx: Tx<Row = Self::Row>;

    /// Begins a transaction that writes.
    fn begin(
        &self,
        durability: Durability,
        doing: &str,
    ) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Begins a transaction that moves a read model. It waits for locks of others only for a while.
    fn begin_commit(
        &self,
        read_model: ReadModelId,
        doing: &str,
    ) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Begins a transaction that only reads, all of it as of one moment.
    fn begin_reading(&self, doing: &str) -> impl Future<Output = Result<Self::Tx, StoreError>> + Send;

    /// Has the rest of a transaction fail rather than wait long for others.
    fn limit_waiting(&self, tx: &mut Self::Tx) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The rows of a statement that only reads, outside any transaction.
    fn rows(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// The only row of a statement that only reads, if there is one.
    fn row(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> impl Future<Output = Result<Option<Self::Row>, StoreError>> + Send {
        async move { Ok(self.rows(sql, args, doing).await?.into_iter().next()) }
    }

    /// The rows of a statement that writes, in a transaction of its own.
    fn write_alone(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send {
        async move {
            let mut tx = self.begin(Durability::Replayable, doing).await?;
            let rows = tx.rows(sql, args).await.doing(doing)?;
            tx.commit().await.doing(doing)?;
            Ok(rows)
        }
    }
}

/// The event log.
pub(crate) trait EventLog: Transactions {
    /// Up to where the log is complete.
    fn high_water_mark(&self) -> impl Future<Output = Result<HighWaterMark, StoreError>> + Send;

    /// A page of the log, without the witness of its end.
    fn read(&self, query: &ReadQuery<'_>) -> impl Future<Output = Result<Page, StoreError>> + Send;

    fn append(&self, events: &[NewEvent]) -> impl Future<Output = Result<Appended, StoreError>> + Send;

    /// Resolves at the next notification of new events.
    fn notification(&self) -> impl Future<Output = ()> + Send;

    /// The last event at or below `upto` that was there at `moved_at`, when the checkpoint there of a read model was
    /// moved, as far as that can be known. `moved_at`: microseconds since 1970 by the database's clock.
    fn common(
        &self,
        tx: &mut Self::Tx,
        read_model: ReadModelId,
        upto: Position,
        moved_at: i64,
    ) -> impl Future<Output = Result<Option<Position>, sqlx::Error>> + Send;
}

/// Whether this process is alive, as far as its connection can show, and notifications of what others change.
pub(crate) trait Liveness: Transactions {
    /// Shows that a worker of this process is alive by more than its heartbeat. Returns what others look
    /// for, or `None` where a connection shows nothing.
    fn announce_alive(
        &self,
        worker: WorkerId,
    ) -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// Ends what [`Self::announce_alive`] began.
    fn announce_gone(&self, worker: WorkerId) -> impl Future<Output = ()> + Send;

    /// Executes a statement of workers about themselves. Where a connection shows that its process is alive, the
    /// statement travels on it, which repairs it when it is broken.
    fn heartbeat(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// As [`Self::heartbeat`], for a statement that only reads.
    fn liveness_read(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> impl Future<Output = Result<Vec<Self::Row>, StoreError>> + Send;

    /// How much of its connections this process uses, where they are few.
    fn connections(&self) -> Option<ConnectionUsage>;

    /// Notifies the other processes, once the transaction is committed, that workers or generations have changed.
    fn announce_change(&self, tx: &mut Self::Tx) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Resolves at the next notification of such a change.
    fn next_change(&self) -> impl Future<Output = ()> + Send;

    /// Notifies the other processes, once the transaction is committed, that a projection has changed.
    fn announce_deployment(&self, tx: &mut Self::Tx) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Resolves at the next notification of such a change; at once, with `false`, where there are no notifications.
    fn next_deployment(&self) -> impl Future<Output = bool> + Send;
}

/// Where the tables of read models are, and the views that show them. Names are those that the catalog keeps.
pub(crate) trait Namespaces: Transactions {
    /// The name of a table: with its schema, where there are schemas.
    fn table_name(schema: &str, table: &str) -> String;

    /// The name of a table or a view in SQL.
    fn quoted(name: &str) -> String;

    /// Lets one transaction at a time make schemas and tables.
    fn lock_catalog(&self, tx: &mut Self::Tx) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Makes a namespace for a read model; `false` if something else bears the name.
    fn create_schema(
        &self,
        tx: &mut Self::Tx,
        name: &str,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    /// Removes a namespace that has no tables any more.
    fn drop_schema(
        &self,
        tx: &mut Self::Tx,
        name: &str,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Whether something bears the name of a table already.
    fn table_exists(
        &self,
        tx: &mut Self::Tx,
        name: &str,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;

    /// Makes each of these views one of its table, or an empty one, in place of the one that there is.
    fn create_views(
        &self,
        tx: &mut Self::Tx,
        views: &[View],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The same for one view, unless another session is reading it and it would have to be waited for: `false`
    /// then.
    fn create_view_unless_in_use(
        &self,
        tx: &mut Self::Tx,
        view: &View,
    ) -> impl Future<Output = Result<bool, sqlx::Error>> + Send;
}

/// Documents, one table a collection.
pub(crate) trait Documents: Transactions {
    /// The statements for a table.
    type Table: fmt::Debug + Send + Sync;

    /// The statements for a table, by the name that the catalog keeps.
    fn table_of(name: &str) -> Self::Table;

    /// The statement that makes a table.
    fn create(table: &Self::Table) -> &SqlStr;

    /// Those of these documents that exist. Once they have more than `bytes_max` bytes the others are left out, and
    /// the answer says that it is not complete.
    fn fetch(
        &self,
        read_model: ReadModelId,
        table: &Self::Table,
        keys: &[&str],
        bytes_max: usize,
    ) -> impl Future<Output = Result<(HashMap<String, Stored>, bool), sqlx::Error>> + Send;

    fn scan(
        &self,
        read_model: ReadModelId,
        table: &Self::Table,
        scan: Scan<'_>,
    ) -> impl Future<Output = Result<Vec<Document>, sqlx::Error>> + Send;

    /// Finds, and keeps others from changing, the documents that a commit checks and changes.
    fn lock(
        &self,
        tx: &mut Self::Tx,
        collection: (ReadModelId, &str),
        table: Option<&Self::Table>,
        lock: &LockSet<'_>,
    ) -> impl Future<Output = Result<HashMap<String, Locked>, sqlx::Error>> + Send;

    /// Documents that a transaction has found before.
    fn load(
        &self,
        tx: &mut Self::Tx,
        table: &Self::Table,
        keys: &[&str],
    ) -> impl Future<Output = Result<HashMap<String, Stored>, sqlx::Error>> + Send;

    /// Writes documents. Returns the keys of those that were to be new and exist: they were not written.
    fn put(
        &self,
        tx: &mut Self::Tx,
        table: &Self::Table,
        puts: &[Put<'_>],
    ) -> impl Future<Output = Result<Vec<String>, sqlx::Error>> + Send;

    fn delete(
        &self,
        tx: &mut Self::Tx,
        table: &Self::Table,
        keys: &[&str],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// Whether the database can hold this document.
    fn can_hold(&self, document: &str) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// A view to be made; without a table it is empty.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) table: Option<String>,
}
