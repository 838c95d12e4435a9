//! Documents in PostgreSQL: `jsonb`, one table a collection, in a schema per projection, so that people
//! can query them with plain SQL.
//!
//! Rows are locked in the order of their keys, collections in the order of their names, so that two
//! batches that want the same documents wait one for the other. Where that is not enough, the database
//! finds the deadlock and one of them runs again.

use std::collections::{HashMap, HashSet};

use futures::{Stream, TryStreamExt as _};
use kennel_core::change::Stored;
use kennel_core::digest::Digest;
use kennel_core::port::{Document, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{PgConnection, Row as _, SqlStr};

use super::{PostgresBackend, Tx};
use crate::backend::Documents;
use crate::backend::documents::{LockSet, Locked, LockedText, Put, Scan};
use crate::error::{classify, is_transient};
use crate::row::{signed, unsigned};
use crate::session::ordinals;
use crate::sql::quoted_path;
use crate::sql::statement;

ordinals! {
    /// The columns of a document, whose text may be absent where it is not wanted.
    DocumentColumns: key document revision
}

/// The statements of one collection.
#[derive(Debug)]
pub(crate) struct PostgresTable {
    pub(crate) create: SqlStr,
    fetch: SqlStr,
    scan: SqlStr,
    lock: SqlStr,
    lock_read: SqlStr,
    delete: SqlStr,
    upsert: SqlStr,
    insert: SqlStr,
}

impl Documents for PostgresBackend {
    type Table = PostgresTable;

    fn table_of(name: &str) -> PostgresTable {
        PostgresTable::new(name)
    }

    fn create(table: &PostgresTable) -> &SqlStr {
        &table.create
    }

    async fn fetch(
        &self,
        read_model: ReadModelId,
        table: &PostgresTable,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        table.fetch(self.pool.of(read_model), keys, bytes_max).await
    }

    async fn scan(
        &self,
        read_model: ReadModelId,
        table: &PostgresTable,
        Scan { first, end, limit, bytes_max }: Scan<'_>,
    ) -> Result<Vec<Document>, sqlx::Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(table.scan.clone()).bind(first).bind(end).bind(limit);
        let (mut bytes, mut documents, mut columns) = (0, Vec::new(), None);
        let mut rows = query.fetch(self.pool.of(read_model));
        // What was not read when this ends is thrown away unread.
        while bytes <= bytes_max
            && let Some(row) = rows.try_next().await?
        {
            let found = document(&row, DocumentColumns::of(&mut columns, &row)?)?;
            bytes += found.stored.document.len();
            documents.push(found);
        }
        Ok(documents)
    }

    /// A document that does not exist cannot be locked. If its absence was read, no other batch may create documents in
    /// the collection until this one is through: creators share a lock, and who depends on an absence takes it alone.
    async fn lock(
        &self,
        tx: &mut Tx,
        (read_model, collection): (ReadModelId, &str),
        table: Option<&PostgresTable>,
        locks: &LockSet<'_>,
    ) -> Result<HashMap<String, Locked>, sqlx::Error> {
        let lock = match (locks.absence_matters, locks.may_create) {
            (true, _) => Some(&self.sql.lock_collection),
            (false, true) => Some(&self.sql.lock_collection_shared),
            (false, false) => None,
        };
        if let Some(lock) = lock {
            sqlx::query(lock.clone()).bind(lock_key(read_model, collection)).execute(&mut **tx).await?;
        }
        let mut locked = HashMap::new();
        if let Some(table) = table {
            table.lock(tx, locks, &mut locked).await?;
        }
        Ok(locked)
    }

    async fn load(
        &self,
        tx: &mut Tx,
        table: &PostgresTable,
        keys: &[&str],
    ) -> Result<HashMap<String, Stored>, sqlx::Error> {
        table.fetch(&mut **tx, keys, usize::MAX).await.map(|(found, _)| found)
    }

    async fn put(
        &self,
        tx: &mut Tx,
        table: &PostgresTable,
        puts: &[Put<'_>],
    ) -> Result<Vec<String>, sqlx::Error> {
        table.put(tx, puts).await
    }

    async fn delete(&self, tx: &mut Tx, table: &PostgresTable, keys: &[&str]) -> Result<(), sqlx::Error> {
        sqlx::query(table.delete.clone()).bind(keys).execute(&mut **tx).await.map(|_| ())
    }

    async fn can_hold(&self, document: &str) -> Result<bool, StoreError> {
        let probe = sqlx::query(self.sql.document_probe.clone()).bind(document);
        match probe.fetch_one(&self.pool).await {
            Ok(_) => Ok(true),
            Err(error) if is_transient(&error) => Err(classify(error, "trying a document")),
            Err(_) => Ok(false),
        }
    }
}

impl PostgresTable {
    /// The statements for the table `name`, which is SCHEMA.TABLE.
    fn new(name: &str) -> Self {
        let name = quoted_path(name);
        let of = |template: &str| statement(template.replace("{table}", &name));
        Self {
            create: of(include_str!("../../sql/postgres/documents_create.sql")),
            fetch: of(include_str!("../../sql/postgres/documents_fetch.sql")),
            scan: of(include_str!("../../sql/postgres/documents_scan.sql")),
            lock: of(include_str!("../../sql/postgres/documents_lock.sql")),
            lock_read: of(include_str!("../../sql/postgres/documents_lock_read.sql")),
            delete: of(include_str!("../../sql/postgres/documents_delete.sql")),
            upsert: of(include_str!("../../sql/postgres/documents_upsert.sql")),
            insert: of(include_str!("../../sql/postgres/documents_insert.sql")),
        }
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> [(&'static str, &SqlStr); 7] {
        [
            ("fetch", &self.fetch),
            ("scan", &self.scan),
            ("lock", &self.lock),
            ("lock_read", &self.lock_read),
            ("delete", &self.delete),
            ("upsert", &self.upsert),
            ("insert", &self.insert),
        ]
    }

    async fn fetch<'c>(
        &self,
        executor: impl PgExecutor<'c>,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        collect(sqlx::query(self.fetch.clone()).bind(keys).fetch(executor), bytes_max).await
    }

    /// Writes documents. Returns the keys of those that were to be new and exist.
    async fn put(&self, connection: &mut PgConnection, puts: &[Put<'_>]) -> Result<Vec<String>, sqlx::Error> {
        let (new, known): (Vec<&Put<'_>>, Vec<&Put<'_>>) = puts.iter().partition(|put| put.new);
        if !known.is_empty() {
            bind(&self.upsert, &known).execute(&mut *connection).await?;
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let rows = bind(&self.insert, &new).fetch_all(connection).await?;
        let written = rows.iter().map(|row| row.try_get("key")).collect::<Result<HashSet<&str>, _>>()?;
        let raced = new.iter().map(|put| put.key).filter(|key| !written.contains(key));
        Ok(raced.map(str::to_owned).collect())
    }

    async fn lock(
        &self,
        connection: &mut PgConnection,
        lock: &LockSet<'_>,
        locked: &mut HashMap<String, Locked>,
    ) -> Result<(), sqlx::Error> {
        let changed =
            lock.written.iter().map(|key| (*key, false)).chain(lock.summed.iter().map(|key| (*key, true)));
        let (keys, summed): (Vec<&str>, Vec<bool>) = changed.unzip();
        if !keys.is_empty() {
            let query = sqlx::query(self.lock.clone()).bind(keys).bind(summed);
            let mut rows = query.fetch(&mut *connection);
            let (mut bytes, mut columns) = (0, None);
            while let Some(row) = rows.try_next().await? {
                let at = DocumentColumns::of(&mut columns, &row)?;
                let revision = Position::new(unsigned(row.try_get(at.revision)?));
                let text = LockedText::of(row.try_get(at.document)?, &mut bytes);
                locked.insert(row.try_get(at.key)?, Locked { revision, text });
            }
        }
        if !lock.read.is_empty() {
            let query = sqlx::query(self.lock_read.clone()).bind(lock.read.as_slice());
            for row in query.fetch_all(connection).await? {
                let revision = Position::new(unsigned(row.try_get("revision")?));
                locked.insert(row.try_get("key")?, Locked { revision, text: LockedText::NotWanted });
            }
        }
        Ok(())
    }
}

fn lock_key(read_model: ReadModelId, collection: &str) -> i64 {
    let digest = Digest::of(format!("kennel collection {read_model} {collection}").as_bytes()).to_string();
    let high = u64::from_str_radix(&digest[..16], 16).unwrap_or_default();
    i64::from_be_bytes(high.to_be_bytes())
}

fn bind<'a>(
    sql: &SqlStr,
    puts: &[&Put<'_>],
) -> sqlx::query::Query<'a, sqlx::Postgres, sqlx::postgres::PgArguments> {
    let keys: Vec<&str> = puts.iter().map(|put| put.key).collect();
    let documents: Vec<&str> = puts.iter().map(|put| &*put.document).collect();
    let revisions: Vec<i64> = puts.iter().map(|put| signed(put.revision.get())).collect();
    sqlx::query(sql.clone()).bind(keys).bind(documents).bind(revisions)
}

/// The documents of these rows, and whether there were more than would fit.
async fn collect(
    mut rows: impl Stream<Item = Result<PgRow, sqlx::Error>> + Unpin,
    bytes_max: usize,
) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
    let (mut bytes, mut found, mut columns) = (0, HashMap::new(), None);
    while let Some(row) = rows.try_next().await? {
        if bytes > bytes_max {
            return Ok((found, true));
        }
        let Document { key, stored } = document(&row, DocumentColumns::of(&mut columns, &row)?)?;
        bytes += stored.document.len();
        found.insert(key, stored);
    }
    Ok((found, false))
}

fn document(row: &PgRow, at: DocumentColumns) -> Result<Document, sqlx::Error> {
    let document: &str = row.try_get(at.document)?;
    let revision = Position::new(unsigned(row.try_get(at.revision)?));
    Ok(Document { key: row.try_get(at.key)?, stored: Stored { document: document.into(), revision } })
}
