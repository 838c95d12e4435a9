//! Acceptance: a Prometheus watches processes that join, work, fail, leave, are suspended and die, and every metric
//! is compared with what happened.
//!
//! One worker's process at a time changes anything, and each step is waited for, so that the number of
//! generations is known beforehand.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kennel_tests::binary::wait_until;
use kennel_tests::events::{self, line};
use kennel_tests::metrics::Scrape;
use kennel_tests::prometheus::{programs, promtool};
use serde_json::json;

use super::contract::{self, PREFIX, STATES};
use super::play::{PROJECTIONS, Play, SOON, full};
use super::{cookbook, dashboard, document, rules};

const EVENTS: u64 = 2_000;
/// Misdeeds, how often each is called before it is a dead letter, and what kind of failure that is.
const MISDEEDS: [(&str, u32, &str); 6] = [
    ("Reject", 1, "reject"),
    ("Reject", 1, "reject"),
    ("Retry", 4, "retry"),
    ("Panic", 4, "trap"),
    ("InvalidDocument", 4, "invalid-call"),
    ("LoopForever", 4, "time-limit"),
];

#[test]
fn every_metric_says_what_has_happened() {
    let Some(programs) = programs() else { return };
    let mut play = Play::set(&programs);

    // One process, two workers, an empty log: everything is there, at 0.
    play.start("a", 2);
    play.check_workers(2);
    check_membership(&play, &Membership { registered: 2, generations: 1, assignments: 2, stale: 0 });
    everything_begins_at_zero(&play);
    cookbook::check(&play.prometheus, &cookbook::queries());

    // Join.
    play.start("b", 1);
    play.check_workers(3);
    check_membership(&play, &Membership { registered: 3, generations: 2, assignments: 5, stale: 0 });

    // Load, then failures.
    load(&play);
    misdeeds(&play);

    // Leave.
    play.terminate("b");
    play.check_workers(2);
    check_membership(&play, &Membership { registered: 3, generations: 3, assignments: 7, stale: 0 });
    wait_until("the series of the worker that left are gone", SOON, || {
        play.prometheus.query(&format!("{PREFIX}worker_state{{process=\"b\"}}")).is_empty()
    });

    // Another joins, is suspended until it is taken for dead, and comes back as a new worker.
    play.start("c", 1);
    play.check_workers(3);
    check_membership(&play, &Membership { registered: 4, generations: 4, assignments: 10, stale: 0 });
    suspend_and_continue(&mut play);
    check_membership(&play, &Membership { registered: 5, generations: 6, assignments: 15, stale: 1 });

    // Kill.
    play.kill("c");
    play.check_workers(2);
    check_membership(&play, &Membership { registered: 5, generations: 7, assignments: 17, stale: 2 });

    // Nothing of this was lost or counted twice.
    check_events(&play);
    coordination(&play);
    contract::check(&play.process("a").text());
    let (content, said) =
        promtool(&programs, &document(""), &["check", "metrics"], &play.process("a").text());
    assert!(content, "promtool check metrics: {said}");
    what_prometheus_makes_of_it(&play);
}

struct Membership {
    registered: u32,
    generations: u32,
    assignments: u32,
    stale: u32,
}

#[track_caller]
fn check_membership(play: &Play, expected: &Membership) {
    let Membership { registered, generations, assignments, stale } = *expected;
    let [known, assigned, reconfigured] = play.history();
    assert_eq!((known, assigned), (f64::from(generations), f64::from(assignments)), "what the database says");
    for (name, expected) in [
        ("generations_total", f64::from(generations)),
        ("partition_assignments_total", f64::from(assignments)),
        ("reconfiguration_total", reconfigured),
        ("workers_registered_total", f64::from(registered)),
        ("stale_workers_cleaned_total", f64::from(stale)),
    ] {
        play.check_total(name, &[("replica_set", "main")], expected);
    }
}

/// Every series of every projection is there before the first event, also of one that this process has no
/// part in.
fn everything_begins_at_zero(play: &Play) {
    let process = play.process("a");
    wait_until("every projection has its series", SOON, || {
        let scrape = process.scrape();
        scrape.all(&full("events_processed_total"), &[]).count() == PROJECTIONS.len()
    });
    contract::check(&process.text());
    let scrape = process.scrape();
    for projection in PROJECTIONS {
        let labels = [("replica_set", "main"), ("projection", projection)];
        for name in [
            "events_processed_total",
            "projection_errors_total",
            "event_processing_duration_seconds_count",
            "event_processing_duration_seconds_sum",
            "kennel_guest_failures_total",
        ] {
            assert_eq!(scrape.sum(&full(name), &labels), Some(0.0), "{name} of {projection}");
        }
    }
    check_worker_states(&scrape, 2);
    assert_eq!(scrape.sum(&full("coordination_duration_seconds_count"), &[]), Some(1.0));
    let heartbeats = || process.scrape().sum(&full("heartbeat_latency_seconds_count"), &[]).unwrap_or(0.0);
    let before = heartbeats();
    wait_until("both workers' heartbeat is recorded once a second", SOON, || heartbeats() >= before + 2.0);
}

/// Each worker is processing, and has a 0 for every other state.
#[track_caller]
fn check_worker_states(scrape: &Scrape, workers: usize) {
    let name = full("worker_state");
    let ids: BTreeSet<&str> =
        scrape.all(&name, &[]).map(|sample| sample.labels["worker_id"].as_str()).collect();
    assert_eq!(ids.len(), workers, "{ids:?}");
    for id in ids {
        for state in STATES {
            let expected = f64::from(u8::from(state == "processing"));
            let labels = [("replica_set", "main"), ("worker_id", id), ("state", state)];
            assert_eq!(scrape.sum(&name, &labels), Some(expected), "{id} {state}");
        }
    }
}

fn append(play: &Play, name: &str, lines: &str) {
    play.replicas.kennel.write(name, lines);
    play.replicas.kennel.ok(&["append", "--from", name]);
    wait_until("everything is handled", SOON * 2, || play.replicas.caught_up());
}

/// No process joins or leaves meanwhile, so that no batch is run twice: every call is one event.
fn load(play: &Play) {
    append(play, "load.jsonl", &events::log(EVENTS, 100));
    for projection in PROJECTIONS {
        let labels = [("replica_set", "main"), ("projection", projection)];
        play.check_total("events_processed_total", &labels, EVENTS as f64);
        play.check_total("event_processing_duration_seconds_count", &labels, EVENTS as f64);
        play.check_total(
            "event_processing_duration_seconds_bucket",
            &with_edge(&labels, "+Inf"),
            EVENTS as f64,
        );
    }
    for name in ["a", "b"] {
        let scrape = play.process(name).scrape();
        let handled = scrape.sum(&full("events_processed_total"), &[("projection", "audit-log")]);
        assert!(handled.is_some_and(|events| events > 0.0), "{name} has its share: {handled:?}");
        assert_eq!(
            scrape.all(&full("events_processed_total"), &[]).count(),
            PROJECTIONS.len(),
            "{name} shows projections of which it has no part, too"
        );
    }
}

fn misdeeds(play: &Play) {
    let mut lines = String::new();
    for (number, (event_type, ..)) in (EVENTS + 1..).zip(MISDEEDS) {
        let id = format!("misdeed-{number}");
        let line = line(number, "Tests", ("Misdeed", &id), event_type, &json!({}));
        writeln!(lines, "{line}").expect("a string can be written to");
    }
    append(play, "misdeeds.jsonl", &lines);
    check_events(play);
    // A call that is stopped after 2 s is the only one that takes longer than 1 s.
    let slow = |edge: &str| {
        let labels = with_edge(&[("projection", "misbehaving")], edge);
        play.total("event_processing_duration_seconds_bucket", &labels)
    };
    assert_eq!((slow("5") - slow("1"), slow("+Inf") - slow("5")), (4.0, 0.0), "2 s lie between 1 s and 5 s");
}

/// What the projections have counted by then, however often processes have come and gone.
fn check_events(play: &Play) {
    let failed = MISDEEDS.len() as f64;
    let calls: f64 = MISDEEDS.iter().map(|(_, calls, _)| f64::from(*calls)).sum();
    for (projection, processed, errors) in
        [("audit-log", failed, 0.0), ("timeline", failed, 0.0), ("misbehaving", 0.0, calls)]
    {
        let labels = [("replica_set", "main"), ("projection", projection)];
        let processed = EVENTS as f64 + processed;
        play.check_total("events_processed_total", &labels, processed);
        play.check_total("projection_errors_total", &labels, errors);
        play.check_total("event_processing_duration_seconds_count", &labels, processed + errors);
        let set_aside = if errors > 0.0 { failed } else { 0.0 };
        play.check_total("kennel_dead_letters_total", &labels, set_aside);
    }
    // Dead letters let the projection go on.
    assert_eq!(play.prometheus.value("max(kennel_projection_halted)"), Some(0.0));
    for (_, _, kind) in MISDEEDS {
        let of_kind = MISDEEDS.iter().filter(|(_, _, other)| *other == kind);
        let expected = of_kind.map(|(_, calls, _)| f64::from(*calls)).sum();
        let labels = [("projection", "misbehaving"), ("kind", kind)];
        play.check_total("kennel_guest_failures_total", &labels, expected);
    }
}

fn with_edge<'a>(labels: &[(&'a str, &'a str)], edge: &'a str) -> Vec<(&'a str, &'a str)> {
    [labels, &[("le", edge)]].concat()
}

fn suspend_and_continue(play: &mut Play) {
    let worker_ids = |play: &Play| -> BTreeSet<String> {
        let scrape = play.process("c").scrape();
        scrape.all(&full("worker_state"), &[]).map(|sample| sample.labels["worker_id"].clone()).collect()
    };
    let before = worker_ids(play);
    play.process("c").process.signal("STOP");
    let read_by_a = || play.process("a").scrape().sum(&full("active_workers"), &[]);
    wait_until("it is taken for dead", SOON, || read_by_a() == Some(2.0));
    play.process("c").process.signal("CONT");
    play.check_workers(3);
    let after = worker_ids(play);
    assert_eq!(
        (before.len(), after.len()),
        (1, 1),
        "the series of the worker that was taken for dead are gone"
    );
    assert_ne!(before, after, "it comes back as a new worker");
    check_worker_states(&play.process("c").scrape(), 1);
}

/// One observation for each generation that the process has lived through: it was there for all of them.
fn coordination(play: &Play) {
    let scrape = play.process("a").scrape();
    let [generations, ..] = play.history();
    assert_eq!(scrape.sum(&full("coordination_duration_seconds_count"), &[]), Some(generations));
    let sum = scrape.sum(&full("coordination_duration_seconds_sum"), &[]);
    assert!(sum.is_some_and(|seconds| seconds > 0.0 && seconds < 30.0), "{sum:?}");
    check_worker_states(&scrape, 2);
}

/// Queries, recorded series, dashboard and alerts show what the scenario did.
fn what_prometheus_makes_of_it(play: &Play) {
    let prometheus = &play.prometheus;
    let queries = cookbook::queries();
    cookbook::check(prometheus, &queries);
    cookbook::check(prometheus, &cookbook::recorded(prometheus));
    rules::check(prometheus);
    dashboard::check(prometheus);
    let titled = |title: &str| {
        let query = queries.iter().find(|query| query.title == title);
        prometheus.value(&query.unwrap_or_else(|| panic!("no query {title:?}")).promql)
    };
    assert_eq!(
        titled("Reconfigurations in the last hour"),
        Some(6.0),
        "those that joiners made are seen too"
    );
    assert_eq!(titled("Workers that died in the last hour"), Some(2.0));
    // 6 reconfigurations cost 18, 2 dead workers 20, and the failed calls up to 40.
    let score = titled("System health score").expect("a score");
    assert!((22.0..=62.5).contains(&score), "{score}");
    let firing = prometheus.query("ALERTS{alertstate=\"firing\"}");
    let names: BTreeSet<&str> = firing.iter().map(|alert| alert.labels["alertname"].as_str()).collect();
    for alert in ["OrchestratorStaleWorkers", "KennelDeadLetters"] {
        assert!(names.contains(alert), "{names:?}");
    }
    let waiting = prometheus.query("ALERTS{alertname=\"OrchestratorNoWorkers\"}");
    assert!(waiting.is_empty(), "{waiting:?}");
}
