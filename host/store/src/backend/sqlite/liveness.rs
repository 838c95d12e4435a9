//! Liveness and notifications where one process runs a file: its run lock shows that it does, and there is no other
//! process to notify.

use kennel_core::membership::WorkerId;
use kennel_core::port::{ConnectionUsage, StoreError};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqlStr, Sqlite, Transaction};

use super::SqliteBackend;
use crate::backend::{Liveness, Transactions as _};
use crate::session::Arg;

impl Liveness for SqliteBackend {
    async fn announce_alive(&self, _worker: WorkerId) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    async fn announce_gone(&self, _worker: WorkerId) {}

    async fn heartbeat(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        self.write_alone(sql, args, doing).await
    }

    async fn liveness_read(
        &self,
        sql: &SqlStr,
        args: &[Arg<'_>],
        doing: &str,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        self.rows(sql, args, doing).await
    }

    fn connections(&self) -> Option<ConnectionUsage> {
        None
    }

    async fn announce_change(&self, _tx: &mut Transaction<'static, Sqlite>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn next_change(&self) {
        std::future::pending::<()>().await;
    }

    async fn announce_deployment(&self, _tx: &mut Transaction<'static, Sqlite>) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn next_deployment(&self) -> bool {
        false
    }
}
