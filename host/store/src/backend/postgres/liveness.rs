//! Connections that show that this process is alive, and notifications between processes.

use kennel_core::membership::WorkerId;
use kennel_core::port::{ConnectionUsage, StoreError};
use sqlx::SqlStr;
use sqlx::postgres::PgRow;

use super::{PostgresBackend, Tx};
use crate::backend::{Liveness, Transactions as _};
use crate::error::Doing as _;
use crate::session::{Arg, Tx as _};

impl Liveness for PostgresBackend {
    async fn announce_alive(&self, worker: WorkerId) -> Result<Option<i64>, StoreError> {
        self.alive.announce(worker, &self.lock_sql()).await
    }

    async fn announce_gone(&self, worker: WorkerId) {
        self.alive.end(worker, &self.lock_sql()).await;
    }

    async fn heartbeat(&self, sql: &SqlStr, args: &[Arg<'_>], doing: &str) -> Result<Vec<PgRow>, StoreError> {
        match self.alive.run(sql, args, &self.lock_sql()).await.doing(doing)? {
            Some(rows) => Ok(rows),
            None => self.write_alone(sql, args, doing).await,
        }
    }

    async fn liveness_read(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<PgRow>, StoreError> {
        self.heartbeat(sql, args, doing).await
    }

    fn connections(&self) -> Option<ConnectionUsage> {
        Some(self.pool.usage())
    }

    async fn announce_change(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        tx.row(&self.sql.notify_workers, &[]).await.map(|_| ())
    }

    async fn next_change(&self) {
        self.listen.next_change().await;
    }

    async fn announce_deployment(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        tx.row(&self.sql.notify_deployments, &[]).await.map(|_| ())
    }

    async fn next_deployment(&self) -> bool {
        let hears = self.listen.hears();
        if hears {
            self.listen.next_deployment().await;
        }
        hears
    }
}
