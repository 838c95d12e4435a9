//! Connections while they are lent. What was left in the middle of something is put in order before another task
//! gets it, or closed.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use kennel_core::projection::ReadModelId;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::{GOODBYE_MAX, Pool, SILENCE_MAX, Share};

/// A connection that is not lent.
pub(super) struct Idle {
    pub(super) connection: PgConnection,
    pub(super) born: Instant,
    pub(super) since: Instant,
}

impl Idle {
    /// Notifies the server, without waiting for it.
    pub(super) fn close(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { timeout(GOODBYE_MAX, self.connection.close()).await });
        }
    }
}

/// In what state a connection comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Whatever was asked has been answered.
    InOrder,
    /// Something has failed, or may be under way.
    Unknown,
    /// A transaction may be open.
    InTransaction,
}

/// A connection that is lent. It goes back when it is dropped.
pub(crate) struct Lease {
    pool: Pool,
    owner: Option<ReadModelId>,
    /// There until the lease ends.
    idle: Option<Idle>,
    left: Left,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("owner", &self.owner).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Deref for Lease {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.idle {
            Some(idle) => &idle.connection,
            None => unreachable!("a lease has its connection until it ends"),
        }
    }
}

impl DerefMut for Lease {
    /// Its user says how that ended, with [`Self::done`]; otherwise it is asked whether it is in order.
    fn deref_mut(&mut self) -> &mut PgConnection {
        if self.left == Left::InOrder {
            self.left = Left::Unknown;
        }
        match &mut self.idle {
            Some(idle) => &mut idle.connection,
            None => unreachable!("a lease has its connection until it ends"),
        }
    }
}

impl Lease {
    pub(super) fn new(pool: Pool, owner: Option<ReadModelId>, idle: Idle) -> Self {
        Self { pool, owner, idle: Some(idle), left: Left::InOrder }
    }

    /// How long it has not been used.
    pub(super) fn rested(&self) -> Duration {
        self.idle.as_ref().map_or(Duration::ZERO, |idle| idle.since.elapsed())
    }

    /// Whether the server answers on it, and is of use.
    pub(super) async fn is_of_use(&mut self) -> bool {
        let pool = self.pool.clone();
        let is_of_use = timeout(SILENCE_MAX, pool.0.connector.is_of_use(self)).await.unwrap_or(false);
        self.left = Left::InOrder;
        is_of_use
    }

    /// What it consists of, for a pool that is locked.
    pub(super) fn take_apart(mut self) -> Option<(Option<ReadModelId>, Idle)> {
        self.idle.take().map(|idle| (self.owner, idle))
    }

    /// Takes it from the pool for good.
    pub(super) fn keep(mut self) -> Option<PgConnection> {
        let idle = self.idle.take()?;
        self.pool.lose(self.owner);
        Some(idle.connection)
    }

    /// Closes it silently: it is broken, or the server has more to send than is wanted.
    pub(crate) fn discard(self) {
        drop(self.keep());
    }

    /// Notes how a use of it has ended.
    pub(crate) fn done<T>(mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if outcome.is_ok() {
            self.left = Left::InOrder;
        }
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut idle) = self.idle.take() else { return };
        let (pool, owner, left) = (self.pool.clone(), self.owner, self.left);
        if left == Left::InOrder {
            pool.put_back(owner, idle);
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return pool.lose(owner) };
        runtime.spawn(async move {
            let put_in_order = async {
                if left == Left::InTransaction
                    && idle.connection.execute(sqlx::raw_sql("ROLLBACK")).await.is_err()
                {
                    return false;
                }
                pool.0.connector.is_of_use(&mut idle.connection).await
            };
            match timeout(SILENCE_MAX, put_in_order).await {
                Ok(true) => pool.put_back(owner, idle),
                _ => pool.lose(owner),
            }
        });
    }
}

/// A transaction. Dropped without a commit, it is rolled back.
#[derive(Debug)]
pub(crate) struct Tx(Lease);

impl Tx {
    pub(super) async fn begin(mut lease: Lease, begin: SqlStr) -> Result<Self, sqlx::Error> {
        lease.left = Left::InTransaction;
        lease.execute(sqlx::raw_sql(begin)).await?;
        Ok(Self(lease))
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.0.execute(sqlx::raw_sql("COMMIT")).await?;
        self.0.left = Left::InOrder;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.0.execute(sqlx::raw_sql("ROLLBACK")).await?;
        // A transaction that rolls back may have met a server that does not write any more.
        self.0.left = if self.0.pool.0.connector.writable() { Left::Unknown } else { Left::InOrder };
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

type Item = Either<PgQueryResult, PgRow>;

/// Each statement has a connection for itself.
impl<'p> Executor<'p> for Share<'p> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Item, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut lease = self.acquire().await?;
            let items: Result<Vec<Item>, sqlx::Error> = lease.fetch_many(query).try_collect().await;
            lease.done(items)
        };
        stream::once(all).map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let rows = lease.fetch_all(query).await;
            lease.done(rows)
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let row = lease.fetch_optional(query).await;
            lease.done(row)
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let prepared = lease.prepare_with(sql, parameters).await;
            lease.done(prepared)
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        Box::pin(async move {
            let mut lease = self.acquire().await?;
            let described = lease.describe(sql).await;
            lease.done(described)
        })
    }
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Item, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.share().fetch_many(query)
    }

    fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.share().fetch_all(query)
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        self.share().fetch_optional(query)
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        self.share().prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        self.share().describe(sql)
    }
}
