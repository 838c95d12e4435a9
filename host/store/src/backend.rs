//! What truly differs between the two databases.

pub(crate) mod sqlite;

use std::collections::HashMap;

use kennel_core::change::Stored;
use kennel_core::membership::WorkerId;
use kennel_core::port::{Document, StoreError};
use kennel_core::projection::DeploymentId;
use sqlx::SqlStr;

use crate::error::Doing;
use crate::read_model::{Held, Hold, Put, Table};
use crate::session::{Arg, Durability, Row, Tx, bound};

/// An open database.
#[derive(Debug)]
pub(crate) enum Backend {
    Sqlite(sqlite::SqliteBackend),
}

impl Backend {
    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self, durability: Durability, doing: &str) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin(durability).await.map(Tx::Sqlite).doing(doing),
        }
    }

    /// The rows of a statement that only reads, outside any transaction.
    pub(crate) async fn rows(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(sqlite) => {
                let rows = bound!(sql, args).fetch_all(&sqlite.readers).await.doing(doing)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The only row of a statement that only reads, if there is one.
    pub(crate) async fn row(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args, doing).await?.into_iter().next())
    }
}

/// Whether this process is alive, as far as its connection can tell.
impl Backend {
    /// Shows that a worker of this process is alive by more than its heartbeat. Returns what others look
    /// for, or `None` where a connection tells nothing.
    pub(crate) async fn announce_alive(&self, _worker: WorkerId) -> Result<Option<i64>, StoreError> {
        match self {
            // One process runs a file, and whether it does is the run lock's business.
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// Ends what [`Self::announce_alive`] began.
    pub(crate) async fn announce_gone(&self, _worker: WorkerId) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Sees to it that what was announced still holds.
    pub(crate) async fn stay_alive(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Executes a worker's statement about itself.
    pub(crate) async fn pulse(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(_) => {
                let mut tx = self.begin(Durability::Replayable, doing).await?;
                let touched = tx.execute(sql, args).await.doing(doing)?;
                tx.commit().await.doing(doing)?;
                Ok(touched)
            }
        }
    }
}

/// Documents and their tables.
impl Backend {
    /// Makes a place for a read model; `false` if something else bears the name.
    pub(crate) async fn create_schema(&self, _tx: &mut Tx, _name: &str) -> Result<bool, sqlx::Error> {
        match self {
            // Here it is only the beginning of the tables' names.
            Self::Sqlite(_) => Ok(true),
        }
    }

    /// The statements for a table, by the name that the catalog keeps.
    pub(crate) fn table_of(&self, name: &str) -> Table {
        match self {
            Self::Sqlite(_) => Table::Sqlite(sqlite::table_of(name)),
        }
    }

    /// The name of a table that the catalog keeps: with its schema, where there are schemas.
    pub(crate) fn table_name(&self, schema: &str, table: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("{schema}__{table}"),
        }
    }

    /// Whether something bears this name already.
    pub(crate) async fn table_exists(&self, tx: &mut Tx, name: &str) -> Result<bool, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => Ok(tx.row(&sqlite.sql.table_exists, &[Arg::Text(name)]).await?.is_some()),
        }
    }

    pub(crate) async fn create_table(&self, tx: &mut Tx, table: &Table) -> Result<(), sqlx::Error> {
        match table {
            Table::Sqlite(table) => tx.execute(&table.create, &[]).await.map(|_| ()),
        }
    }

    /// Lets one transaction at a time make collections.
    pub(crate) async fn lock_catalog(&self, _tx: &mut Tx) -> Result<(), sqlx::Error> {
        match self {
            // A writing transaction is alone in any case.
            Self::Sqlite(_) => Ok(()),
        }
    }

    pub(crate) async fn fetch(&self, table: &Table, keys: &[&str]) -> Result<HashMap<String, Stored>, sqlx::Error> {
        match (self, table) {
            (Self::Sqlite(sqlite), Table::Sqlite(table)) => table.fetch(&sqlite.readers, keys).await,
        }
    }

    pub(crate) async fn scan(
        &self,
        table: &Table,
        first: &str,
        end: &str,
        limit: usize,
    ) -> Result<Vec<Document>, sqlx::Error> {
        match (self, table) {
            (Self::Sqlite(sqlite), Table::Sqlite(table)) => table.scan(&sqlite.readers, first, end, limit).await,
        }
    }

    /// Finds, and keeps others from changing, the documents that a commit checks and changes.
    pub(crate) async fn hold(
        &self,
        tx: &mut Tx,
        _deployment: DeploymentId,
        _collection: &str,
        table: Option<&Table>,
        hold: &Hold<'_>,
    ) -> Result<HashMap<String, Held>, sqlx::Error> {
        match (tx, table) {
            (Tx::Sqlite(tx), Some(Table::Sqlite(table))) => table.hold(tx, hold).await,
            _ => Ok(HashMap::new()),
        }
    }

    /// Writes documents. Returns the keys of those that were to be new and exist: they were not written.
    pub(crate) async fn put(&self, tx: &mut Tx, table: &Table, puts: &[Put<'_>]) -> Result<Vec<String>, sqlx::Error> {
        match (tx, table) {
            (Tx::Sqlite(tx), Table::Sqlite(table)) => table.put(tx, puts).await.map(|()| Vec::new()),
            _ => Err(mismatch()),
        }
    }

    pub(crate) async fn delete(&self, tx: &mut Tx, table: &Table, keys: &[&str]) -> Result<(), sqlx::Error> {
        match (tx, table) {
            (Tx::Sqlite(tx), Table::Sqlite(table)) => table.delete(tx, keys).await,
            _ => Err(mismatch()),
        }
    }
}

/// A transaction of one database meets a table of the other: a mistake in this crate.
fn mismatch() -> sqlx::Error {
    sqlx::Error::Protocol("a table of one database was used in a transaction of another".to_owned())
}
