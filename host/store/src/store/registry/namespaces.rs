//! Where documents are found. Each read model has a namespace of its own for its tables: a schema, or the
//! beginning of their names. Each projection has one namespace more, for the views under which people find the
//! documents of whichever read model serves.

use kennel_core::name::ProjectionName;
use kennel_core::port::StoreError;
use kennel_core::projection::ReadModelId;

use crate::backend::{Backend, View};
use crate::error::{Doing, is_short_of_locks, is_transient};
use crate::naming;
use crate::session::{Arg, Durability, Row as _, Tx as _};
use crate::sql::statement;
use crate::store::SqlStore;

/// Tables that one transaction removes.
const TABLES_REMOVED_AT_ONCE: usize = 200;

/// How much of a read model was removed.
enum Removed {
    Nothing,
    Some,
    All,
}

impl<B: Backend> SqlStore<B> {
    /// Makes a namespace that is not in use, named as nearly as possible like `wanted`.
    pub(super) async fn make_namespace(&self, tx: &mut B::Tx, wanted: &str) -> Result<String, StoreError> {
        let doing = "finding a namespace for documents";
        self.backend.lock_catalog(tx).await.doing(doing)?;
        for candidate in naming::candidates(wanted) {
            let taken = tx.row(&self.sql.namespace_taken, &[Arg::Text(&candidate)]).await.doing(doing)?;
            if taken.is_none() && self.backend.create_schema(tx, &candidate).await.doing(doing)? {
                return Ok(candidate);
            }
        }
        let message = format!("no schema name is free for `{wanted}`: deploy it under another name");
        Err(StoreError::Invalid { message })
    }

    /// Has the views of a projection show this read model; those of collections that it does not have, and all
    /// if there is none, show nothing.
    pub(super) async fn publish(
        &self,
        tx: &mut B::Tx,
        projection: &ProjectionName,
        read_model: Option<ReadModelId>,
    ) -> Result<(), StoreError> {
        let doing = "publishing a read model, whose views another session may be holding open";
        self.backend.lock_catalog(tx).await.doing(doing)?;
        let mut tables = Vec::new();
        if let Some(read_model) = read_model {
            for row in
                tx.rows(&self.sql.collection_tables, &[Arg::Int(read_model.get())]).await.doing(doing)?
            {
                tables.push((row.text("name").doing(doing)?, row.text("table_name").doing(doing)?));
            }
        }
        let name = [Arg::Text(projection.as_str())];
        let mut views = Vec::new();
        for row in tx.rows(&self.sql.published, &name).await.doing(doing)? {
            let collection = row.text("collection").doing(doing)?;
            let table = tables.iter().position(|(known, _)| *known == collection);
            let table = table.map(|index| tables.swap_remove(index).1);
            views.push(View { name: row.text("view_name").doing(doing)?, table });
        }
        self.backend.create_views(tx, &views).await.doing(doing)?;
        let serving = Arg::IntOrNull(read_model.map(ReadModelId::get));
        tx.execute(&self.sql.published_all, &[name[0], serving]).await.doing(doing)?;
        // Those that no read model before had.
        tables.sort_unstable();
        let found = tx.row(&self.sql.projection_find, &name).await.doing(doing)?;
        let namespace = found.map(|row| row.text("namespace")).transpose().doing(doing)?.unwrap_or_default();
        for (collection, table) in tables {
            self.publish_collection(tx, projection.as_str(), &namespace, &collection, &table).await?;
        }
        Ok(())
    }

    /// Gives a collection of the read model that serves its view. The catalog is locked.
    ///
    /// The collection may have a view already, an empty one that people read. Batches do not wait for them: then
    /// [`Self::publish_late`] does it once they are gone.
    pub(crate) async fn publish_collection(
        &self,
        tx: &mut B::Tx,
        projection: &str,
        namespace: &str,
        collection: &str,
        table: &str,
    ) -> Result<(), StoreError> {
        let doing = "publishing a collection, whose view another session may be holding open";
        let key = [Arg::Text(projection), Arg::Text(collection)];
        let known = tx.row(&self.sql.published_find, &key).await.doing(doing)?;
        let known = known.map(|row| row.text("view_name")).transpose().doing(doing)?;
        let is_new = known.is_none();
        let (name, sql) = match known {
            Some(view) => (view, &self.sql.published_update),
            None => (self.free_name(tx, namespace, collection).await?, &self.sql.published_insert),
        };
        let args = [key[0], key[1], Arg::Text(&name), Arg::Text(table)];
        let view = View { name: name.clone(), table: Some(table.to_owned()) };
        if !self.backend.create_view_unless_in_use(tx, &view).await.doing(doing)? {
            tracing::warn!(
                view = view.name,
                "a view does not show the documents that there are, because another session is using it or their \
                 table: it will show them within a minute of their coming to an end"
            );
            if is_new {
                // So that it is known to be missing.
                let args = [args[0], args[1], args[2], Arg::TextOrNull(None)];
                tx.execute(sql, &args).await.doing(doing)?;
            }
            return Ok(());
        }
        tx.execute(sql, &args).await.doing(doing).map(|_| ())
    }

    /// Has the views show what they could not show when it was first written, because another session was reading
    /// them.
    pub(super) async fn publish_late(&self) -> Result<(), StoreError> {
        let doing = "looking for collections to publish";
        for row in self.backend.rows(&self.sql.published_late, &[], doing).await? {
            let projection = row.text("projection").doing(doing)?;
            let collection = row.text("collection").doing(doing)?;
            if let Err(error) = self.publish_one_late(&projection, &collection).await {
                tracing::warn!(projection, collection, %error, "a view does not show its collection");
            }
        }
        Ok(())
    }

    async fn publish_one_late(&self, projection: &str, collection: &str) -> Result<(), StoreError> {
        let doing = "publishing a collection";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        self.backend.limit_waiting(&mut tx).await.doing(doing)?;
        self.backend.lock_catalog(&mut tx).await.doing(doing)?;
        // Once more, since no other transaction changes it now.
        for row in tx.rows(&self.sql.published_late, &[]).await.doing(doing)? {
            let is_it = row.text("projection").doing(doing)? == projection
                && row.text("collection").doing(doing)? == collection;
            if is_it {
                let table = row.text("table_name").doing(doing)?;
                self.publish_collection(&mut tx, projection, "", collection, &table).await?;
            }
        }
        tx.commit().await.doing(doing)
    }

    /// A name for a table or a view that nothing bears, as nearly as possible like the collection's. The
    /// catalog is locked.
    pub(crate) async fn free_name(
        &self,
        tx: &mut B::Tx,
        namespace: &str,
        collection: &str,
    ) -> Result<String, StoreError> {
        for candidate in naming::candidates(collection) {
            let name = B::table_name(namespace, &candidate);
            let doing = "naming a collection";
            // A view that could not be made yet has its name already.
            let is_promised =
                tx.row(&self.sql.published_named, &[Arg::Text(&name)]).await.doing(doing)?.is_some();
            if !is_promised && !self.backend.table_exists(tx, &name).await.doing(doing)? {
                return Ok(name);
            }
        }
        let message = format!(
            "no table name is free for collection `{}` in `{namespace}`: remove the tables there that Kennel did not make",
            kennel_core::limits::excerpt(collection)
        );
        Err(StoreError::Invalid { message })
    }

    pub(super) async fn remove_deleting(&self) -> Result<u64, StoreError> {
        let doing = "looking for read models to remove";
        let mut removed = 0;
        for row in self.backend.rows(&self.sql.read_models_deleting, &[], doing).await? {
            let read_model = ReadModelId::new(row.int("id").doing(doing)?);
            removed += u64::from(self.remove(read_model, &row.text("namespace").doing(doing)?).await?);
        }
        Ok(removed)
    }

    /// Removes the parts of a read model; `false` if another process does, or if another session still uses it.
    async fn remove(&self, read_model: ReadModelId, namespace: &str) -> Result<bool, StoreError> {
        loop {
            match self.remove_some(read_model, namespace).await? {
                Removed::Some => {}
                Removed::All => return Ok(true),
                Removed::Nothing => return Ok(false),
            }
        }
    }

    /// Removes some tables, and the rest with the last of them. Each table takes several of the locks that a
    /// database has for all its clients together.
    async fn remove_some(&self, read_model: ReadModelId, namespace: &str) -> Result<Removed, StoreError> {
        let doing = "removing a read model";
        let id = [Arg::Int(read_model.get())];
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        let work = async {
            self.backend.limit_waiting(&mut tx).await?;
            if tx.row(&self.sql.read_model_deleting_lock, &id).await?.is_none() {
                return Ok(Removed::Nothing);
            }
            let tables = tx.rows(&self.sql.collection_tables, &id).await?;
            let is_last = tables.len() <= TABLES_REMOVED_AT_ONCE;
            for row in tables.into_iter().take(TABLES_REMOVED_AT_ONCE) {
                let drop = format!("DROP TABLE IF EXISTS {}", B::quoted(&row.text("table_name")?));
                tx.execute(&statement(drop), &[]).await?;
                let args = [id[0], Arg::Text(&row.text("name")?)];
                tx.execute(&self.sql.collection_remove, &args).await?;
            }
            if !is_last {
                return Ok(Removed::Some);
            }
            self.backend.drop_schema(&mut tx, namespace).await?;
            for sql in [&self.sql.dead_letters_remove, &self.sql.checkpoints_remove] {
                tx.execute(sql, &id).await?;
            }
            tx.execute(&self.sql.read_model_set_status, &[id[0], Arg::Text("dropped")]).await?;
            Ok(Removed::All)
        };
        match work.await {
            Ok(Removed::Nothing) => tx.rollback().await.doing(doing).map(|()| Removed::Nothing),
            Ok(removed) => tx.commit().await.doing(doing).map(|()| removed),
            Err(error) => {
                tx.rollback().await.doing(doing)?;
                // Another session reads a table, or an object of another program depends on it: it stays until
                // they are gone.
                if is_transient(&error) && !is_short_of_locks(&error) {
                    tracing::debug!(%read_model, %error, "a read model that is no longer needed is in use");
                } else {
                    tracing::warn!(namespace, %error, "a read model that is no longer needed cannot be removed");
                }
                Ok(Removed::Nothing)
            }
        }
    }
}
