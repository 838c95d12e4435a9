//! Judges the read model of the example `audit-log` from outside, through `kennel documents --json`.

use serde_json::Value;

use crate::binary::Kennel;

/// What the documents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    pub events: usize,
    pub aggregates: usize,
    pub not_once: usize,
    pub out_of_order: usize,
}

/// Reads every document of the projection.
#[must_use]
pub fn audit(kennel: &Kennel, projection: &str) -> Audit {
    let events = documents(kennel, projection, "events");
    let aggregates = documents(kennel, projection, "aggregates");
    Audit {
        events: events.len(),
        aggregates: aggregates.len(),
        not_once: events.iter().filter(|row| row["document"]["count"] != 1).count(),
        out_of_order: aggregates.iter().filter(|row| row["document"]["out_of_order"] != false).count(),
    }
}

/// All documents of a collection: an array of `{"key": …, "document": …}`.
#[must_use]
pub fn documents(kennel: &Kennel, projection: &str, collection: &str) -> Vec<Value> {
    let rows = kennel.json(&["documents", projection, collection, "--json"]);
    rows.as_array().expect("an array").clone()
}
