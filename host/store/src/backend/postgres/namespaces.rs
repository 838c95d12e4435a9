//! A schema for the tables of each read model, and one for the views of each projection.

use super::views::{ATTEMPTS, create_all, is_in_use};
use super::{PostgresBackend, Tx};
use crate::backend::{Namespaces, View};
use crate::session::{Arg, Tx as _};
use crate::sql::{quoted, quoted_path, statement};

impl Namespaces for PostgresBackend {
    fn table_name(schema: &str, table: &str) -> String {
        format!("{schema}.{table}")
    }

    fn quoted(name: &str) -> String {
        quoted_path(name)
    }

    async fn lock_catalog(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        tx.execute(&self.sql.lock_catalog, &[]).await.map(|_| ())
    }

    async fn create_schema(&self, tx: &mut Tx, name: &str) -> Result<bool, sqlx::Error> {
        let taken = tx.row(&self.sql.schema_taken, &[Arg::Text(name)]).await?.is_some();
        if taken || name.starts_with("pg_") {
            return Ok(false);
        }
        tx.execute(&statement(format!("CREATE SCHEMA {}", quoted(name))), &[]).await.map(|_| true)
    }

    async fn drop_schema(&self, tx: &mut Tx, name: &str) -> Result<(), sqlx::Error> {
        let drop = format!("DROP SCHEMA IF EXISTS {}", quoted(name));
        tx.execute(&statement(drop), &[]).await.map(|_| ())
    }

    async fn table_exists(&self, tx: &mut Tx, name: &str) -> Result<bool, sqlx::Error> {
        Ok(tx.row(&self.sql.table_exists, &[Arg::Text(name)]).await?.is_some())
    }

    /// Fails like a lock that is not available if another session keeps reading one of them.
    async fn create_views(&self, tx: &mut Tx, views: &[View]) -> Result<(), sqlx::Error> {
        create_all(tx, views, ATTEMPTS).await
    }

    async fn create_view_unless_in_use(&self, tx: &mut Tx, view: &View) -> Result<bool, sqlx::Error> {
        match create_all(tx, std::slice::from_ref(view), 1).await {
            Ok(()) => Ok(true),
            Err(error) if is_in_use(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
