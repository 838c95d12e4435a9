//! The metrics contract and what hangs on it: rules, queries and dashboard in docs/monitoring.
//!
//! What single metrics count is also tested where it happens, in the suites of the engine; here a real
//! Prometheus looks at real processes.

mod contract;
mod cookbook;
mod dashboard;
mod play;
mod rules;
mod scenario;
mod stopping;

use std::path::PathBuf;

use kennel_tests::binary::repository;

/// A file of docs/monitoring.
fn document(name: &str) -> PathBuf {
    repository().join("docs/monitoring").join(name)
}

/// The text of a file of docs/monitoring.
#[track_caller]
fn text_of(name: &str) -> String {
    let path = document(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
