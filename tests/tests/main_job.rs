//! The main job: events in, read models out, from the command line on SQLite.

use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, documents, exactly_once};
use serde_json::{Value, json};

fn append(kennel: &Kennel, lines: &str) -> Value {
    let file = kennel.write("events.jsonl", lines);
    kennel.json(&["append", "--from", file.to_str().expect("a UTF-8 path"), "--json"])
}

fn deploy(kennel: &Kennel, name: &str, guest_name: &str, more: &[&str]) {
    let file = guest(guest_name);
    kennel.ok(&[&["deploy", name, file.to_str().expect("a UTF-8 path")], more].concat());
}

#[test]
fn a_log_becomes_a_read_model_and_running_again_changes_nothing() {
    let kennel = Kennel::default();
    let lines = events::log(8_577, 1_434);
    assert_eq!(append(&kennel, &lines)["written"], 8_577);
    deploy(&kennel, "audit-log", "audit-log", &[]);
    kennel.ok(&["run", "--until-caught-up"]);
    let expected = ExactlyOnce { events: 8_577, aggregates: 1_434, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&kennel, "audit-log"), expected);
    let before = kennel.ok(&["documents", "audit-log", "aggregates", "--json"]);

    assert_eq!(append(&kennel, &lines)["skipped"], 8_577, "known event ids are skipped");
    kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(exactly_once(&kennel, "audit-log"), expected);
    assert_eq!(kennel.ok(&["documents", "audit-log", "aggregates", "--json"]), before);
    let status = kennel.status("audit-log");
    assert_eq!((&status["lag"], &status["state"]), (&json!(0), &json!("running")));
}

#[test]
fn the_same_events_give_the_same_read_model_byte_for_byte_however_they_are_divided() {
    let lines = events::orders(40) + &events::log(1_000, 50);
    let read_model = |batch: &str, workers: &str| {
        let kennel = Kennel::default();
        append(&kennel, &lines);
        deploy(&kennel, "order-summary", "order-summary", &[]);
        deploy(&kennel, "audit-log", "audit-log", &[]);
        kennel.ok(&["run", "--until-caught-up", "--batch", batch, "--workers", workers]);
        [
            ("order-summary", "orders"),
            ("order-summary", "customers"),
            ("audit-log", "events"),
            ("audit-log", "aggregates"),
        ]
        .map(|(projection, collection)| kennel.ok(&["documents", projection, collection, "--json"]))
    };
    let first = read_model("1000", "1");
    for (batch, workers) in [("1000", "1"), ("7", "1"), ("1", "1"), ("50", "3")] {
        assert_eq!(read_model(batch, workers), first, "batches of {batch}, {workers} workers");
    }
}

#[test]
fn the_read_model_of_order_summary_is_what_the_orders_say() {
    let kennel = Kennel::default();
    append(&kennel, &events::orders(20));
    deploy(&kennel, "order-summary", "order-summary", &[]);
    kennel.ok(&["run", "--until-caught-up"]);
    for row in documents(&kennel, "order-summary", "orders") {
        let order: u64 =
            row["key"].as_str().and_then(|key| key.strip_prefix("order-")?.parse().ok()).expect("an order");
        let expected = json!({
            "customer": format!("customer-{}", order % 10), "items": 6, "status": "shipped",
            "total_cents": 6 * (100 + order),
        });
        assert_eq!(row["document"], expected);
    }
    let customers = documents(&kennel, "order-summary", "customers");
    let spent: u64 = customers.iter().filter_map(|row| row["document"]["spent_cents"].as_u64()).sum();
    assert_eq!(spent, (1..=20).map(|order| 6 * (100 + order)).sum::<u64>());
}

#[test]
fn projections_deployed_and_events_appended_while_it_runs_are_picked_up() {
    let kennel = Kennel::default();
    kennel.ok(&["migrate"]);
    let running = kennel.start(&["run", "--listen", "127.0.0.1:0"]);
    deploy(&kennel, "audit-log", "audit-log", &[]);
    append(&kennel, &events::log(500, 20));
    let caught_up = |head: u64| kennel.status("audit-log")["position"] == head;
    wait_until("the first events are handled", Duration::from_secs(20), || caught_up(500));
    append(&kennel, &events::orders(50));
    wait_until("the later events are handled", Duration::from_secs(20), || caught_up(800));
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(20)), Some(0), "SIGTERM ends it cleanly");
    assert_eq!(
        exactly_once(&kennel, "audit-log"),
        ExactlyOnce { events: 800, aggregates: 70, not_once: 0, out_of_order: 0 }
    );
}

#[test]
fn standard_input_is_appended_like_a_file() {
    let kennel = Kennel::default();
    let file = std::fs::File::open(kennel.write("lines", events::log(2_500, 10))).expect("the file is there");
    let output =
        kennel.command(&["append", "--from", "-", "--json"]).stdin(file).output().expect("kennel starts");
    let outcome: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&outcome["written"], &outcome["head"]), (&json!(2_500), &json!(2_500)));
}

#[test]
fn the_demo_counts_every_event_once() {
    let kennel = Kennel::default();
    let guests = guest("audit-log");
    let guests = guests.parent().and_then(|folder| folder.to_str()).expect("a UTF-8 path");
    let outcome = kennel.json(&["demo", "--events", "5000", "--json", "--guests", guests]);
    let counts =
        ["events", "handled_once", "missed", "doubled", "out_of_order"].map(|key| outcome[key].as_u64());
    assert_eq!(counts, [Some(5_000), Some(5_000), Some(0), Some(0), Some(0)]);
    assert!(outcome["events_per_second"].as_u64().is_some_and(|rate| rate > 0));
    let text = kennel.ok(&["demo", "--events", "3000", "--guests", guests]);
    assert!(text.lines().count() <= 24, "the demo fits one screen:\n{text}");
}
