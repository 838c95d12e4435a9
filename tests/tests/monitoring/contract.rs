//! The thirteen metrics as the public contract has them, and checks of a scrape against it.

use std::collections::{BTreeMap, BTreeSet};

use kennel_tests::metrics::{Sample, Scrape};

pub(crate) const PREFIX: &str = "pupsourcing_orchestrator_";

const SET: &[&str] = &["replica_set"];
const PROJECTION: &[&str] = &["replica_set", "projection"];

/// Name, type, labels, and the buckets of a histogram.
pub(crate) const METRICS: [(&str, &str, &[&str], &[&str]); 13] = [
    ("generations_total", "counter", SET, &[]),
    ("workers_registered_total", "counter", SET, &[]),
    ("partition_assignments_total", "counter", SET, &[]),
    ("reconfiguration_total", "counter", SET, &[]),
    ("stale_workers_cleaned_total", "counter", SET, &[]),
    ("events_processed_total", "counter", PROJECTION, &[]),
    ("projection_errors_total", "counter", PROJECTION, &[]),
    ("active_workers", "gauge", SET, &[]),
    ("current_generation_partitions", "gauge", SET, &[]),
    ("worker_state", "gauge", &["replica_set", "worker_id", "state"], &[]),
    ("coordination_duration_seconds", "histogram", SET, &["0.1", "0.5", "1", "2", "5", "10", "30", "60"]),
    (
        "event_processing_duration_seconds",
        "histogram",
        PROJECTION,
        &["0.001", "0.005", "0.01", "0.05", "0.1", "0.5", "1", "5"],
    ),
    ("heartbeat_latency_seconds", "histogram", SET, &["0.001", "0.01", "0.05", "0.1", "0.5", "1", "2"]),
];

pub(crate) const STATES: [&str; 4] = ["initializing", "coordinating", "processing", "stopping"];

/// Demands that a process shows all of the contract, and under its prefix nothing else.
#[track_caller]
pub(crate) fn check(text: &str) {
    let scrape = Scrape::parse(text);
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let found: BTreeSet<String> =
        typed.filter(|line| line.starts_with(PREFIX)).map(ToOwned::to_owned).collect();
    let expected = METRICS.map(|(name, kind, ..)| format!("{PREFIX}{name} {kind}"));
    assert_eq!(found, BTreeSet::from(expected), "names and types");
    for (name, kind, labels, buckets) in METRICS {
        let full = format!("{PREFIX}{name}");
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {full} ")));
        let help = help.unwrap_or_else(|| panic!("{full} has no help"));
        assert!(
            !name.ends_with("_seconds") || help.contains("in seconds"),
            "the help of {full} names no unit: {help}"
        );
        if kind == "histogram" {
            check_histogram(&scrape, &full, labels, buckets);
        } else {
            let series: Vec<&Sample> = scrape.all(&full, &[]).collect();
            assert!(!series.is_empty(), "{full} has no series");
            series.iter().for_each(|sample| assert_labels(sample, labels));
        }
    }
}

#[track_caller]
fn assert_labels(sample: &Sample, expected: &[&str]) {
    let found: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
    assert_eq!(found, expected.iter().copied().collect(), "{sample:?}");
}

/// The shape of a histogram: exactly these buckets, each with no less than the one before, the last with
/// everything, and a sum that the buckets allow.
#[track_caller]
fn check_histogram(scrape: &Scrape, name: &str, labels: &[&str], buckets: &[&str]) {
    let mut by_series: BTreeMap<Vec<&str>, Vec<(&str, f64)>> = BTreeMap::new();
    for sample in scrape.all(&format!("{name}_bucket"), &[]) {
        assert_labels(sample, &[labels, &["le"]].concat());
        let key = labels.iter().map(|label| sample.labels[*label].as_str()).collect();
        by_series.entry(key).or_default().push((&sample.labels["le"], sample.value));
    }
    assert!(!by_series.is_empty(), "{name} has no series");
    for (key, found) in by_series {
        let edges: Vec<&str> = found.iter().map(|(edge, _)| *edge).collect();
        assert_eq!(edges, [buckets, &["+Inf"]].concat(), "{name} {key:?}");
        assert!(found.is_sorted_by(|one, next| one.1 <= next.1), "{name} {key:?} {found:?}");
        let of_it: Vec<(&str, &str)> = labels.iter().copied().zip(key.iter().copied()).collect();
        let count = scrape.sum(&format!("{name}_count"), &of_it).expect("a count");
        let sum = scrape.sum(&format!("{name}_sum"), &of_it).expect("a sum");
        assert_eq!(found.last().map(|(_, all)| *all), Some(count), "{name} {key:?}");
        let (least, most) = bounds_of_sum(&found);
        assert!((least..=most).contains(&sum), "{name} {key:?}: {sum} is not in {least}..={most}: {found:?}");
    }
}

/// What the sum of all observations can be, given how many lie in each bucket.
fn bounds_of_sum(buckets: &[(&str, f64)]) -> (f64, f64) {
    let (mut least, mut most, mut edge_below, mut count_below) = (0.0, 0.0, 0.0, 0.0);
    for (edge, count) in buckets {
        let (edge, here): (f64, f64) = (edge.parse().expect("a number"), count - count_below);
        least += here * edge_below;
        most += if here > 0.0 { here * edge } else { 0.0 };
        (edge_below, count_below) = (edge, *count);
    }
    (least, most)
}
