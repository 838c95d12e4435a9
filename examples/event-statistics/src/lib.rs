//! How often each event type occurs, and what its events are like.
//!
//! - `counts`: key = event type. How many events there are, by `increment`.
//! - `types`: key = event type. The same number, by reading and writing the document; where the first and
//!   the last of these events stand, and the largest payload among them.
//!
//! Events of one type belong to many aggregates, and so to many workers, which all write these few
//! documents. `increment` reads nothing and never waits for others: use it where adding is all there is to
//! do. For anything else read the document and write it back. Should another worker write it in between,
//! the host undoes this batch and handles its events again, so no change is lost; it only takes longer. The
//! two counts must therefore agree, always.

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct EventStatistics;

/// A document of the collection `types`. Workers do not see the events of a type in the order of the log,
/// so every field must come out the same in any order.
#[derive(Debug, Default, Serialize, Deserialize)]
struct EventType {
    count: u64,
    first_position: u64,
    last_position: u64,
    payload_bytes_max: usize,
}

impl Projection for EventStatistics {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("event-statistics", env!("CARGO_PKG_VERSION"))
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        model.increment("counts", &event.event_type, "count", 1);
        model.upsert("types", &event.event_type, |known: &mut EventType| known.see(event))
    }
}

export_projection!(EventStatistics);

impl EventType {
    fn see(&mut self, event: &Event) {
        let is_first = self.count == 0 || event.position < self.first_position;
        self.first_position = if is_first { event.position } else { self.first_position };
        self.last_position = self.last_position.max(event.position);
        self.payload_bytes_max = self.payload_bytes_max.max(event.bytes().len());
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{EventBuilder, Scenario, event};

    use super::*;

    fn paid(order: &str, position: u64, payload: &str) -> EventBuilder {
        event("OrderPaid").of(order).position(position).binary(payload)
    }

    #[test]
    fn both_counts_agree_over_all_aggregates() {
        Scenario::new(EventStatistics)
            .given(paid("o-1", 1, "four"))
            .given(event("OrderShipped").of("o-1").position(2).binary(""))
            .when(paid("o-2", 5, "fifteen"))
            .then_collection("counts", json!({"OrderPaid": {"count": 2}, "OrderShipped": {"count": 1}}))
            .then_collection(
                "types",
                json!({
                    "OrderPaid":
                        {"count": 2, "first_position": 1, "last_position": 5, "payload_bytes_max": 7},
                    "OrderShipped":
                        {"count": 1, "first_position": 2, "last_position": 2, "payload_bytes_max": 0},
                }),
            );
    }

    #[test]
    fn the_order_of_aggregates_among_each_other_does_not_matter() {
        let events = [paid("o-1", 1, "a"), paid("o-1", 4, "abc"), paid("o-2", 3, "ab")];
        for order in [[0, 1, 2], [0, 2, 1], [2, 0, 1]] {
            Scenario::new(EventStatistics)
                .given_all(order.map(|index| events[index].clone()))
                .when(paid("o-3", 2, "a"))
                .then_document(
                    "types",
                    "OrderPaid",
                    json!({
                        "count": 4, "first_position": 1, "last_position": 4, "payload_bytes_max": 3,
                    }),
                );
        }
    }
}
