//! Which table holds the documents of a collection, and making that table on the first write. A table
//! never changes its name nor goes away while its read model is of use, so the entries stay true until the database
//! itself is set back.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use kennel_core::port::StoreError;
use kennel_core::projection::ReadModelId;

use crate::backend::Backend;
use crate::error::Doing;
use crate::session::{Arg, Row as _, Tx as _};
use crate::store::SqlStore;

/// The tables that this process knows, with their statements.
#[derive(Debug)]
pub(crate) struct TableCache<T> {
    tables: RwLock<HashMap<ReadModelId, HashMap<String, Arc<T>>>>,
    /// In which incarnation of the log this is known.
    incarnation: AtomicU64,
}

impl<T> Default for TableCache<T> {
    fn default() -> Self {
        Self { tables: RwLock::default(), incarnation: AtomicU64::default() }
    }
}

impl<T> TableCache<T> {
    fn get(&self, read_model: ReadModelId, collection: &str) -> Option<Arc<T>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.get(&read_model)?.get(collection).cloned()
    }

    pub(crate) fn remember(&self, read_model: ReadModelId, collection: &str, table: &Arc<T>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.entry(read_model).or_default().insert(collection.to_owned(), Arc::clone(table));
    }

    /// Forgets everything if the log, and with it perhaps the whole database, is not the one that it was.
    pub(crate) fn in_incarnation(&self, incarnation: u64) {
        if self.incarnation.swap(incarnation, Ordering::SeqCst) != incarnation {
            self.tables.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Forgets a read model: its entries were of no use.
    pub(crate) fn forget(&self, read_model: ReadModelId) {
        self.tables.write().unwrap_or_else(PoisonError::into_inner).remove(&read_model);
    }

    /// Forgets all read models but these.
    fn keep(&self, read_models: &HashSet<ReadModelId>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.retain(|read_model, _| read_models.contains(read_model));
    }

    fn is_empty(&self) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl<B: Backend> SqlStore<B> {
    /// The table of a collection, or `None` if nothing was ever written to it.
    pub(crate) async fn table(
        &self,
        read_model: ReadModelId,
        collection: &str,
    ) -> Result<Option<Arc<B::Table>>, StoreError> {
        let doing = "looking up a collection";
        if let Some(table) = self.catalog.get(read_model, collection) {
            return Ok(Some(table));
        }
        let args = [Arg::Int(read_model.get()), Arg::Text(collection)];
        let Some(row) = self.backend.row(&self.sql.collection_find, &args, doing).await? else {
            return Ok(None);
        };
        let table = Arc::new(B::table_of(&row.text("table_name").doing(doing)?));
        self.catalog.remember(read_model, collection, &table);
        Ok(Some(table))
    }

    /// Forgets the tables of read models that are gone.
    pub(crate) async fn forget_removed(&self) -> Result<(), StoreError> {
        if self.catalog.is_empty() {
            return Ok(());
        }
        let doing = "looking for read models that are gone";
        let rows = self.backend.rows(&self.sql.read_models_kept, &[], doing).await?;
        let kept = rows.iter().map(|row| row.int("id").map(ReadModelId::new)).collect::<Result<_, _>>();
        self.catalog.keep(&kept.doing(doing)?);
        Ok(())
    }

    /// The table of a collection inside a transaction, made if `create` says so. A table that was found
    /// or made here may only be remembered once the transaction has been committed.
    pub(crate) async fn table_in(
        &self,
        tx: &mut B::Tx,
        read_model: ReadModelId,
        collection: &str,
        create: bool,
    ) -> Result<Option<Arc<B::Table>>, StoreError> {
        let doing = "creating a collection";
        if let Some(table) = self.catalog.get(read_model, collection) {
            return Ok(Some(table));
        }
        if create {
            self.backend.lock_catalog(tx).await.doing(doing)?;
        }
        let args = [Arg::Int(read_model.get()), Arg::Text(collection)];
        if let Some(row) = tx.row(&self.sql.collection_find, &args).await.doing(doing)? {
            return Ok(Some(Arc::new(B::table_of(&row.text("table_name").doing(doing)?))));
        }
        if !create {
            return Ok(None);
        }
        let row = tx.row(&self.sql.read_model_namespace, &[Arg::Int(read_model.get())]).await.doing(doing)?;
        let Some(row) = row else {
            return Err(StoreError::Invalid { message: format!("read model {read_model} does not exist") });
        };
        let name = self.free_name(tx, &row.text("namespace").doing(doing)?, collection).await?;
        let table = B::table_of(&name);
        tx.execute(B::create(&table), &[]).await.doing(doing)?;
        let args = [Arg::Int(read_model.get()), Arg::Text(collection), Arg::Text(&name)];
        tx.execute(&self.sql.collection_insert, &args).await.doing(doing)?;
        if row.int("serves").doing(doing)? != 0 {
            let projection = row.text("projection").doing(doing)?;
            let namespace = row.text("view_namespace").doing(doing)?;
            self.publish_collection(tx, &projection, &namespace, collection, &name).await?;
        }
        // Until this transaction ends, no other transaction makes a namespace, a table or a view: it must not wait for
        // a table that another session has locked.
        self.backend.limit_waiting(tx).await.doing(doing)?;
        Ok(Some(Arc::new(table)))
    }
}
