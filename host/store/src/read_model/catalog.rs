//! Which table holds the documents of a collection, and making that table on the first write. A table
//! never changes its name nor goes away while its deployment lives, so what is known stays true.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use kennel_core::port::StoreError;
use kennel_core::projection::DeploymentId;

use crate::backend::{postgres, sqlite};
use crate::error::Doing;
use crate::naming;
use crate::session::{Arg, Tx};
use crate::store::Store;

/// The statements of one collection, for the database that holds it.
#[derive(Debug)]
pub(crate) enum Table {
    Sqlite(sqlite::Table),
    Postgres(postgres::Table),
}

/// The tables that this process knows.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    tables: RwLock<HashMap<DeploymentId, HashMap<String, Arc<Table>>>>,
}

impl Catalog {
    fn get(&self, deployment: DeploymentId, collection: &str) -> Option<Arc<Table>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(&deployment)?.get(collection).cloned()
    }

    pub(crate) fn remember(&self, deployment: DeploymentId, collection: &str, table: &Arc<Table>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.entry(deployment).or_default().insert(collection.to_owned(), Arc::clone(table));
    }
}

impl Store {
    /// The table of a collection, or `None` if nothing was ever written to it.
    pub(crate) async fn table(
        &self,
        deployment: DeploymentId,
        collection: &str,
    ) -> Result<Option<Arc<Table>>, StoreError> {
        let doing = "looking up a collection";
        if let Some(table) = self.catalog().get(deployment, collection) {
            return Ok(Some(table));
        }
        let args = [Arg::Int(deployment.get()), Arg::Text(collection)];
        let Some(row) = self.backend().row(&self.sql().collection_find, &args, doing).await? else {
            return Ok(None);
        };
        let table = Arc::new(self.backend().table_of(&row.text(0).doing(doing)?));
        self.catalog().remember(deployment, collection, &table);
        Ok(Some(table))
    }

    /// The table of a collection inside a transaction, made if `create` says so. A table that was found
    /// or made here may only be remembered once the transaction has been committed.
    pub(crate) async fn table_in(
        &self,
        tx: &mut Tx,
        deployment: DeploymentId,
        collection: &str,
        create: bool,
    ) -> Result<Option<Arc<Table>>, StoreError> {
        let doing = "creating a collection";
        if let Some(table) = self.catalog().get(deployment, collection) {
            return Ok(Some(table));
        }
        if create {
            self.backend().lock_catalog(tx).await.doing(doing)?;
        }
        let args = [Arg::Int(deployment.get()), Arg::Text(collection)];
        if let Some(row) = tx.row(&self.sql().collection_find, &args).await.doing(doing)? {
            return Ok(Some(Arc::new(self.backend().table_of(&row.text(0).doing(doing)?))));
        }
        if !create {
            return Ok(None);
        }
        let schema =
            tx.row(&self.sql().deployment_schema, &[Arg::Int(deployment.get())]).await.doing(doing)?;
        let Some(schema) = schema else {
            return Err(StoreError::Invalid { message: format!("deployment {deployment} does not exist") });
        };
        let schema = schema.text(0).doing(doing)?;
        for candidate in naming::candidates(collection) {
            let name = self.backend().table_name(&schema, &candidate);
            if self.backend().table_exists(tx, &name).await.doing(doing)? {
                continue;
            }
            let table = self.backend().table_of(&name);
            self.backend().create_table(tx, &table).await.doing(doing)?;
            let args = [Arg::Int(deployment.get()), Arg::Text(collection), Arg::Text(&name)];
            tx.execute(&self.sql().collection_insert, &args).await.doing(doing)?;
            return Ok(Some(Arc::new(table)));
        }
        let message = format!(
            "no table name is free for collection `{}` in `{schema}`: remove the tables there that Kennel did not make",
            kennel_core::limits::excerpt(collection)
        );
        Err(StoreError::Invalid { message })
    }
}
