//! How long calls took, by type of event.

use std::collections::BTreeMap;
use std::time::Duration;

use kennel::rehearsal::{Call, Calls};
use kennel_core::position::Position;
use serde::Serialize;

/// The calls for one type of event.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Times {
    pub(super) event_type: String,
    pub(super) calls: usize,
    #[serde(rename = "p50_microseconds", serialize_with = "microseconds")]
    pub(super) p50: Duration,
    #[serde(rename = "p99_microseconds", serialize_with = "microseconds")]
    pub(super) p99: Duration,
    #[serde(rename = "max_microseconds", serialize_with = "microseconds")]
    pub(super) max: Duration,
    /// The position of the event that took longest.
    pub(super) slowest_position: u64,
    /// The most memory that an instance had used by the end of one of them.
    pub(super) memory_bytes_max: usize,
}

/// The calls of a rehearsal by type of event, in the order of their names.
pub(super) fn of(calls: &Calls) -> Vec<Times> {
    let mut by_type: BTreeMap<&str, Vec<(Position, &Call)>> = BTreeMap::new();
    for (position, call) in calls.iter() {
        by_type.entry(&call.event_type).or_default().push((position, call));
    }
    let times = by_type.into_iter().map(|(event_type, calls)| {
        let memory_bytes_max = calls.iter().map(|(_, call)| call.memory_bytes).max().unwrap_or_default();
        let mut took: Vec<_> = calls.into_iter().map(|(position, call)| (call.took, position)).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1)).copied();
        let [(p50, _), (p99, _), (max, slowest)] =
            [50, 99, 100].map(|percent| at(percent).unwrap_or_default());
        Times {
            event_type: event_type.to_owned(),
            calls: took.len(),
            p50,
            p99,
            max,
            slowest_position: slowest.get(),
            memory_bytes_max,
        }
    });
    times.collect()
}

pub(super) fn microseconds<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e7).round() / 10.0)
}

/// A short time as people write it.
pub(super) fn shown(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let micros = [0, 999, 1_000, 12_340, 999_940, 1_234_000];
        let shown = micros.map(|micros| shown(Duration::from_micros(micros)));
        assert_eq!(shown, ["0 µs", "999 µs", "1.0 ms", "12.3 ms", "999.9 ms", "1.23 s"]);
    }
}
