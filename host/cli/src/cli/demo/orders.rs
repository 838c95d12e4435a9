//! Generates the life of orders: the same seed gives the same events, byte for byte.

use serde_json::json;
use uuid::Uuid;

use kennel_core::event::NewEvent;
use kennel_core::random::Generator;
use kennel_core::timestamp::Timestamp;

/// Orders that are open at the same time: their events lie mixed in the log.
const OPEN: usize = 200;
const CUSTOMERS: u64 = 2_000;
/// 2026-01-01T00:00:00Z in nanoseconds.
const BEGINNING: u64 = 1_767_225_600_000_000_000;

/// An endless stream of order events.
#[derive(Debug)]
pub(super) struct Orders {
    /// A seed keeps its meaning for ever.
    random: Generator,
    open: Vec<Open>,
    placed: u64,
    written: u64,
}

/// An order that goes on.
#[derive(Debug)]
struct Open {
    id: String,
    version: u64,
    items_to_come: u64,
    step: Step,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Placing,
    Filling,
    Paid,
}

impl Orders {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Generator::new(seed), open: Vec::new(), placed: 0, written: 0 }
    }

    fn place(&mut self) -> Open {
        self.placed += 1;
        let items_to_come = 1 + self.random.below(5);
        Open { id: format!("order-{}", self.placed), version: 0, items_to_come, step: Step::Placing }
    }

    /// The order's next event, and whether it was the last.
    fn step(&mut self, order: &mut Open) -> (&'static str, serde_json::Value, bool) {
        match order.step {
            Step::Placing => {
                order.step = Step::Filling;
                let customer = format!("customer-{}", 1 + self.random.below(CUSTOMERS));
                ("OrderPlaced", json!({"customer": customer, "currency": "EUR"}), false)
            }
            Step::Filling if order.items_to_come > 0 => {
                order.items_to_come -= 1;
                let sku = format!("sku-{}", 1 + self.random.below(500));
                let (quantity, price) = (1 + self.random.below(4), 99 + self.random.below(20_000));
                ("ItemAdded", json!({"sku": sku, "quantity": quantity, "unit_price_cents": price}), false)
            }
            Step::Filling if self.random.below(10) == 0 => ("OrderCancelled", json!({}), true),
            Step::Filling => {
                order.step = Step::Paid;
                ("OrderPaid", json!({}), false)
            }
            Step::Paid => ("OrderShipped", json!({}), true),
        }
    }
}

impl Iterator for Orders {
    type Item = NewEvent;

    fn next(&mut self) -> Option<NewEvent> {
        while self.open.len() < OPEN {
            let order = self.place();
            self.open.push(order);
        }
        let index = usize::try_from(self.random.below(OPEN as u64)).ok()?;
        let mut order = self.open.swap_remove(index);
        let (event_type, payload, last) = self.step(&mut order);
        order.version += 1;
        self.written += 1;
        let event = NewEvent {
            bounded_context: "Sales".to_owned(),
            aggregate_type: "Order".to_owned(),
            aggregate_id: order.id.clone(),
            aggregate_version: Some(order.version),
            event_id: Uuid::from_u64_pair(self.random.below(u64::MAX), self.written),
            event_type: event_type.to_owned(),
            event_version: 1,
            payload: payload.to_string().into_bytes(),
            metadata: None,
            trace_id: None,
            correlation_id: Some(order.id.clone()),
            causation_id: None,
            created_at: Some(Timestamp::from_nanoseconds(BEGINNING + self.written * 1_000_000)),
        };
        if !last {
            self.open.push(order);
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_events_and_another_seed_others() {
        let events = |seed| Orders::new(seed).take(500).collect::<Vec<_>>();
        assert_eq!(events(7), events(7));
        assert_ne!(events(7), events(8));
    }

    #[test]
    fn every_event_continues_its_order() {
        let mut versions = std::collections::HashMap::new();
        for event in Orders::new(1).take(5_000) {
            let version = versions.entry(event.aggregate_id).or_insert(0);
            *version += 1;
            assert_eq!(event.aggregate_version, Some(*version));
        }
    }
}
