//! Documents in SQLite: one table a collection.
//!
//! The tables have a row id: `WITHOUT ROWID` keeps whole documents in the index, which halved the speed
//! of writing 100-byte documents and is worse for larger ones.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use kennel_core::change::Stored;
use kennel_core::port::{Document, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, SqlStr, Sqlite, Transaction};

use super::SqliteBackend;
use crate::backend::Documents;
use crate::backend::documents::{LockSet, Locked, LockedText, Put, Scan};
use crate::row::{signed, unsigned};
use crate::session::ordinals;
use crate::sql::{quoted, statement};

/// Rows in one large upsert. Measured with documents of 100 bytes: 590,000 rows/s by 256 at a time,
/// 330,000 through one JSON parameter, 14,000 one by one. What does not fill a large one goes through
/// JSON, so that each table needs only two statements.
const UPSERT_ROWS: usize = 256;

ordinals! {
    /// The columns of a document. One that is to be read by itself comes without its text.
    DocumentColumns: key document revision bytes
}

/// The statements of one collection.
#[derive(Debug)]
pub(crate) struct SqliteTable {
    pub(crate) create: SqlStr,
    fetch: SqlStr,
    one: SqlStr,
    revisions: SqlStr,
    scan: SqlStr,
    delete: SqlStr,
    upsert_some: SqlStr,
    upsert_many: SqlStr,
}

impl Documents for SqliteBackend {
    type Table = SqliteTable;

    fn table_of(name: &str) -> SqliteTable {
        SqliteTable::new(name)
    }

    fn create(table: &SqliteTable) -> &SqlStr {
        &table.create
    }

    async fn fetch(
        &self,
        _read_model: ReadModelId,
        table: &SqliteTable,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        table.fetch(&mut *self.readers.acquire().await?, keys, bytes_max).await
    }

    async fn scan(
        &self,
        _read_model: ReadModelId,
        table: &SqliteTable,
        scan: Scan<'_>,
    ) -> Result<Vec<Document>, sqlx::Error> {
        table.scan(&mut *self.readers.acquire().await?, scan).await
    }

    /// The transaction is the only writer, so nothing has to be locked.
    async fn lock(
        &self,
        tx: &mut Self::Tx,
        _collection: (ReadModelId, &str),
        table: Option<&SqliteTable>,
        lock: &LockSet<'_>,
    ) -> Result<HashMap<String, Locked>, sqlx::Error> {
        match table {
            Some(table) => table.find(tx, lock).await,
            None => Ok(HashMap::new()),
        }
    }

    async fn load(
        &self,
        tx: &mut Self::Tx,
        table: &SqliteTable,
        keys: &[&str],
    ) -> Result<HashMap<String, Stored>, sqlx::Error> {
        table.fetch(tx, keys, usize::MAX).await.map(|(found, _)| found)
    }

    async fn put(
        &self,
        tx: &mut Self::Tx,
        table: &SqliteTable,
        puts: &[Put<'_>],
    ) -> Result<Vec<String>, sqlx::Error> {
        table.put(tx, puts).await.map(|()| Vec::new())
    }

    async fn delete(&self, tx: &mut Self::Tx, table: &SqliteTable, keys: &[&str]) -> Result<(), sqlx::Error> {
        sqlx::query(table.delete.clone()).bind(json_list(keys)).execute(&mut **tx).await.map(|_| ())
    }

    async fn can_hold(&self, _document: &str) -> Result<bool, StoreError> {
        // It holds any text.
        Ok(true)
    }
}

impl SqliteTable {
    /// The statements for the table `name`.
    fn new(name: &str) -> Self {
        let rows = vec!["(?, ?, ?)"; UPSERT_ROWS].join(", ");
        let name = quoted(name);
        let of = |template: &str| statement(template.replace("{table}", &name).replace("{rows}", &rows));
        Self {
            create: of(include_str!("../../sql/sqlite/documents_create.sql")),
            fetch: of(include_str!("../../sql/sqlite/documents_fetch.sql")),
            one: of(include_str!("../../sql/sqlite/documents_one.sql")),
            revisions: of(include_str!("../../sql/sqlite/documents_revisions.sql")),
            scan: of(include_str!("../../sql/sqlite/documents_scan.sql")),
            delete: of(include_str!("../../sql/sqlite/documents_delete.sql")),
            upsert_some: of(include_str!("../../sql/sqlite/documents_upsert_some.sql")),
            upsert_many: of(include_str!("../../sql/sqlite/documents_upsert_many.sql")),
        }
    }

    #[cfg(test)]
    pub(crate) fn all(&self) -> [(&'static str, &SqlStr); 7] {
        [
            ("fetch", &self.fetch),
            ("one", &self.one),
            ("revisions", &self.revisions),
            ("scan", &self.scan),
            ("delete", &self.delete),
            ("upsert_some", &self.upsert_some),
            ("upsert_many", &self.upsert_many),
        ]
    }

    async fn fetch(
        &self,
        connection: &mut SqliteConnection,
        keys: &[&str],
        bytes_max: usize,
    ) -> Result<(HashMap<String, Stored>, bool), sqlx::Error> {
        let mut rows = sqlx::query(self.fetch.clone()).bind(json_list(keys)).fetch(&mut *connection);
        let (mut bytes, mut found, mut long, mut is_cut) = (0, HashMap::new(), Vec::new(), false);
        let mut columns = None;
        while let Some(row) = rows.try_next().await? {
            if bytes > bytes_max {
                is_cut = true;
                break;
            }
            let at = DocumentColumns::of(&mut columns, &row)?;
            bytes += bytes_of(&row, at)?;
            match document(&row, at)? {
                Some(Document { key, stored }) => drop(found.insert(key, stored)),
                None => long.push(row.try_get::<String, _>(at.key)?),
            }
        }
        drop(rows);
        for key in long {
            let one = self.one(connection, &key).await?;
            found.extend(one.map(|Document { key, stored }| (key, stored)));
        }
        Ok((found, is_cut))
    }

    async fn scan(
        &self,
        connection: &mut SqliteConnection,
        scan: Scan<'_>,
    ) -> Result<Vec<Document>, sqlx::Error> {
        loop {
            let listed = self.list(connection, scan).await?;
            let mut documents = Vec::with_capacity(listed.len());
            let mut is_whole = true;
            for document in listed {
                let document = match document {
                    Ok(document) => Some(document),
                    Err(long) => self.one(connection, &long).await?,
                };
                is_whole &= document.is_some();
                documents.extend(document);
            }
            // Fewer than were asked for would mean that there are no more.
            if is_whole {
                return Ok(documents);
            }
        }
    }

    /// Documents in order; of those that are to be read by themselves, the key.
    async fn list(
        &self,
        connection: &mut SqliteConnection,
        Scan { first, end, limit, bytes_max }: Scan<'_>,
    ) -> Result<Vec<Result<Document, String>>, sqlx::Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let query = sqlx::query(self.scan.clone()).bind(first).bind(end).bind(limit);
        let (mut bytes, mut listed, mut columns) = (0, Vec::new(), None);
        let mut rows = query.fetch(connection);
        // What was not read when this ends is thrown away unread.
        while bytes <= bytes_max
            && let Some(row) = rows.try_next().await?
        {
            let at = DocumentColumns::of(&mut columns, &row)?;
            bytes += bytes_of(&row, at)?;
            listed.push(match document(&row, at)? {
                Some(document) => Ok(document),
                None => Err(row.try_get(at.key)?),
            });
        }
        Ok(listed)
    }

    /// A document that is read by itself; nothing if it has been deleted meanwhile.
    async fn one(
        &self,
        connection: &mut SqliteConnection,
        key: &str,
    ) -> Result<Option<Document>, sqlx::Error> {
        let row = sqlx::query(self.one.clone()).bind(key).fetch_optional(connection).await?;
        row.map_or(Ok(None), |row| document(&row, DocumentColumns::of(&mut None, &row)?))
    }

    /// What the transaction finds of the documents it is about to check and to change.
    async fn find(
        &self,
        tx: &mut Transaction<'static, Sqlite>,
        lock: &LockSet<'_>,
    ) -> Result<HashMap<String, Locked>, sqlx::Error> {
        let mut locked = HashMap::new();
        let checked: Vec<&str> = lock.written.iter().chain(&lock.read).copied().collect();
        if !checked.is_empty() {
            let query = sqlx::query(self.revisions.clone()).bind(json_list(&checked));
            for row in query.fetch_all(&mut **tx).await? {
                let revision = Position::new(unsigned(row.try_get("revision")?));
                locked.insert(row.try_get("key")?, Locked { revision, text: LockedText::NotWanted });
            }
        }
        if !lock.summed.is_empty() {
            let mut rows = sqlx::query(self.fetch.clone()).bind(json_list(&lock.summed)).fetch(&mut **tx);
            let (mut bytes, mut columns) = (0, None);
            while let Some(row) = rows.try_next().await? {
                let at = DocumentColumns::of(&mut columns, &row)?;
                let revision = Position::new(unsigned(row.try_get_unchecked(at.revision)?));
                let text = match row.try_get_unchecked::<Option<&str>, _>(at.document)? {
                    Some(text) => LockedText::of(Some(text), &mut bytes),
                    None => LockedText::TooMuch(bytes_of(&row, at)?),
                };
                locked.insert(row.try_get_unchecked(at.key)?, Locked { revision, text });
            }
        }
        Ok(locked)
    }

    async fn put(&self, tx: &mut Transaction<'static, Sqlite>, puts: &[Put<'_>]) -> Result<(), sqlx::Error> {
        let (many, some) = puts.as_chunks::<UPSERT_ROWS>();
        for chunk in many {
            let mut query = sqlx::query(self.upsert_many.clone());
            for put in chunk {
                query = query.bind(put.key).bind(Arc::clone(&put.document)).bind(signed(put.revision.get()));
            }
            query.execute(&mut **tx).await?;
        }
        if !some.is_empty() {
            let rows: Vec<(&str, &str, u64)> =
                some.iter().map(|put| (put.key, &*put.document, put.revision.get())).collect();
            let rows = serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
            sqlx::query(self.upsert_some.clone()).bind(rows).execute(&mut **tx).await?;
        }
        Ok(())
    }
}

fn json_list(names: &[&str]) -> String {
    serde_json::json!(names).to_string()
}

/// The bytes of a document that is fetched or scanned, read or not.
fn bytes_of(row: &SqliteRow, at: DocumentColumns) -> Result<usize, sqlx::Error> {
    let bytes: i64 = row.try_get_unchecked(at.bytes)?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// The document of a row; nothing if it is to be read by itself.
fn document(row: &SqliteRow, at: DocumentColumns) -> Result<Option<Document>, sqlx::Error> {
    let Some(document) = row.try_get_unchecked::<Option<&str>, _>(at.document)? else { return Ok(None) };
    let stored = Stored {
        document: Arc::from(document),
        revision: Position::new(unsigned(row.try_get_unchecked(at.revision)?)),
    };
    Ok(Some(Document { key: row.try_get_unchecked(at.key)?, stored }))
}
