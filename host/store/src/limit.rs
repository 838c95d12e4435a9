//! What `kennel bench` compares Kennel with: the same batches done by a loop written by hand, with the same
//! SQL work, on one connection, without engine and guest.
//!
//! It uses nothing of the rest of this crate but the way to connect, so that slow code there cannot hide here, and
//! keeps nothing that Kennel promises: no high-water mark, no fence, no partitions, no failure policy.

mod postgres;
mod sqlite;

use std::collections::HashMap;

use kennel_core::port::{BoxError, StoreError};
use serde::{Deserialize, Serialize};

use crate::url::StoreUrl;

/// A document of the loop: what the example `counter` keeps of an aggregate.
#[derive(Default, Serialize, Deserialize)]
struct Count {
    events: u64,
    last_position: i64,
}

/// An event as a handler would want it, every column of it.
#[derive(sqlx::FromRow)]
#[expect(dead_code, reason = "a handler is handed the whole event; this one needs little of it")]
struct Event<Id, Time> {
    global_position: i64,
    bounded_context: String,
    aggregate_type: String,
    aggregate_id: String,
    aggregate_version: i64,
    event_id: Id,
    event_type: String,
    event_version: i32,
    payload: Vec<u8>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    metadata: Option<String>,
    created_at: Time,
}

/// Handles the whole log in batches of so many events, reading, changing and writing one document for
/// every event. Returns the number of events.
///
/// It makes tables of its own and leaves them behind.
pub async fn run(url: &StoreUrl, batch: usize) -> Result<u64, StoreError> {
    let batch = i64::try_from(batch).unwrap_or(i64::MAX);
    match url {
        StoreUrl::Sqlite(path) => sqlite::run(path, batch).await,
        StoreUrl::Postgres(uri) => postgres::run(uri, batch).await,
    }
    .map_err(|source: BoxError| StoreError::Failed {
        doing: "handling the log by a hand-written loop".to_owned(),
        source,
    })
}

/// The keys of the documents that a batch needs.
fn keys<Id, Time>(events: &[Event<Id, Time>]) -> Vec<&str> {
    let mut keys: Vec<&str> = events.iter().map(|event| event.aggregate_id.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What the handler does: every event reads its document, changes it and writes it, as text.
fn handle<Id, Time>(
    events: &[Event<Id, Time>],
    documents: &mut HashMap<String, (String, i64)>,
) -> Result<(), serde_json::Error> {
    for event in events {
        let mut count: Count = match documents.get(&event.aggregate_id) {
            Some((document, _)) => serde_json::from_str(document)?,
            None => Count::default(),
        };
        count.events += 1;
        count.last_position = event.global_position;
        let written = (serde_json::to_string(&count)?, event.global_position);
        documents.insert(event.aggregate_id.clone(), written);
    }
    Ok(())
}
