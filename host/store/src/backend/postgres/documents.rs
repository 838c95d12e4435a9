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
use kennel_core::port::Document;
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use sqlx::postgres::{PgExecutor, PgRow};
use sqlx::{PgConnection, Row as _, SqlStr};

use super::PostgresSql;
use crate::read_model::{LockSet, Locked, LockedText, Put};
use crate::row::{signed, unsigned};
use crate::session::ordinals;
use crate::sql::{quoted, statement};

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

/// The statements for the table `name`, which is SCHEMA.TABLE.
pub(crate) fn table_of(name: &str) -> PostgresTable {
    let name = quoted_path(name);
    let of = |template: &str| statement(template.replace("{table}", &name));
    PostgresTable {
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

/// SCHEMA.TABLE in SQL.
pub(crate) fn quoted_path(name: &str) -> String {
    name.split('.').map(quoted).collect::<Vec<_>>().join(".")
}

impl PostgresTable {
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

    pub(crate) async fn fetch<'c>(
        &self,
        executor: impl PgExecutor<'c>,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        collect(sqlx::query(self.fetch.clone()).bind(keys).fetch(executor), bytes_max).await
    }

    pub(crate) async fn scan<'c>(
        &self,
        executor: impl PgExecutor<'c>,
        first: &str,
        end: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, sqlx::Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(self.scan.clone()).bind(first).bind(end).bind(limit);
        let (mut bytes, mut documents, mut columns) = (0, Vec::new(), None);
        let mut rows = query.fetch(executor);
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

    /// Writes documents. Returns the keys of those that were to be new and exist.
    pub(crate) async fn put(
        &self,
        connection: &mut PgConnection,
        puts: &[Put<'_>],
    ) -> Result<Vec<String>, sqlx::Error> {
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

    pub(crate) async fn delete(
        &self,
        connection: &mut PgConnection,
        keys: &[&str],
    ) -> Result<(), sqlx::Error> {
        sqlx::query(self.delete.clone()).bind(keys).execute(connection).await.map(|_| ())
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

/// Finds the documents that a commit checks and changes, and keeps others from changing them.
///
/// A document that does not exist cannot be locked. If its absence was read, no other batch may create
/// documents in the collection until this one is through: creators share a lock, and who depends on an
/// absence takes it alone.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    sql: &PostgresSql,
    read_model: ReadModelId,
    collection: &str,
    table: Option<&PostgresTable>,
    locks: &LockSet<'_>,
) -> Result<HashMap<String, Locked>, sqlx::Error> {
    let lock = match (locks.absence_matters, locks.may_create) {
        (true, _) => Some(&sql.lock_collection),
        (false, true) => Some(&sql.lock_collection_shared),
        (false, false) => None,
    };
    if let Some(lock) = lock {
        sqlx::query(lock.clone()).bind(lock_key(read_model, collection)).execute(&mut *connection).await?;
    }
    let mut locked = HashMap::new();
    if let Some(table) = table {
        table.lock(connection, locks, &mut locked).await?;
    }
    Ok(locked)
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
