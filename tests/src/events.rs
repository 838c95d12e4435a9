//! Events for tests, as lines of JSON and as rows of the log.

use std::fmt::Write as _;

use serde_json::{Value, json};
use uuid::Uuid;

/// A line for `kennel append`.
#[must_use]
pub fn line(
    number: u64,
    context: &str,
    aggregate: (&str, &str),
    event_type: &str,
    payload: &Value,
) -> String {
    let (aggregate_type, aggregate_id) = aggregate;
    let event_id = Uuid::from_u64_pair(0x6b65_6e6e_656c_0000, number);
    json!({
        "bounded_context": context, "aggregate_type": aggregate_type, "aggregate_id": aggregate_id,
        "event_id": event_id, "event_type": event_type, "payload": payload,
    })
    .to_string()
}

/// So many events over so many aggregates, mixed; the same every time.
#[must_use]
pub fn log(events: u64, aggregates: u64) -> String {
    let mut text = String::new();
    for number in 1..=events {
        // A multiplicative hash mixes the aggregates without any order in it.
        let aggregate = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % aggregates;
        let (id, kind) = (format!("case-{aggregate}"), number % 27);
        let payload = json!({"task": format!("task-{kind}"), "note": "x".repeat(usize::try_from(number % 200).unwrap_or(0))});
        let line =
            line(number, "Permits", ("Application", &id), &format!("T{kind:02} Check & send"), &payload);
        writeln!(text, "{line}").expect("a string can be written to");
    }
    text
}

/// The life of so many orders, as the example `order-summary` knows it: 6 events an order.
#[must_use]
pub fn orders(orders: u64) -> String {
    let mut text = String::new();
    let mut number = 1_000_000;
    for step in 0..6 {
        for order in 1..=orders {
            let (event_type, payload) = order_step(order, step);
            number += 1;
            let id = format!("order-{order}");
            writeln!(text, "{}", line(number, "Sales", ("Order", &id), event_type, &payload))
                .expect("a string can be written to");
        }
    }
    text
}

/// An event as a row of the log. Nothing in it needs quotes.
#[derive(Clone, Debug)]
pub struct Row {
    pub context: &'static str,
    /// Its type and id.
    pub aggregate: (&'static str, String),
    pub version: u64,
    pub event_type: &'static str,
    /// JSON text.
    pub payload: String,
}

/// Orders that are under way at the same time.
const ORDERS_AT_ONCE: u64 = 300;

/// Event number `number`, from 0, of a log of orders without end: each is placed, filled, paid and shipped, in turn with
/// others.
#[must_use]
pub fn order_row(number: u64) -> Row {
    let (round, step) = (number / (6 * ORDERS_AT_ONCE), number / ORDERS_AT_ONCE % 6);
    let order = round * ORDERS_AT_ONCE + number % ORDERS_AT_ONCE;
    let (event_type, payload) = order_step(order, step);
    Row {
        context: "Sales",
        aggregate: ("Order", format!("order-{order}")),
        version: step + 1,
        event_type,
        payload: payload.to_string(),
    }
}

/// One of the six events of an order.
fn order_step(order: u64, step: u64) -> (&'static str, Value) {
    match step {
        0 => ("OrderPlaced", json!({"customer": format!("customer-{}", order % 10), "currency": "EUR"})),
        1..=3 => ("ItemAdded", json!({"sku": "sku-1", "quantity": step, "unit_price_cents": 100 + order})),
        4 => ("OrderPaid", json!({})),
        _ => ("OrderShipped", json!({})),
    }
}
