//! Counts the events of every aggregate: the smallest projection there is, and the one that `kennel bench`
//! measures. Every event reads one document, changes it and writes it.

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct Counter;

/// A document of the collection `counts`; its key is the aggregate's id.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Count {
    events: u64,
    /// Of the last event.
    last_position: u64,
}

impl Projection for Counter {
    fn descriptor(&self) -> Descriptor {
        // No scope: all events.
        Descriptor::new("counter", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        model.upsert("counts", &event.aggregate_id, |count: &mut Count| {
            count.events += 1;
            count.last_position = event.position;
        })
    }
}

export_projection!(Counter);

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{Scenario, event};

    use super::*;

    #[test]
    fn every_aggregate_has_its_own_count() {
        Scenario::new(Counter)
            .given(event("Changed").of("a").position(1))
            .given(event("Changed").of("b").position(2))
            .when(event("Changed").of("a").position(5))
            .then_collection(
                "counts",
                json!({
                    "a": {"events": 2, "last_position": 5},
                    "b": {"events": 1, "last_position": 2},
                }),
            );
    }
}
