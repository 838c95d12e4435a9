//! A store in a database. [`Store`] is the handle that callers have, whichever database it leads to. Behind it
//! `SqlStore` implements kennel-core's ports once, over what differs between the databases; each port is a file in the
//! folder of this one.

mod coordination;
mod event_source;
mod log_set_back;
mod positions;
mod read_model;
mod registry;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::port::{StoreError, StorePorts};

use crate::backend::{Backend, Dialect};
use crate::opening::{ConnectError, StoreLost};
use crate::run_lock::{RunLock, RunLockError};
use crate::sql::{Shared, TableNames};

use positions::Positions;
use read_model::TableCache;

/// An open store in a database: all ports, and what the process that has opened it does with it.
#[async_trait]
pub trait OpenStore: StorePorts + fmt::Debug {
    /// Which database the store is in.
    fn dialect(&self) -> Dialect;

    /// Creates and upgrades the tables. Changes nothing if they are up to date.
    async fn migrate(&self) -> Result<(), ConnectError>;

    /// Has the database itself announce every append, so that those of other programs are noticed at once
    /// as well. The only change that Kennel ever makes to an event log of another program.
    ///
    /// Does nothing on SQLite, where appends of other processes are noticed anyway.
    async fn install_notify(&self) -> Result<(), ConnectError>;

    /// Makes this process the running one of a SQLite file, until the lock is dropped or the process
    /// ends in whichever way. On PostgreSQL any number of processes may run.
    fn acquire_run_lock(&self) -> Result<RunLock, RunLockError>;

    /// Removes the workers of processes that ran this store before: the process that holds its run lock
    /// alone knows that they are dead, and need not wait for their heartbeats to grow old. Does nothing
    /// where many processes may run.
    async fn forget_former_workers(&self, lock: &RunLock) -> Result<(), StoreError>;

    /// Resolves when a SQLite file, or one that belongs to it, was removed or replaced while this process has it open:
    /// nothing is written any more, and the process that runs the store has to end.
    async fn lost(&self) -> StoreLost;

    /// Whether [`Self::lost`] would resolve.
    fn is_lost(&self) -> bool;

    /// Closes the connections. SQLite moves its write-ahead log into the file then.
    async fn close(&self);
}

/// A handle on an open store: `store.append(…)` and all else that [`OpenStore`] and the ports have. Clones share its
/// connections.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn OpenStore>);

impl Store {
    pub(crate) fn new(store: impl OpenStore + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// Its ports, for an engine.
    #[must_use]
    pub fn ports(&self) -> Arc<dyn StorePorts> {
        Arc::<dyn OpenStore>::clone(&self.0)
    }
}

impl Deref for Store {
    type Target = dyn OpenStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// The ports over a database.
#[derive(Debug)]
pub(crate) struct SqlStore<B: Backend> {
    pub(crate) backend: B,
    pub(crate) sql: Shared,
    pub(crate) catalog: TableCache<B::Table>,
    pub(crate) positions: Positions,
}

impl<B: Backend> SqlStore<B> {
    pub(crate) fn new(backend: B, names: &TableNames) -> Self {
        Self {
            backend,
            sql: Shared::new(names),
            catalog: TableCache::default(),
            positions: Positions::default(),
        }
    }
}

#[async_trait]
impl<B: Backend> OpenStore for SqlStore<B> {
    fn dialect(&self) -> Dialect {
        B::DIALECT
    }

    async fn migrate(&self) -> Result<(), ConnectError> {
        self.backend.migrate().await
    }

    async fn install_notify(&self) -> Result<(), ConnectError> {
        self.backend.install_notify().await
    }

    fn acquire_run_lock(&self) -> Result<RunLock, RunLockError> {
        self.backend.acquire_run_lock()
    }

    async fn forget_former_workers(&self, lock: &RunLock) -> Result<(), StoreError> {
        match lock.is_exclusive() {
            true => self.forget_workers().await,
            false => Ok(()),
        }
    }

    async fn lost(&self) -> StoreLost {
        self.backend.lost().await
    }

    fn is_lost(&self) -> bool {
        self.backend.is_lost()
    }

    async fn close(&self) {
        self.backend.close().await;
    }
}
