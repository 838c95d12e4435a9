//! Keeps SQLite's write-ahead log short. SQLite begins it anew only at a moment when no reader reads from it; where
//! pages are read while batches are committed there is no such moment, and the log grows without end. So a writer to a
//! log that has become long first waits for the readers of this moment, with the write lock: those that come later find
//! everything in the database, and keep no writer waiting.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Row as _, Sqlite, SqlitePool};

use super::BUSY_TIMEOUT;

/// How long the log may get before it is begun anew, in bytes. Each time costs a wait for readers and a file that has to
/// grow again: so it is not done more often than the bound of 128 MiB asks for.
const LONG: u64 = 48 << 20;
/// How much longer it may have got when that is tried again, because a reader has been reading for long.
const LONGER: u64 = 8 << 20;
/// When an operator is warned, in bytes, and again each time that it has doubled.
const WARN_BYTES: u64 = 128 << 20;
/// How long a writer waits for readers.
const READERS_END_WITHIN: Duration = Duration::from_secs(1);
/// How long the last checkpoint of a lost file may take, for other writes to end as well.
const MOVED_WITHIN: Duration = Duration::from_secs(2);

/// The known state of the log.
#[derive(Debug)]
pub(super) struct WriteAheadLog {
    /// At which size something is done about it.
    next: AtomicU64,
    /// At which size an operator is warned.
    warn_at: AtomicU64,
}

impl Default for WriteAheadLog {
    fn default() -> Self {
        Self { next: AtomicU64::new(LONG), warn_at: AtomicU64::new(WARN_BYTES) }
    }
}

impl WriteAheadLog {
    /// Begins a log of so many bytes anew if it is long. That it cannot be done now keeps no writer from writing.
    pub(super) async fn keep_short(&self, writer: &SqlitePool, path: &Path, bytes: u64) {
        if bytes < self.next.load(Ordering::Relaxed) {
            return;
        }
        let Ok(mut connection) = writer.acquire().await else { return };
        if truncate(&mut connection, READERS_END_WITHIN).await.unwrap_or(false) {
            self.next.store(LONG, Ordering::Relaxed);
            self.warn_at.store(WARN_BYTES, Ordering::Relaxed);
            return;
        }
        self.next.store(bytes + LONGER, Ordering::Relaxed);
        if bytes >= self.warn_at.load(Ordering::Relaxed) {
            self.warn_at.store(bytes * 2, Ordering::Relaxed);
            tracing::warn!(
                store = %path.display(),
                mebibytes = bytes >> 20,
                "the write-ahead log has become long: a program has been reading the file for long, or there is no room on \
                 the disk; it becomes short again when that has ended"
            );
        }
    }

    /// Moves the rest of the log into the database, by a connection that is open already.
    pub(super) async fn move_rest(&self, writer: &SqlitePool) {
        let moved = tokio::time::timeout(MOVED_WITHIN, async {
            loop {
                if let Some(mut connection) = writer.try_acquire() {
                    return truncate(&mut connection, READERS_END_WITHIN).await.unwrap_or(false);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if !moved.await.unwrap_or(false) {
            tracing::warn!(
                "what was committed last could not be moved from the write-ahead log into the database"
            );
        }
    }
}

/// Whether all of the log could be moved into the database, and cut off.
async fn truncate(connection: &mut PoolConnection<Sqlite>, wait: Duration) -> Result<bool, sqlx::Error> {
    busy_timeout(connection, wait).await?;
    let done = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut **connection).await;
    busy_timeout(connection, BUSY_TIMEOUT).await?;
    // Whether another connection blocked it.
    Ok(done?.try_get::<i64, _>("busy")? == 0)
}

async fn busy_timeout(connection: &mut PoolConnection<Sqlite>, wait: Duration) -> Result<(), sqlx::Error> {
    let sql = format!("PRAGMA busy_timeout = {}", wait.as_millis());
    sqlx::query(crate::sql::statement(sql)).fetch_one(&mut **connection).await.map(|_| ())
}
