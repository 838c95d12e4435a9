//! The whole log in one row: every event gets the next number, across all aggregates.
//!
//! - `entries`: key = the number with 20 digits, so that keys sort as numbers do. What happened, where, and
//!   the position of the entry before.
//! - `state`: one document, `last`: the number and position of the last entry.
//!
//! Numbering needs the order *between* aggregates, so this projection asks for one worker at a time. Were
//! two ever at work at once, or were one to begin where another had not ended, a number would be missing or
//! an entry would not follow upon the one before it.

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct Timeline;

/// A document of the collection `entries`.
#[derive(Debug, Serialize)]
struct Entry<'event> {
    position: u64,
    /// Of the entry before; 0 for the first.
    previous_position: u64,
    event_type: &'event str,
    aggregate_id: &'event str,
}

/// The document `last` of the collection `state`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Last {
    number: u64,
    position: u64,
}

impl Projection for Timeline {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("timeline", env!("CARGO_PKG_VERSION")).single()
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        let (number, previous_position) = model.upsert("state", "last", |last: &mut Last| {
            let previous_position = last.position;
            last.number += 1;
            last.position = event.position;
            (last.number, previous_position)
        })?;
        let entry = Entry {
            position: event.position,
            previous_position,
            event_type: &event.event_type,
            aggregate_id: &event.aggregate_id,
        };
        model.put("entries", &format!("{number:020}"), &entry)
    }
}

export_projection!(Timeline);

#[cfg(test)]
mod tests {
    use kennel_guest::Partitioning;
    use kennel_guest::testing::{Scenario, event};

    use super::*;

    #[test]
    fn events_are_numbered_across_aggregates() {
        Scenario::new(Timeline)
            .given(event("Opened").of("a").position(3))
            .given(event("Opened").of("b").position(4))
            .when(event("Closed").of("a").position(9))
            .then_collection(
                "entries",
                json!({
                    "00000000000000000001":
                        {"position": 3, "previous_position": 0, "event_type": "Opened", "aggregate_id": "a"},
                    "00000000000000000002":
                        {"position": 4, "previous_position": 3, "event_type": "Opened", "aggregate_id": "b"},
                    "00000000000000000003":
                        {"position": 9, "previous_position": 4, "event_type": "Closed", "aggregate_id": "a"},
                }),
            )
            .then_document("state", "last", json!({"number": 3, "position": 9}));
    }

    #[test]
    fn an_event_handled_twice_shows() {
        Scenario::new(Timeline)
            .given(event("Opened").position(3))
            .when(event("Opened").position(3))
            .then_document(
                "entries",
                "00000000000000000002",
                json!({"position": 3, "previous_position": 3, "event_type": "Opened", "aggregate_id": "1"}),
            );
    }

    #[test]
    fn one_worker_at_a_time_is_asked_for() {
        assert_eq!(Timeline.descriptor().partitioning, Partitioning::Single);
    }
}
