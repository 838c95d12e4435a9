//! The connections of this process that do its work: a few, lent in the order of the requests.
//!
//! It differs from a pool of sqlx in what it does when the server denies a connection: it settles for those that there
//! are, and asks for more only from time to time. No task waits for a denial while a connection is idle, and if there
//! is none at all, no task waits in vain. Long waits are seen ([`Pool::usage`]), and no read model has all connections
//! while others want one.
//!
//! How connections are lent and given back is in `pool/lease`; who comes next is decided in `pool/queue`.

mod lease;
mod queue;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_core::port::ConnectionUsage;
use kennel_core::projection::ReadModelId;
use sqlx::{Connection as _, PgConnection, SqlStr};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use lease::Idle;
pub(crate) use lease::{Lease, Tx};
use queue::{State, Waiting};

use super::connector::Connector;
use crate::sql::statement;

/// A connection that has rested longer is asked whether it still lives before it is used.
const RESTED: Duration = Duration::from_secs(1);
/// How long a server may take to say that a connection lives.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// A connection that is idle for longer is closed, unless it is the last: others may be denied one.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The age at which a connection is closed: what a session remembers grows, and servers behind an address change.
const AGE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long closing waits for the server.
const GOODBYE_MAX: Duration = Duration::from_secs(2);

/// Clones share the connections.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    connector: Arc<Connector>,
    /// What each transaction begins with.
    begin: SqlStr,
    wait_max: Duration,
    state: Mutex<State>,
}

/// The pool on behalf of a read model, for fairness between them.
#[derive(Clone, Copy)]
pub(crate) struct Share<'p> {
    pool: &'p Pool,
    owner: Option<ReadModelId>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("connector", &self.0.connector).finish_non_exhaustive()
    }
}

impl fmt::Debug for Share<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// How a pool works.
#[derive(Debug)]
pub(crate) struct PoolOptions {
    pub(crate) connections_max: usize,
    /// How long a task waits for a connection.
    pub(crate) wait_max: Duration,
    /// What each transaction begins with.
    pub(crate) begin: String,
}

impl Pool {
    /// A pool that begins with these connections.
    pub(crate) fn new(connector: Arc<Connector>, options: PoolOptions, made: Vec<PgConnection>) -> Self {
        let mut state = State::new(options.connections_max.max(1));
        let now = Instant::now();
        for connection in made {
            state.take_in(connection, now);
        }
        let (begin, wait_max) = (statement(options.begin), options.wait_max);
        Self(Arc::new(Inner { connector, begin, wait_max, state: Mutex::new(state) }))
    }

    /// A connection that was made elsewhere.
    pub(crate) fn take_in(&self, connection: PgConnection) {
        self.state().take_in(connection, Instant::now());
    }

    /// On behalf of a read model.
    pub(crate) fn of(&self, owner: ReadModelId) -> Share<'_> {
        Share { pool: self, owner: Some(owner) }
    }

    fn share(&self) -> Share<'_> {
        Share { pool: self, owner: None }
    }

    pub(crate) async fn acquire(&self) -> Result<Lease, sqlx::Error> {
        self.share().acquire().await
    }

    pub(crate) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        self.share().begin().await
    }

    /// Begins a transaction with a statement of its own.
    pub(crate) async fn begin_with(&self, begin: &str) -> Result<Tx, sqlx::Error> {
        let set = self.0.begin.as_str().strip_prefix("BEGIN").unwrap_or_default();
        Tx::begin(self.acquire().await?, statement(format!("{begin}{set}"))).await
    }

    /// Releases one of several connections for good, for a user of connections that is denied one by the server.
    pub(crate) async fn part_with(&self) -> Result<Option<PgConnection>, sqlx::Error> {
        if self.state().open() < 2 {
            return Ok(None);
        }
        Ok(self.acquire().await?.keep())
    }

    /// How much of it is in use.
    pub(crate) fn usage(&self) -> ConnectionUsage {
        self.state().usage(Instant::now())
    }

    pub(crate) async fn close(&self) {
        let idle = self.state().close();
        for connection in idle {
            let _ = timeout(GOODBYE_MAX, connection.close()).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends idle connections to the waiting tasks, and makes more for those that are left.
    fn serve(&self, state: &mut State) {
        let now = Instant::now();
        while let Some((waiting, idle)) = state.next(now) {
            let lease = Lease::new(self.clone(), waiting.owner, idle);
            // The task that asked may have gone away meanwhile.
            if let Err(Ok(lease)) = waiting.give.send(Ok(lease))
                && let Some((owner, idle)) = lease.take_apart()
            {
                state.put_back(owner, idle);
            }
        }
        // Outside a runtime, as when the last is dropped, no task waits.
        let Ok(runtime) = Handle::try_current() else { return };
        for _ in 0..state.wanted(now) {
            state.begin_making();
            let pool = self.clone();
            runtime.spawn(async move { pool.make().await });
        }
    }

    /// A connection that was lent comes back.
    fn put_back(&self, owner: Option<ReadModelId>, mut idle: Idle) {
        idle.since = Instant::now();
        let mut state = self.state();
        state.put_back(owner, idle);
        self.serve(&mut state);
    }

    /// A connection that was lent is gone.
    fn lose(&self, owner: Option<ReadModelId>) {
        let mut state = self.state();
        state.gone(owner);
        self.serve(&mut state);
    }

    /// Makes one connection.
    async fn make(&self) {
        let made = self.0.connector.connect().await;
        let mut state = self.state();
        let now = Instant::now();
        match made {
            Ok(connection) => state.made(connection, now),
            Err(error) => {
                if state.not_made(&error, now) {
                    let reason = said(&error);
                    let (open, max) = (state.open(), state.connections_max());
                    tracing::warn!(
                        open,
                        max,
                        reason,
                        "the server denies another connection: going on with those that there are; leave room for \
                         the connections of each process, or set `connections` lower"
                    );
                }
            }
        }
        self.serve(&mut state);
    }
}

impl Share<'_> {
    /// Lends a connection that lives.
    pub(crate) async fn acquire(self) -> Result<Lease, sqlx::Error> {
        let began = Instant::now();
        loop {
            let mut lease = self.wait(began).await?;
            if lease.rested() < RESTED || lease.is_of_use().await {
                return Ok(lease);
            }
            // What has rested as long has most likely been lost with it.
            lease.discard();
            self.pool.state().discard_idle();
        }
    }

    async fn wait(self, began: Instant) -> Result<Lease, sqlx::Error> {
        let pool = self.pool;
        let given = {
            let mut state = pool.state();
            if state.is_closed() {
                return Err(sqlx::Error::PoolClosed);
            }
            let (give, given) = oneshot::channel();
            state.waiting.push_back(Waiting { owner: self.owner, since: began, give });
            pool.serve(&mut state);
            given
        };
        let left = pool.0.wait_max.saturating_sub(began.elapsed());
        match timeout(left, given).await {
            Ok(Ok(lease)) => {
                pool.state().waited(began.elapsed());
                lease
            }
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed),
            Err(_) => Err(in_vain(&pool.usage(), pool.0.wait_max)),
        }
    }

    pub(crate) async fn begin(self) -> Result<Tx, sqlx::Error> {
        Tx::begin(self.acquire().await?, self.pool.0.begin.clone()).await
    }

    /// A transaction that stops waiting for a lock which it cannot have in time: the holder of the lock must not keep
    /// a connection from all others as well.
    pub(crate) async fn begin_waiting_at_most(self, lock_wait: Duration) -> Result<Tx, sqlx::Error> {
        let (begin, wait) = (self.pool.0.begin.as_str(), lock_wait.as_millis());
        Tx::begin(self.acquire().await?, statement(format!("{begin}; SET LOCAL lock_timeout = {wait}"))).await
    }
}

/// Whether the server, or a pooler in front of it, says that it has no room for another connection.
pub(super) fn is_denial(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("53300" | "08P01"))
}

/// What the server said, without the text around it.
fn said(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())
}

fn in_vain(usage: &ConnectionUsage, waited: Duration) -> sqlx::Error {
    let ConnectionUsage { open, denial, .. } = usage;
    let why = denial.as_ref().map(|said| format!(", and the server gives no more ({said})"));
    sqlx::Error::Io(std::io::Error::other(format!(
        "no connection became free within {} s: all {open} of this process are in use{}; raise `connections` in [run], \
         or see what the database is busy with",
        waited.as_secs(),
        why.unwrap_or_default()
    )))
}
