//! What truly differs between the two databases.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use std::collections::HashMap;

use kennel_core::change::Stored;
use kennel_core::membership::WorkerId;
use kennel_core::port::{ConnectionUsage, Document, StoreError};
use kennel_core::projection::ReadModelId;
use sqlx::SqlStr;

use crate::error::{Doing, classify, is_transient};
use crate::read_model::{LockSet, Locked, Put, Table};
use crate::session::{Arg, Durability, Row, Tx, bound};
use crate::sql::{quoted, statement};

/// An open database.
#[derive(Debug)]
pub(crate) enum Backend {
    Sqlite(Box<sqlite::SqliteBackend>),
    Postgres(Box<postgres::PostgresBackend>),
}

impl Backend {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self, durability: Durability, doing: &str) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin(durability, doing).await.map(Tx::Sqlite),
            // The server's own setting decides about durability here.
            Self::Postgres(postgres) => postgres.pool.begin().await.map(Tx::Postgres).doing(doing),
        }
    }

    /// Begins a transaction that moves a read model. It waits for locks of others only for a while.
    pub(crate) async fn begin_commit(&self, read_model: ReadModelId, doing: &str) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(_) => self.begin(Durability::Replayable, doing).await,
            Self::Postgres(postgres) => {
                let share = postgres.pool.of(read_model);
                share.begin_waiting_at_most(postgres.lock_wait).await.map(Tx::Postgres).doing(doing)
            }
        }
    }

    /// Begins a transaction that only reads, all of it as of one moment.
    pub(crate) async fn begin_reading(&self, doing: &str) -> Result<Tx, StoreError> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        match self {
            Self::Sqlite(sqlite) => sqlite.readers.begin().await.map(Tx::Sqlite).doing(doing),
            Self::Postgres(postgres) => {
                postgres.pool.begin_with(SNAPSHOT).await.map(Tx::Postgres).doing(doing)
            }
        }
    }

    /// The rows of a statement that only reads, outside any transaction.
    pub(crate) async fn rows(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => {
                let rows = bound!(sql, args).fetch_all(&sqlite.readers).await.doing(doing)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(postgres) => {
                let rows = bound!(sql, args).fetch_all(&postgres.pool).await.doing(doing)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The only row of a statement that only reads, if there is one.
    pub(crate) async fn row(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args, doing).await?.into_iter().next())
    }
}

/// Whether this process is alive, as far as its connection can show. One process runs a SQLite file, and
/// whether it does is the run lock's business.
impl Backend {
    /// Shows that a worker of this process is alive by more than its heartbeat. Returns what others look
    /// for, or `None` where a connection shows nothing.
    pub(crate) async fn announce_alive(&self, worker: WorkerId) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(postgres) => postgres.alive.announce(worker, &postgres.lock_sql()).await,
        }
    }

    /// Ends what [`Self::announce_alive`] began.
    pub(crate) async fn announce_gone(&self, worker: WorkerId) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(postgres) => postgres.alive.end(worker, &postgres.lock_sql()).await,
        }
    }

    /// How much of its connections this process uses.
    pub(crate) fn connections(&self) -> Option<ConnectionUsage> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(postgres) => Some(postgres.pool.usage()),
        }
    }

    /// Notifies the other processes, once the transaction is committed, that workers or generations have changed.
    pub(crate) async fn announce_change(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => tx.row(&postgres.sql.notify_workers, &[]).await.map(|_| ()),
        }
    }

    /// Resolves at the next notification of such a change.
    pub(crate) async fn next_change(&self) {
        match self {
            Self::Sqlite(_) => std::future::pending().await,
            Self::Postgres(postgres) => postgres.listen.next_change().await,
        }
    }

    /// Notifies the other processes, once the transaction is committed, that a projection has changed.
    pub(crate) async fn announce_deployment(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => tx.row(&postgres.sql.notify_deployments, &[]).await.map(|_| ()),
        }
    }

    /// Resolves at the next notification of such a change; at once, with `false`, where there are no notifications.
    pub(crate) async fn next_deployment(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(postgres) if !postgres.listen.hears() => false,
            Self::Postgres(postgres) => {
                postgres.listen.next_deployment().await;
                true
            }
        }
    }

    /// Has the rest of a transaction fail rather than wait long for others.
    pub(crate) async fn limit_waiting(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        match self {
            // A writer is alone, and readers block no other transaction.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => tx.row(&postgres.sql.lock_timeout, &[]).await.map(|_| ()),
        }
    }

    /// Executes a statement of workers about themselves. Where a connection shows that its process is alive, the
    /// statement travels on it, which repairs it when it is broken.
    pub(crate) async fn heartbeat(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<Row>, StoreError> {
        if let Self::Postgres(postgres) = self
            && let Some(rows) = postgres.alive.run(sql, args, &postgres.lock_sql()).await.doing(doing)?
        {
            return Ok(rows);
        }
        let mut tx = self.begin(Durability::Replayable, doing).await?;
        let rows = tx.rows(sql, args).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(rows)
    }

    /// As [`Self::heartbeat`], for a statement that only reads.
    pub(crate) async fn liveness_read(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(_) => self.rows(sql, args, doing).await,
            Self::Postgres(_) => self.heartbeat(sql, args, doing).await,
        }
    }
}

/// Documents and their tables.
impl Backend {
    /// Makes a namespace for a read model; `false` if something else bears the name.
    pub(crate) async fn create_schema(&self, tx: &mut Tx, name: &str) -> Result<bool, sqlx::Error> {
        match self {
            // Here it is only the beginning of the tables' names.
            Self::Sqlite(_) => Ok(true),
            Self::Postgres(postgres) => {
                let taken = tx.row(&postgres.sql.schema_taken, &[Arg::Text(name)]).await?.is_some();
                if taken || name.starts_with("pg_") {
                    return Ok(false);
                }
                tx.execute(&statement(format!("CREATE SCHEMA {}", quoted(name))), &[]).await.map(|_| true)
            }
        }
    }

    /// The statements for a table, by the name that the catalog keeps.
    pub(crate) fn table_of(&self, name: &str) -> Table {
        match self {
            Self::Sqlite(_) => Table::Sqlite(sqlite::table_of(name)),
            Self::Postgres(_) => Table::Postgres(postgres::table_of(name)),
        }
    }

    /// The name of a table that the catalog keeps: with its schema, where there are schemas.
    pub(crate) fn table_name(&self, schema: &str, table: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("{schema}__{table}"),
            Self::Postgres(_) => format!("{schema}.{table}"),
        }
    }

    /// Whether something bears this name already.
    pub(crate) async fn table_exists(&self, tx: &mut Tx, name: &str) -> Result<bool, sqlx::Error> {
        let sql = match self {
            Self::Sqlite(sqlite) => &sqlite.sql.table_exists,
            Self::Postgres(postgres) => &postgres.sql.table_exists,
        };
        Ok(tx.row(sql, &[Arg::Text(name)]).await?.is_some())
    }

    pub(crate) async fn create_table(&self, tx: &mut Tx, table: &Table) -> Result<(), sqlx::Error> {
        let create = match table {
            Table::Sqlite(table) => &table.create,
            Table::Postgres(table) => &table.create,
        };
        tx.execute(create, &[]).await.map(|_| ())
    }

    /// Makes each of these views one of its table, or an empty one, in place of the one that there is.
    pub(crate) async fn create_views(&self, tx: &mut Tx, views: &[View]) -> Result<(), sqlx::Error> {
        match (self, tx) {
            (Self::Sqlite(_), Tx::Sqlite(tx)) => sqlite::create_views(tx, views).await,
            (Self::Postgres(_), Tx::Postgres(tx)) => postgres::create_views(tx, views).await,
            _ => Err(mismatch()),
        }
    }

    /// The same for one view, unless another session is reading it and it would have to be waited for: `false`
    /// then.
    pub(crate) async fn create_view_unless_in_use(
        &self,
        tx: &mut Tx,
        view: &View,
    ) -> Result<bool, sqlx::Error> {
        match (self, tx) {
            (Self::Sqlite(_), Tx::Sqlite(tx)) => {
                sqlite::create_views(tx, std::slice::from_ref(view)).await.map(|()| true)
            }
            (Self::Postgres(_), Tx::Postgres(tx)) => postgres::create_view_unless_in_use(tx, view).await,
            _ => Err(mismatch()),
        }
    }

    pub(crate) async fn drop_table(&self, tx: &mut Tx, name: &str) -> Result<(), sqlx::Error> {
        let drop = format!("DROP TABLE IF EXISTS {}", self.quoted(name));
        tx.execute(&statement(drop), &[]).await.map(|_| ())
    }

    /// Removes a namespace for documents that has none any more.
    pub(crate) async fn drop_schema(&self, tx: &mut Tx, name: &str) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => {
                let drop = format!("DROP SCHEMA IF EXISTS {}", quoted(name));
                tx.execute(&statement(drop), &[]).await.map(|_| ())
            }
        }
    }

    /// The name of a table or a view, as the catalog keeps it, in SQL.
    fn quoted(&self, name: &str) -> String {
        match self {
            Self::Sqlite(_) => quoted(name),
            Self::Postgres(_) => postgres::quoted_path(name),
        }
    }

    /// Lets one transaction at a time make schemas and tables.
    pub(crate) async fn lock_catalog(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        match self {
            // A writing transaction is alone in any case.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(postgres) => tx.execute(&postgres.sql.lock_catalog, &[]).await.map(|_| ()),
        }
    }

    /// Those of these documents that exist. Once they have more than `bytes_max` bytes the others are left out, and
    /// the answer says that it is not complete.
    pub(crate) async fn fetch(
        &self,
        read_model: ReadModelId,
        table: &Table,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        match (self, table) {
            (Self::Sqlite(sqlite), Table::Sqlite(table)) => {
                table.fetch(&mut *sqlite.readers.acquire().await?, keys, bytes_max).await
            }
            (Self::Postgres(postgres), Table::Postgres(table)) => {
                table.fetch(postgres.pool.of(read_model), keys, bytes_max).await
            }
            _ => Err(mismatch()),
        }
    }

    pub(crate) async fn scan(
        &self,
        read_model: ReadModelId,
        table: &Table,
        first: &str,
        end: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, sqlx::Error> {
        match (self, table) {
            (Self::Sqlite(sqlite), Table::Sqlite(table)) => {
                table.scan(&mut *sqlite.readers.acquire().await?, first, end, limit, bytes_max).await
            }
            (Self::Postgres(postgres), Table::Postgres(table)) => {
                table.scan(postgres.pool.of(read_model), first, end, limit, bytes_max).await
            }
            _ => Err(mismatch()),
        }
    }

    /// Finds, and keeps others from changing, the documents that a commit checks and changes.
    pub(crate) async fn lock(
        &self,
        tx: &mut Tx,
        read_model: ReadModelId,
        collection: &str,
        table: Option<&Table>,
        lock: &LockSet<'_>,
    ) -> Result<HashMap<String, Locked>, sqlx::Error> {
        match (self, tx, table) {
            (Self::Sqlite(_), Tx::Sqlite(tx), Some(Table::Sqlite(table))) => table.lock(tx, lock).await,
            (Self::Sqlite(_), Tx::Sqlite(_), None) => Ok(HashMap::new()),
            (Self::Postgres(postgres), Tx::Postgres(tx), None) => {
                postgres::lock(tx, &postgres.sql, read_model, collection, None, lock).await
            }
            (Self::Postgres(postgres), Tx::Postgres(tx), Some(Table::Postgres(table))) => {
                postgres::lock(tx, &postgres.sql, read_model, collection, Some(table), lock).await
            }
            _ => Err(mismatch()),
        }
    }

    /// Documents that a transaction has found before.
    pub(crate) async fn load(
        &self,
        tx: &mut Tx,
        table: &Table,
        keys: &[&str],
    ) -> Result<HashMap<String, Stored>, sqlx::Error> {
        let loaded = match (tx, table) {
            (Tx::Sqlite(tx), Table::Sqlite(table)) => table.fetch(tx, keys, usize::MAX).await,
            (Tx::Postgres(tx), Table::Postgres(table)) => table.fetch(&mut **tx, keys, usize::MAX).await,
            _ => Err(mismatch()),
        };
        loaded.map(|(found, _)| found)
    }

    /// Writes documents. Returns the keys of those that were to be new and exist: they were not written.
    pub(crate) async fn put(
        &self,
        tx: &mut Tx,
        table: &Table,
        puts: &[Put<'_>],
    ) -> Result<Vec<String>, sqlx::Error> {
        match (tx, table) {
            (Tx::Sqlite(tx), Table::Sqlite(table)) => table.put(tx, puts).await.map(|()| Vec::new()),
            (Tx::Postgres(tx), Table::Postgres(table)) => table.put(tx, puts).await,
            _ => Err(mismatch()),
        }
    }

    /// Whether the database can hold this document.
    pub(crate) async fn can_hold(&self, document: &str) -> Result<bool, StoreError> {
        match self {
            // It holds any text.
            Self::Sqlite(_) => Ok(true),
            Self::Postgres(postgres) => {
                let args = [Arg::Text(document)];
                match bound!(&postgres.sql.document_probe, &args).fetch_one(&postgres.pool).await {
                    Ok(_) => Ok(true),
                    Err(error) if is_transient(&error) => Err(classify(error, "trying a document")),
                    Err(_) => Ok(false),
                }
            }
        }
    }

    pub(crate) async fn delete(&self, tx: &mut Tx, table: &Table, keys: &[&str]) -> Result<(), sqlx::Error> {
        match (tx, table) {
            (Tx::Sqlite(tx), Table::Sqlite(table)) => table.delete(tx, keys).await,
            (Tx::Postgres(tx), Table::Postgres(table)) => table.delete(tx, keys).await,
            _ => Err(mismatch()),
        }
    }
}

/// A view to be made, by the names that the catalog keeps; without a table it is empty.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) table: Option<String>,
}

/// A transaction of one database meets a table of the other: a mistake in this crate.
fn mismatch() -> sqlx::Error {
    sqlx::Error::Protocol("a table of one database was used in a transaction of another".to_owned())
}
