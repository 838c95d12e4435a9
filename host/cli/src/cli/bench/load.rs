//! The events that the measurements work on: nothing in them matters but their number and size.

use kennel_core::event::NewEvent;
use uuid::Uuid;

/// Bytes of a payload.
pub(super) const PAYLOAD_BYTES: usize = 200;

/// An event of an aggregate. Numbers must not repeat.
pub(super) fn event(number: u64, aggregate: String) -> NewEvent {
    const AROUND: usize = r#"{"text":""}"#.len();
    NewEvent {
        bounded_context: "Bench".to_owned(),
        aggregate_type: "Thing".to_owned(),
        aggregate_id: aggregate,
        aggregate_version: None,
        event_id: Uuid::from_u64_pair(0x6b65_6e6e_656c_0001, number),
        event_type: "Changed".to_owned(),
        event_version: 1,
        payload: format!(r#"{{"text":"{}"}}"#, "x".repeat(PAYLOAD_BYTES - AROUND)).into_bytes(),
        metadata: None,
        trace_id: None,
        correlation_id: None,
        causation_id: None,
        created_at: None,
    }
}

/// The aggregate of an event, mixed without any order.
pub(super) fn aggregate(number: u64, aggregates: u64) -> String {
    format!("thing-{}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % aggregates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_size_that_is_reported() {
        assert_eq!(event(1, aggregate(1, 7)).payload.len(), PAYLOAD_BYTES);
    }
}
