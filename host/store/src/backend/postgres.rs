//! PostgreSQL: a pool for the work, one connection that shows that this process is alive, and one that
//! listens.
//!
//! Everything runs under READ COMMITTED with explicit locks, so that each statement sees what was
//! committed before it: the fence and the horizon depend on that.

mod alive;
mod decoding;
mod documents;
mod events;
mod listen;
mod open;
mod reading;
mod views;

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, SqlStr};

pub(crate) use documents::{Table, hold, quoted_path, table_of};
pub(crate) use open::open;
pub(crate) use views::{create_view_unless_in_use, create_views};

use crate::horizon::Tracker;
use crate::sql::{Words, statements};

statements! {
    /// The statements that only PostgreSQL has.
    PostgresSql in "../sql/postgres/":
    events_head events_grown events_first_missing events_writers events_floor events_sequence events_columns
    events_known events_insert heads_lock heads_put notify notify_workers notify_deployments lock_timeout
    schema_exists table_exists lock_catalog lock_collection lock_collection_shared
    lock_alive unlock_alive backend_pid server document_probe
}

#[derive(Debug)]
pub(crate) struct PostgresBackend {
    /// The store's URL without its password.
    pub(crate) name: String,
    pub(crate) pool: PgPool,
    pub(crate) alive: alive::Alive,
    pub(crate) listen: listen::Listen,
    pub(crate) read: reading::ReadSql,
    pub(crate) horizon: events::SharedHorizon,
    pub(crate) words: Words,
    pub(crate) sql: PostgresSql,
}

impl PostgresBackend {
    fn new(name: String, pool: PgPool, options: PgConnectOptions, session: SqlStr, words: Words) -> Self {
        Self {
            name,
            alive: alive::Alive::new(options.clone(), session, pool.clone()),
            listen: listen::Listen::new(options),
            read: reading::ReadSql::new(&words),
            horizon: events::SharedHorizon::new(None::<Tracker>),
            sql: PostgresSql::new(&words),
            words,
            pool,
        }
    }

    pub(crate) fn lock_sql(&self) -> alive::LockSql<'_> {
        alive::LockSql {
            lock: &self.sql.lock_alive,
            unlock: &self.sql.unlock_alive,
            backend_pid: &self.sql.backend_pid,
        }
    }

    pub(crate) async fn close(&self) {
        self.listen.close().await;
        self.alive.close().await;
        self.pool.close().await;
    }
}
