//! Proves that every event of a log was handled exactly once and in order.
//!
//! - `events`: key = event id. Both fields are only ever *added to*, so that an event handled twice
//!   shows `count` 2 and twice its `position`; an event that was skipped has no document.
//! - `aggregates`: key = aggregate id. The last position and version seen, and `out_of_order`, which
//!   turns true, and stays so, when an event arrives that is not newer than the one before it.

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct AuditLog;

/// A document of the collection `aggregates`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Aggregate {
    /// Of the last event seen.
    position: u64,
    /// Of the last event seen.
    version: u64,
    out_of_order: bool,
    /// Versions are counted per kind of aggregate, and different kinds may use the same id.
    kinds: Vec<Kind>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kind {
    bounded_context: String,
    aggregate_type: String,
    position: u64,
    version: u64,
}

impl Projection for AuditLog {
    fn descriptor(&self) -> Descriptor {
        // No scope: all events.
        Descriptor::new("audit-log", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        model.increment("events", &event.event_id, "count", 1);
        model.increment("events", &event.event_id, "position", event.position.try_into()?);
        model.upsert("aggregates", &event.aggregate_id, |aggregate: &mut Aggregate| aggregate.see(event))
    }
}

export_projection!(AuditLog);

impl Aggregate {
    fn see(&mut self, event: &Event) {
        self.position = event.position;
        self.version = event.aggregate_version;
        let known = self.kinds.iter_mut().find(|kind| {
            kind.aggregate_type == event.aggregate_type && kind.bounded_context == event.bounded_context
        });
        match known {
            Some(kind) => {
                self.out_of_order |=
                    event.aggregate_version <= kind.version || event.position <= kind.position;
                kind.position = event.position;
                kind.version = event.aggregate_version;
            }
            None => self.kinds.push(Kind {
                bounded_context: event.bounded_context.clone(),
                aggregate_type: event.aggregate_type.clone(),
                position: event.position,
                version: event.aggregate_version,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{EventBuilder, Scenario, event};

    use super::*;

    fn change(position: u64, version: u64) -> EventBuilder {
        event("Changed").of("a-1").id(format!("e-{position}")).position(position).version(version)
    }

    /// Whether `a-1` is out of order after these positions and versions.
    fn is_out_of_order(events: &[(u64, u64)]) -> bool {
        let events = events.iter().map(|&(position, version)| change(position, version));
        let aggregate = Scenario::new(AuditLog).given_all(events).document("aggregates", "a-1");
        aggregate.is_some_and(|aggregate| aggregate["out_of_order"] == json!(true))
    }

    #[test]
    fn every_event_and_aggregate_has_a_document() {
        Scenario::new(AuditLog)
            .given(change(3, 1))
            .when(change(7, 2))
            .then_collection("events", json!({
                "e-3": {"count": 1, "position": 3},
                "e-7": {"count": 1, "position": 7},
            }))
            .then_collection("aggregates", json!({
                "a-1": {
                    "position": 7, "version": 2, "out_of_order": false,
                    "kinds": [{"bounded_context": "Test", "aggregate_type": "Test", "position": 7, "version": 2}],
                },
            }));
    }

    #[test]
    fn an_event_handled_twice_shows() {
        Scenario::new(AuditLog).given(change(3, 1)).when(change(3, 1)).then_document(
            "events",
            "e-3",
            json!({"count": 2, "position": 6}),
        );
        assert!(is_out_of_order(&[(3, 1), (3, 1)]));
    }

    #[test]
    fn an_event_out_of_order_shows_for_ever() {
        assert!(!is_out_of_order(&[(1, 1), (2, 2), (9, 3)]));
        assert!(is_out_of_order(&[(1, 1), (2, 3), (3, 2)]), "an older version");
        assert!(is_out_of_order(&[(2, 1), (1, 2)]), "an older position");
        assert!(is_out_of_order(&[(1, 2), (2, 1), (3, 3), (4, 4)]), "repaired later");
    }

    #[test]
    fn kinds_of_aggregate_that_share_an_id_have_versions_of_their_own() {
        let aggregate = Scenario::new(AuditLog)
            .given(change(1, 5))
            .given(change(2, 1).aggregate_type("Other"))
            .given(change(3, 1).bounded_context("Other"))
            .given(change(4, 6))
            .document("aggregates", "a-1")
            .unwrap_or_default();
        assert_eq!(aggregate["out_of_order"], json!(false), "{aggregate:#}");
        assert_eq!(aggregate["kinds"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn payloads_do_not_matter() {
        Scenario::new(AuditLog).when(change(1, 1).binary([0xff])).then_handled();
    }
}
