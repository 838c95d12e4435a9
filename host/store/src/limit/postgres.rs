//! The hand-written loop on PostgreSQL.

use std::collections::HashMap;

use kennel_core::port::BoxError;
use sqlx::{Connection as _, Executor as _, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Event;
use crate::backend::postgres::Connector;
use crate::url::PostgresUri;

const TABLES: &str = r#"
DROP TABLE IF EXISTS limit_document, limit_checkpoint;
CREATE TABLE limit_document (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    document JSONB NOT NULL,
    revision BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE limit_checkpoint (position BIGINT NOT NULL);
INSERT INTO limit_checkpoint VALUES (0);
"#;
const READ: &str = "
SELECT global_position, bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
    event_version, payload, trace_id, correlation_id, causation_id, metadata::text, created_at
FROM events WHERE global_position > $1 ORDER BY global_position LIMIT $2";
const FETCH: &str = "SELECT key, document::text, revision FROM limit_document WHERE key = ANY($1)";
const MOVE: &str = "UPDATE limit_checkpoint SET position = $1 WHERE position = $2";
const WRITE: &str = "
INSERT INTO limit_document (key, document, revision)
SELECT k, d::jsonb, r FROM unnest($1::text[], $2::text[], $3::bigint[]) AS given(k, d, r)
ON CONFLICT (key) DO UPDATE SET document = excluded.document, revision = excluded.revision";

pub(super) async fn run(uri: &PostgresUri, batch: i64) -> Result<u64, BoxError> {
    let mut connection = Connector::new(uri)?.connect().await?;
    connection.execute(TABLES).await?;
    let (mut position, mut handled) = (0, 0);
    loop {
        let events: Vec<Event<Uuid, OffsetDateTime>> =
            sqlx::query_as(READ).bind(position).bind(batch).fetch_all(&mut connection).await?;
        let Some(last) = events.last() else { break };
        let rows = sqlx::query(FETCH).bind(super::keys(&events)).fetch_all(&mut connection).await?;
        let mut documents: HashMap<String, (String, i64)> = HashMap::with_capacity(events.len());
        for row in &rows {
            documents.insert(row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?));
        }
        super::handle(&events, &mut documents)?;
        let mut tx = connection.begin().await?;
        let moved = sqlx::query(MOVE).bind(last.global_position).bind(position).execute(&mut *tx).await?;
        if moved.rows_affected() != 1 {
            return Err("another process moved the checkpoint".into());
        }
        let mut rows: Vec<_> = documents.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        let keys: Vec<&str> = rows.iter().map(|(key, _)| key.as_str()).collect();
        let texts: Vec<&str> = rows.iter().map(|(_, (document, _))| document.as_str()).collect();
        let revisions: Vec<i64> = rows.iter().map(|(_, (_, revision))| *revision).collect();
        sqlx::query(WRITE).bind(keys).bind(texts).bind(revisions).execute(&mut *tx).await?;
        tx.commit().await?;
        (position, handled) = (last.global_position, handled + events.len() as u64);
    }
    connection.close().await?;
    Ok(handled)
}
