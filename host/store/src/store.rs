//! The handle that implements kennel-core's ports over either database. The ports are implemented in
//! `event_source`, `read_model`, `registry` and `coordination`.

use std::sync::Arc;

use crate::backend::Backend;
use crate::backend::sqlite::files::StoreLost;
use crate::connect::ConnectError;
use crate::positions::Positions;
use crate::read_model::TableCache;
use crate::run_lock::{RunLock, RunLockError};
use crate::sql::{Shared, TableNames};

/// Which database a store is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// An open store. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Backend,
    sql: Shared,
    catalog: TableCache,
    positions: Positions,
}

impl Store {
    pub(crate) fn new(backend: Backend, names: &TableNames) -> Self {
        let inner = Inner {
            backend,
            sql: Shared::new(names),
            catalog: TableCache::default(),
            positions: Positions::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }

    pub(crate) fn sql(&self) -> &Shared {
        &self.inner.sql
    }

    pub(crate) fn catalog(&self) -> &TableCache {
        &self.inner.catalog
    }

    pub(crate) fn positions(&self) -> &Positions {
        &self.inner.positions
    }

    /// Which database the store is in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.backend() {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Creates and upgrades the tables. Changes nothing if they are up to date.
    pub async fn migrate(&self) -> Result<(), ConnectError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.migrate().await,
            Backend::Postgres(postgres) => postgres.migrate().await,
        }
    }

    /// Has the database itself announce every append, so that those of other programs are noticed at once
    /// as well. The only change that Kennel ever makes to an event log of another program.
    ///
    /// Does nothing on SQLite, where appends of other processes are noticed anyway.
    pub async fn install_notify(&self) -> Result<(), ConnectError> {
        match self.backend() {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(postgres) => postgres.install_notify().await,
        }
    }

    /// Makes this process the running one of a SQLite file, until the lock is dropped or the process
    /// ends in whichever way. On PostgreSQL any number of processes may run.
    pub fn acquire_run_lock(&self) -> Result<RunLock, RunLockError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.acquire_run_lock(),
            Backend::Postgres(_) => Ok(RunLock::unneeded()),
        }
    }

    /// Resolves when a SQLite file, or one that belongs to it, was removed or replaced while this process has it open:
    /// nothing is written any more, and the process that runs the store has to end.
    pub async fn lost(&self) -> StoreLost {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.lost().await,
            Backend::Postgres(_) => std::future::pending().await,
        }
    }

    /// Whether [`Self::lost`] would resolve.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.is_lost(),
            Backend::Postgres(_) => false,
        }
    }

    /// Closes the connections. SQLite moves its write-ahead log into the file then.
    pub async fn close(&self) {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.close().await,
            Backend::Postgres(postgres) => postgres.close().await,
        }
    }
}
