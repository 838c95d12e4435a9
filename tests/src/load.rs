//! Events that are appended at a steady rate, as other programs do it: with SQL.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::binary::now;
use crate::database::Database;
use crate::events::Row;

/// How often some are appended.
const EVERY: Duration = Duration::from_millis(10);
/// Most that are appended at once, also when the writer has fallen behind.
const AT_ONCE_MAX: u64 = 500;
const AGGREGATES: u64 = 400;

/// A writer that appends without pause. It stops when dropped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    writer: Option<JoinHandle<u64>>,
}

impl Load {
    /// Appends so many events a second, each to another aggregate than the one before. At most one load at a
    /// time, or one after another beginning after `before` events of those before it.
    #[must_use]
    pub fn start(database: Database, per_second: u64, before: u64) -> Self {
        Self::of(happened, database, per_second, before)
    }

    /// Appends the events that `row` makes of their numbers.
    #[must_use]
    pub fn of(row: fn(u64) -> Row, mut database: Database, per_second: u64, before: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let writer = std::thread::spawn(move || {
            let (began, mut sent) = (now(), 0);
            while !stopped.load(Ordering::SeqCst) {
                let due =
                    u64::try_from(began.elapsed().as_millis()).expect("a short test") * per_second / 1000;
                if due > sent {
                    let count = (due - sent).min(AT_ONCE_MAX);
                    append(&mut database, row, before + sent, count);
                    sent += count;
                }
                pause(EVERY);
            }
            sent
        });
        Self { stop, writer: Some(writer) }
    }

    /// Stops, and says how many events were appended.
    ///
    /// # Panics
    ///
    /// When appending failed.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.writer.take().map_or(0, |writer| writer.join().expect("the writer appends"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(writer) = self.writer.take() {
            // It has said itself what went wrong, if anything did.
            let _ = writer.join();
        }
    }
}

/// Appends so many events at once, to aggregates of their own.
pub fn backlog(database: &mut Database, events: u64) {
    const AGGREGATES: u64 = 2_000;
    let (payload, digits) = match database {
        Database::Postgres(_) => ("'{}'::bytea", "lpad(to_hex(number), 12, '0')"),
        Database::Sqlite(_) => ("CAST('{}' AS BLOB)", "printf('%012x', number)"),
    };
    let id = format!("'00000000-0000-4000-9000-' || {digits}");
    let id = if matches!(database, Database::Postgres(_)) { format!("({id})::uuid") } else { id };
    database.rows(&format!(
        "WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n WHERE number < {events})
         INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
           event_version, payload)
         SELECT 'Backlog', 'Order', 'order-' || (number % {AGGREGATES}), number / {AGGREGATES} + 1, {id}, 'Happened', 1,
           {payload} FROM n ORDER BY number"
    ));
}

/// An event of which nothing matters but that it is there.
fn happened(number: u64) -> Row {
    let (aggregate, version) = (number % AGGREGATES, number / AGGREGATES + 1);
    Row {
        context: "Load",
        aggregate: ("Order", format!("load-{aggregate}")),
        version,
        event_type: "Happened",
        payload: "{}".to_owned(),
    }
}

/// Appends the events with these numbers in one transaction.
fn append(database: &mut Database, row: fn(u64) -> Row, first: u64, count: u64) {
    let binary = if matches!(database, Database::Postgres(_)) { "BYTEA" } else { "BLOB" };
    let mut sql =
        "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id,
        event_type, event_version, payload) VALUES"
            .to_owned();
    for number in first..first + count {
        let Row { context, aggregate: (aggregate_type, aggregate), version, event_type, payload } =
            row(number);
        let separator = if number == first { "" } else { "," };
        write!(
            sql,
            "{separator} ('{context}', '{aggregate_type}', '{aggregate}', {version},
            '00000000-0000-4000-8000-{number:012x}', '{event_type}', 1, CAST('{payload}' AS {binary}))"
        )
        .expect("a string can be written to");
    }
    database.rows(&sql);
}

#[expect(clippy::disallowed_methods, reason = "a steady rate is one in real time")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
