//! Tables and views in a file that has no schemas: a namespace is the beginning of their names.

use sqlx::{Sqlite, Transaction};

use super::SqliteBackend;
use crate::backend::{Namespaces, View};
use crate::session::{Arg, Tx as _};
use crate::sql::{quoted, statement};

impl Namespaces for SqliteBackend {
    fn table_name(schema: &str, table: &str) -> String {
        format!("{schema}__{table}")
    }

    fn quoted(name: &str) -> String {
        quoted(name)
    }

    async fn lock_catalog(&self, _tx: &mut Transaction<'static, Sqlite>) -> Result<(), sqlx::Error> {
        // A writing transaction is alone in any case.
        Ok(())
    }

    async fn create_schema(
        &self,
        _tx: &mut Transaction<'static, Sqlite>,
        _name: &str,
    ) -> Result<bool, sqlx::Error> {
        Ok(true)
    }

    async fn drop_schema(
        &self,
        _tx: &mut Transaction<'static, Sqlite>,
        _name: &str,
    ) -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn table_exists(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        name: &str,
    ) -> Result<bool, sqlx::Error> {
        Ok(tx.row(&self.sql.table_exists, &[Arg::Text(name)]).await?.is_some())
    }

    /// Readers go on with what they see.
    async fn create_views(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        views: &[View],
    ) -> Result<(), sqlx::Error> {
        for View { name, table } in views {
            let template = match table {
                Some(_) => include_str!("../../sql/sqlite/view_create.sql"),
                None => include_str!("../../sql/sqlite/view_empty.sql"),
            };
            let (view, table) = (quoted(name), table.as_deref().map(quoted).unwrap_or_default());
            sqlx::query(statement(format!("DROP VIEW IF EXISTS {view}"))).execute(&mut **tx).await?;
            let create = template.replace("{view}", &view).replace("{table}", &table);
            sqlx::query(statement(create)).execute(&mut **tx).await?;
        }
        Ok(())
    }

    async fn create_view_unless_in_use(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        view: &View,
    ) -> Result<bool, sqlx::Error> {
        self.create_views(tx, std::slice::from_ref(view)).await.map(|()| true)
    }
}
