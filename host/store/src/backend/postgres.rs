//! PostgreSQL: a pool for the work, one connection that shows that this process is alive, and one that
//! listens. Behind a proxy that pools transactions there is the pool alone.
//!
//! Everything runs under READ COMMITTED with explicit locks, so that each statement sees what was
//! committed before it: the fence and the high-water mark depend on that.

mod alive;
mod connector;
mod decoding;
mod documents;
mod events;
mod listen;
mod liveness;
mod log_tables;
mod log_watch;
mod namespaces;
mod open;
mod pool;
mod pooler;
mod reading;
mod views;

use std::sync::Arc;
use std::time::Duration;

use kennel_core::port::StoreError;
use kennel_core::projection::ReadModelId;
use sqlx::SqlStr;
use sqlx::postgres::PgRow;

pub(crate) use connector::Connector;
pub(crate) use open::open;
pub(crate) use pool::{Pool, Tx};

use crate::backend::{Backend, Dialect, Transactions};
use crate::error::Doing as _;
use crate::opening::{ConnectError, StoreLost};
use crate::run_lock::{RunLock, RunLockError};
use crate::session::{Arg, Durability, Tx as _, bound, transaction};
use crate::sql::{Fragments, TableNames, statements};

statements! {
    /// The statements that only PostgreSQL has.
    PostgresSql in "../sql/postgres/":
    events_head events_grown events_first_missing events_writers events_floor events_common events_unfit events_columns
    events_gaps events_late events_known events_insert heads_lock heads_put notify notify_workers notify_deployments lock_timeout
    schema_exists schema_taken table_exists lock_catalog lock_collection lock_collection_shared
    lock_alive unlock_alive server limits document_probe
}

/// How PostgreSQL says what shared statements leave open.
pub(crate) static FRAGMENTS: Fragments = Fragments {
    prefix: "kennel.",
    event_id: "coalesce(event_id::text, '00000000-0000-0000-0000-000000000000')",
    now: "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
    for_update: "FOR UPDATE",
    for_no_key_update: "FOR NO KEY UPDATE",
    for_share: "FOR SHARE",
    connected: include_str!("../sql/postgres/connected.sql"),
    listed: "SELECT jsonb_array_elements_text($1::jsonb)",
    events_members: include_str!("../sql/postgres/events_members.sql"),
};

#[derive(Debug)]
pub(crate) struct PostgresBackend {
    /// The store's URL without its password.
    pub(crate) name: String,
    pub(crate) pool: Pool,
    pub(crate) alive: alive::Alive,
    pub(crate) listen: listen::Listen,
    pub(crate) read: reading::ReadSql,
    pub(crate) high_water_mark: events::SharedHighWaterMark,
    pub(crate) last_event: SqlStr,
    /// How long a commit waits for a lock.
    pub(crate) lock_wait: Duration,
    pub(crate) names: TableNames,
    pub(crate) sql: PostgresSql,
}

impl PostgresBackend {
    /// `connector` makes sessions that belong to a connection; without one they are shared.
    fn new(name: String, pool: Pool, connector: Option<Arc<Connector>>, names: TableNames) -> Self {
        Self {
            name,
            alive: alive::Alive::new(connector.clone(), pool.clone()),
            listen: listen::Listen::new(connector),
            read: reading::ReadSql::new(&names),
            high_water_mark: events::SharedHighWaterMark::default(),
            last_event: names.fill(include_str!("../sql/events_last.sql")),
            sql: PostgresSql::new(&names),
            lock_wait: open::LOCK_WAIT_MAX,
            names,
            pool,
        }
    }

    pub(crate) fn lock_sql(&self) -> alive::LockSql<'_> {
        alive::LockSql { lock: &self.sql.lock_alive, unlock: &self.sql.unlock_alive }
    }
}

transaction!(Tx, PgRow);

impl Transactions for PostgresBackend {
    type Row = PgRow;
    type Tx = Tx;

    /// The server's own setting decides about durability.
    async fn begin(&self, _durability: Durability, doing: &str) -> Result<Tx, StoreError> {
        self.pool.begin().await.doing(doing)
    }

    async fn begin_commit(&self, read_model: ReadModelId, doing: &str) -> Result<Tx, StoreError> {
        self.pool.of(read_model).begin_waiting_at_most(self.lock_wait).await.doing(doing)
    }

    async fn begin_reading(&self, doing: &str) -> Result<Tx, StoreError> {
        const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        self.pool.begin_with(SNAPSHOT).await.doing(doing)
    }

    async fn limit_waiting(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        tx.row(&self.sql.lock_timeout, &[]).await.map(|_| ())
    }

    async fn rows(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<Vec<PgRow>, StoreError> {
        bound!(sql, args).fetch_all(&self.pool).await.doing(doing)
    }
}

impl Backend for PostgresBackend {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn migrate(&self) -> Result<(), ConnectError> {
        self.create_tables().await
    }

    async fn install_notify(&self) -> Result<(), ConnectError> {
        self.create_trigger().await
    }

    /// Any number of processes may run.
    fn acquire_run_lock(&self) -> Result<RunLock, RunLockError> {
        Ok(RunLock::unneeded())
    }

    async fn lost(&self) -> StoreLost {
        std::future::pending().await
    }

    fn is_lost(&self) -> bool {
        false
    }

    async fn close(&self) {
        self.listen.close().await;
        self.alive.close().await;
        self.pool.close().await;
    }
}
