//! Compares the read model of the example projection `audit-log` with the log: was every event handled
//! exactly once, and in order?

use std::collections::HashMap;

use kennel_core::limits;
use kennel_core::partition::HashRange;
use kennel_core::port::{LogReader, ReadModel, ReadQuery, StoreError, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::{ReadModelId, Scope};
use serde::{Deserialize, Serialize};

/// What the check found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExactlyOnce {
    /// Events in the log.
    pub events: u64,
    pub handled_once: u64,
    pub missed: u64,
    /// Handled more than once, or not in the log at all.
    pub doubled: u64,
    /// Aggregates that saw an event that was not newer than the one before it.
    pub out_of_order: u64,
}

impl ExactlyOnce {
    /// Whether everything took effect exactly once and in order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.missed == 0 && self.doubled == 0 && self.out_of_order == 0 && self.handled_once == self.events
    }
}

#[derive(Deserialize)]
struct Seen {
    count: u64,
    position: u64,
}

#[derive(Deserialize)]
struct Aggregate {
    out_of_order: bool,
}

/// Reads the whole log and every document of the read model.
pub async fn check(
    events: &dyn LogReader,
    documents: &dyn ReadModel,
    read_model: ReadModelId,
) -> Result<ExactlyOnce, StoreError> {
    let mut found = ExactlyOnce::default();
    let upto = events.high_water_mark().await?.position;
    let (scope, ranges) = (Scope::default(), [HashRange::ALL]);
    let mut after = Position::START;
    while after < upto {
        let limit = limits::READ_KEYS_MAX;
        let page = events.read(ReadQuery { after, upto, scope: &scope, ranges: &ranges, limit }).await?;
        after = page.reached;
        let positions: HashMap<String, Position> =
            page.events.iter().map(|event| (event.event_id.to_string(), event.position)).collect();
        let keys: Vec<String> = positions.keys().cloned().collect();
        let wanted = [Wanted { collection: "events".to_owned(), keys: keys.clone() }];
        let fetched = documents.fetch(read_model, &wanted).await?;
        for (key, stored) in keys.iter().zip(fetched.into_iter().flatten()) {
            found.events += 1;
            let seen: Option<Seen> = stored.and_then(|stored| serde_json::from_str(&stored.document).ok());
            match seen {
                None => found.missed += 1,
                Some(seen)
                    if seen.count == 1 && Some(seen.position) == positions.get(key).map(|p| p.get()) =>
                {
                    found.handled_once += 1;
                }
                Some(_) => found.doubled += 1,
            }
        }
    }
    let kept = count(documents, read_model, "events", |_| true).await?;
    found.doubled += kept.saturating_sub(found.events - found.missed);
    let disordered = |document: &str| match serde_json::from_str::<Aggregate>(document) {
        Ok(aggregate) => aggregate.out_of_order,
        Err(_) => true,
    };
    found.out_of_order = count(documents, read_model, "aggregates", disordered).await?;
    Ok(found)
}

async fn count(
    documents: &dyn ReadModel,
    read_model: ReadModelId,
    collection: &str,
    counts: impl Fn(&str) -> bool + Send + Sync,
) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut after: Option<String> = None;
    loop {
        let rows =
            documents.scan(read_model, collection, after.as_deref(), "", limits::READ_KEYS_MAX).await?;
        let counted = rows.iter().filter(|row| counts(&row.stored.document)).count();
        count += u64::try_from(counted).unwrap_or(u64::MAX);
        match rows.into_iter().next_back() {
            Some(last) => after = Some(last.key),
            None => return Ok(count),
        }
    }
}
