//! The hand-written loop on SQLite.

use std::collections::HashMap;
use std::path::Path;

use kennel_core::port::BoxError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};

use super::Event;

/// Rows in one large upsert, as the store writes them.
const ROWS: usize = 256;
const TABLES: &str = "
DROP TABLE IF EXISTS limit_document;
DROP TABLE IF EXISTS limit_checkpoint;
CREATE TABLE limit_document (key TEXT NOT NULL PRIMARY KEY, document TEXT NOT NULL, revision BIGINT NOT NULL);
CREATE TABLE limit_checkpoint (position BIGINT NOT NULL);
INSERT INTO limit_checkpoint VALUES (0);
";
const READ: &str = "
SELECT global_position, bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
    event_version, payload, trace_id, correlation_id, causation_id, metadata, created_at
FROM events WHERE global_position > $1 ORDER BY global_position LIMIT $2";
const FETCH: &str =
    "SELECT key, document, revision FROM limit_document WHERE key IN (SELECT value FROM json_each($1))";
const MOVE: &str = "UPDATE limit_checkpoint SET position = $1 WHERE position = $2";
const CONFLICT: &str =
    "ON CONFLICT (key) DO UPDATE SET document = excluded.document, revision = excluded.revision";

pub(super) async fn run(path: &Path, batch: i64) -> Result<u64, BoxError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-32768");
    let mut connection = options.connect().await?;
    connection.execute(TABLES).await?;
    let (mut position, mut handled) = (0, 0);
    loop {
        let events: Vec<Event<String, String>> =
            sqlx::query_as(READ).bind(position).bind(batch).fetch_all(&mut connection).await?;
        let Some(last) = events.last() else { break };
        let wanted = serde_json::to_string(&super::keys(&events))?;
        let rows = sqlx::query(FETCH).bind(wanted).fetch_all(&mut connection).await?;
        let mut documents: HashMap<String, (String, i64)> = HashMap::with_capacity(events.len());
        for row in &rows {
            documents.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
        }
        super::handle(&events, &mut documents)?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let moved = sqlx::query(MOVE).bind(last.global_position).bind(position).execute(&mut *tx).await?;
        if moved.rows_affected() != 1 {
            return Err("another process moved the checkpoint".into());
        }
        let mut rows: Vec<_> = documents.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        for chunk in rows.chunks(ROWS) {
            let placeholders = vec!["(?, ?, ?)"; chunk.len()].join(", ");
            let sql = format!(
                "INSERT INTO limit_document (key, document, revision) VALUES {placeholders} {CONFLICT}"
            );
            let mut write = sqlx::query(AssertSqlSafe(sql));
            for (key, (document, revision)) in chunk {
                write = write.bind(key.as_str()).bind(document.as_str()).bind(revision);
            }
            write.execute(&mut *tx).await?;
        }
        tx.commit().await?;
        (position, handled) = (last.global_position, handled + events.len() as u64);
    }
    connection.close().await?;
    Ok(handled)
}
