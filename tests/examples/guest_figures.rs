//! Prints the table of `docs/guests.md`: what the example `order-summary` takes in each language, from its build to the
//! last event. Of a release build:
//!
//! ```sh
//! cargo build --release && KENNEL_BINARY=$PWD/target/release/kennel cargo run -p kennel-tests --example guest_figures
//! ```

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::path::PathBuf;

use kennel_core::text::mebibytes;
use kennel_tests::binary::{Kennel, repository};
use kennel_tests::events::orders;
use kennel_tests::fixture::timed;
use kennel_tests::languages::{Language, languages};
use serde::Deserialize;

/// Six events each, in one batch: half of them are of the type that is measured.
const ORDERS: u64 = 1_500;
const BATCH: &str = "10000";
/// It reads a document, changes it and writes it.
const EVENT_TYPE: &str = "ItemAdded";
/// The best of so many runs counts: what else the machine does only adds.
const RUNS: usize = 3;

/// The part of what `kennel test` prints that is needed.
#[derive(Deserialize)]
struct Report {
    times: Vec<Times>,
    first: First,
    memory_bytes_peak: u64,
}

#[derive(Deserialize)]
struct Times {
    event_type: String,
    p50_microseconds: f64,
    p99_microseconds: f64,
}

#[derive(Deserialize)]
struct First {
    instance_microseconds: f64,
    event_microseconds: f64,
}

fn main() {
    println!("| language | size | build, first and again | deploy | p50 | p99 | first event | memory |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for language in languages() {
        let size = std::fs::metadata(&language.order_summary).map_or(0, |file| file.len());
        let build = build(&language);
        let deploy = deploy(&language);
        let Report { times, first, memory_bytes_peak } = measure(&language);
        let times = times.iter().find(|times| times.event_type == EVENT_TYPE).expect("there are such events");
        println!(
            "| {} | {} kB | {build} | {deploy:.1} s | {:.0} µs | {:.0} µs | {:.1} ms | {} |",
            language.name,
            size.div_ceil(1000),
            times.p50_microseconds,
            times.p99_microseconds,
            (first.instance_microseconds + first.event_microseconds) / 1000.0,
            mebibytes(memory_bytes_peak),
        );
    }
}

/// The project folder of the example.
fn project(language: &Language) -> PathBuf {
    let folder = match language.name {
        "rust" => "examples/order-summary".to_owned(),
        name => format!("guest-sdk/{name}/examples/order-summary"),
    };
    repository().join(folder)
}

/// How long `kennel build` takes, and again.
fn build(language: &Language) -> String {
    let kennel = Kennel::default();
    let project = project(language);
    let component = kennel.folder().join("component.wasm");
    let [project, component] = [&project, &component].map(|path| path.to_str().expect("a UTF-8 path"));
    let once = || timed(|| kennel.ok(&["build", project, "-o", component])).1;
    let (first, again) = (once(), once());
    format!("{first:.1} s, {again:.1} s")
}

/// How long `kennel deploy` takes where nothing has been compiled before, in seconds.
fn deploy(language: &Language) -> f64 {
    let times = (0..RUNS).map(|_| {
        let kennel = Kennel::default().with("KENNEL_CACHE", "cache");
        kennel.ok(&["migrate"]);
        timed(|| kennel.ok(&["deploy", "orders", language.order_summary()])).1
    });
    times.fold(f64::INFINITY, f64::min)
}

/// The run with the shortest median.
fn measure(language: &Language) -> Report {
    let kennel = Kennel::default();
    let events = kennel.write("events.jsonl", orders(ORDERS));
    let events = events.to_str().expect("a UTF-8 path");
    let arguments = ["test", language.order_summary(), "--events", events, "--batch", BATCH, "--json"];
    let run = || serde_json::from_str::<Report>(&kennel.ok(&arguments)).expect("kennel prints JSON");
    let median = |report: &Report| {
        report
            .times
            .iter()
            .find(|times| times.event_type == EVENT_TYPE)
            .map_or(0.0, |times| times.p50_microseconds)
    };
    let runs = (0..=RUNS).map(|_| run());
    runs.min_by(|left, right| median(left).total_cmp(&median(right))).expect("there are some")
}
