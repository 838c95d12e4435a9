//! Shows that this process is alive. One connection holds an advisory lock for each of its workers;
//! when the process dies, the server sees the connection drop and the locks are gone at once, long
//! before heartbeats would be missed. Heartbeats travel on the same connection, so a broken one is
//! noticed and repaired by the next of them.
//!
//! A proxy that pools transactions gives a session's connection to others in between, so a lock shows
//! nothing there, and would stay on a session that others use. There, liveness falls back to heartbeats.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::membership::WorkerId;
use kennel_core::port::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, SqlStr};
use tokio::sync::Mutex;

use super::connector::Connector;
use super::pool::{Pool, is_denial};
use crate::error::{Doing, is_transient};
use crate::session::{Arg, bound};

/// How long the server may take to answer a heartbeat.
const SILENCE_MAX: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(crate) struct Alive {
    /// Makes the connection; nothing where locks of a session show nothing.
    connector: Option<Arc<Connector>>,
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connection: Option<PgConnection>,
    /// The keys of the locks that are, or ought to be, held.
    keys: BTreeSet<i64>,
}

/// The statements that locks need.
pub(crate) struct LockSql<'a> {
    pub(crate) lock: &'a SqlStr,
    pub(crate) unlock: &'a SqlStr,
}

impl Alive {
    pub(crate) fn new(connector: Option<Arc<Connector>>, pool: Pool) -> Self {
        Self { connector, pool, state: Mutex::default() }
    }

    /// Takes a worker's lock. Returns its key, or `None` where locks show nothing.
    pub(crate) async fn announce(
        &self,
        worker: WorkerId,
        sql: &LockSql<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let mut state = self.state.lock().await;
        let taken = self.take(&mut state, worker, sql).await;
        if taken.is_err() {
            state.connection = None;
        }
        taken.doing("taking a worker's lock")
    }

    async fn take(
        &self,
        state: &mut State,
        worker: WorkerId,
        sql: &LockSql<'_>,
    ) -> Result<Option<i64>, sqlx::Error> {
        if self.connector.is_none() {
            return Ok(None);
        }
        let key = key_of(worker);
        if state.keys.insert(key)
            && let Some(connection) = state.connection.as_mut()
        {
            lock(connection, sql.lock, key).await?;
        }
        // A connection that is made now takes all locks by itself.
        self.connected(state, sql).await?;
        Ok(Some(key))
    }

    /// Releases a worker's lock.
    pub(crate) async fn end(&self, worker: WorkerId, sql: &LockSql<'_>) {
        let key = key_of(worker);
        let mut state = self.state.lock().await;
        if !state.keys.remove(&key) {
            return;
        }
        if let Some(connection) = state.connection.as_mut() {
            // If this fails, the connection is broken and the lock gone with it.
            if sqlx::query(sql.unlock.clone()).bind(key).execute(connection).await.is_err() {
                state.connection = None;
            }
        }
    }

    /// Runs a worker's statement about itself on the connection that holds the locks, repairing that once
    /// if it is broken. Returns its rows and how many were touched; `None` if this process has no workers
    /// with locks.
    pub(crate) async fn run(
        &self,
        statement: &SqlStr,
        args: &[Arg<'_>],
        sql: &LockSql<'_>,
    ) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
        let mut state = self.state.lock().await;
        if state.keys.is_empty() {
            return Ok(None);
        }
        if state.connection.is_some() {
            match self.attempt(&mut state, statement, args, sql).await {
                Err(error) if is_transient(&error) => {}
                done => return done.map(Some),
            }
        }
        self.attempt(&mut state, statement, args, sql).await.map(Some)
    }

    /// Runs a statement within a bounded time. A connection that fails or keeps silent is abandoned: over
    /// a network that swallows everything, it would be waited for until long after this process counts as
    /// dead.
    async fn attempt(
        &self,
        state: &mut State,
        statement: &SqlStr,
        args: &[Arg<'_>],
        sql: &LockSql<'_>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let run = async {
            let connection = self.connected(state, sql).await?;
            bound!(statement, args).fetch_all(connection).await
        };
        let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        let done = tokio::time::timeout(SILENCE_MAX, run).await.unwrap_or_else(|_| Err(silent()));
        if done.as_ref().is_err_and(is_transient) {
            state.connection = None;
        }
        done
    }

    pub(crate) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.keys.clear();
        if let Some(connection) = state.connection.take() {
            // The server notices the end of the connection in any case.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    /// The connection that holds the locks, made anew if there is none.
    async fn connected<'a>(
        &self,
        state: &'a mut State,
        sql: &LockSql<'_>,
    ) -> Result<&'a mut PgConnection, sqlx::Error> {
        if state.connection.is_none() {
            let mut connection = self.connection().await?;
            for key in &state.keys {
                lock(&mut connection, sql.lock, *key).await?;
            }
            state.connection = Some(connection);
        }
        state.connection.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// A new connection; one of those for the work if the server gives no other.
    async fn connection(&self) -> Result<PgConnection, sqlx::Error> {
        let Some(connector) = &self.connector else { return Err(sqlx::Error::WorkerCrashed) };
        match connector.connect().await {
            Err(error) if is_denial(&error) => self.pool.part_with().await?.ok_or(error),
            made => made,
        }
    }
}

/// A lock's key is drawn from the worker's random id, so that it meets no lock of another program.
fn key_of(worker: WorkerId) -> i64 {
    let (high, low) = worker.0.as_u64_pair();
    i64::from_be_bytes((high ^ low).to_be_bytes())
}

async fn lock(connection: &mut PgConnection, sql: &SqlStr, key: i64) -> Result<(), sqlx::Error> {
    sqlx::query(sql.clone()).bind(key).execute(connection).await.map(|_| ())
}
