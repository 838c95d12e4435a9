//! A guest that misbehaves harms no projection but its own.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use kennel_core::partition::{self, HashRange};
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events::{line, orders};
use serde_json::{Value, json};

/// Event types and the kind of failure they end in.
const MISDEEDS: [(&str, &str); 9] = [
    ("LoopForever", "time-limit"),
    ("Panic", "trap"),
    ("Trap", "trap"),
    ("AllocateForever", "memory-limit"),
    ("RecurseForever", "stack-limit"),
    ("Retry", "retry"),
    ("Reject", "reject"),
    ("InvalidDocument", "invalid-call"),
    ("HugeDocument", "invalid-call"),
];

fn deploy(kennel: &Kennel, name: &str, more: &[&str]) {
    let file = guest(name);
    kennel.ok(&[&["deploy", name, file.to_str().expect("a UTF-8 path")], more].concat());
}

fn append(kennel: &Kennel, lines: &str) {
    let file = kennel.write("events.jsonl", lines);
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
}

fn misdeed(number: u64, event_type: &str) -> String {
    line(number, "Tests", ("Misdeed", &format!("misdeed-{number}")), event_type, &json!({})) + "\n"
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("the port has an address").to_string()
}

/// Status line and body of a GET request.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the host listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("the host reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the host answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

fn sample(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(series) && line[series.len()..].starts_with(' '));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(f64::NAN)
}

#[test]
fn every_misdeed_is_counted_and_named_and_other_projections_are_unaffected() {
    let kennel = Kennel::default();
    let mut lines = String::new();
    for (index, (event_type, _)) in MISDEEDS.iter().enumerate() {
        write!(lines, "{}", misdeed(index as u64 + 1, event_type)).expect("a string can be written to");
    }
    lines += &misdeed(100, "FloodLog");
    lines += &misdeed(101, "Harmless");
    lines += &orders(500);
    append(&kennel, &lines);
    deploy(&kennel, "misbehaving", &["--on-failure", "dead-letter"]);
    deploy(&kennel, "order-summary", &[]);
    let address = free_port();
    let running = kennel.start(&["run", "--listen", &address]);
    let head = 3_011;
    wait_until("order-summary is done", Duration::from_secs(30), || {
        kennel.status("order-summary")["position"] == head
    });
    let meanwhile = kennel.status("misbehaving")["position"].as_u64().expect("a position");
    assert!(
        meanwhile < MISDEEDS.len() as u64,
        "order-summary should not have to wait for misbehaving ({meanwhile})"
    );
    wait_until("misbehaving has gone on", Duration::from_secs(90), || {
        kennel.status("misbehaving")["position"] == head
    });

    let status = kennel.status("misbehaving");
    let letters = status["dead_letters"].as_array().expect("a list of dead letters");
    assert_eq!(letters.len(), MISDEEDS.len());
    for (index, (event_type, kind)) in MISDEEDS.iter().enumerate() {
        let letter = &letters[index];
        assert_eq!(
            (&letter["event_type"], &letter["kind"]),
            (&json!(event_type), &json!(kind)),
            "{letter:#}"
        );
        assert_eq!(letter["position"], index as u64 + 1);
        assert!(letter["event_id"].as_str().is_some_and(|id| id.len() == 36));
        assert!(letter["message"].as_str().is_some_and(|message| message.len() > 10), "{letter:#}");
        let attempts = if *kind == "reject" { 1 } else { 4 };
        assert_eq!(letter["attempts"], attempts, "{letter:#}");
    }
    let panic = letters[1]["message"].as_str().unwrap_or_default();
    assert!(panic.contains("panicked"), "a panic's text reaches the operator: {panic}");

    let (_, metrics) = get(&address, "/metrics");
    let labels = |projection: &str| format!("{{projection=\"{projection}\",replica_set=\"main\"}}");
    let series = |name: &str, projection: &str| {
        sample(&metrics, &format!("pupsourcing_orchestrator_{name}{}", labels(projection)))
    };
    let failures = 4.0 * (MISDEEDS.len() as f64 - 1.0) + 1.0;
    assert_eq!(series("projection_errors_total", "misbehaving"), failures);
    assert_eq!(series("projection_errors_total", "order-summary"), 0.0);
    assert_eq!(series("events_processed_total", "order-summary"), 3_000.0);
    assert_eq!(series("events_processed_total", "misbehaving"), f64::from(head) - MISDEEDS.len() as f64);
    assert_eq!(series("event_processing_duration_seconds_count", "order-summary"), 3_000.0);
    let calls = series("event_processing_duration_seconds_count", "misbehaving");
    assert_eq!(calls, f64::from(head) - MISDEEDS.len() as f64 + failures);
    assert_eq!(get(&address, "/healthz").0, "HTTP/1.1 200 OK");
    assert_eq!(get(&address, "/readyz").0, "HTTP/1.1 200 OK", "dead letters do not block readiness");

    // What a failed event had written before it failed is undone.
    let left = kennel.run(&["documents", "misbehaving", "attempts", "--json"]);
    let nothing = left.code == Some(7)
        || serde_json::from_str::<Value>(&left.stdout).is_ok_and(|rows| rows == json!([]));
    assert!(nothing, "{}{}", left.stdout, left.stderr);
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(20)), Some(0));
}

#[test]
fn by_default_a_projection_that_fails_is_halted_and_reports_it() {
    let kennel = Kennel::default();
    let before = misdeed(1, "Harmless") + &misdeed(2, "Harmless");
    append(&kennel, &(before + &misdeed(3, "Reject") + &misdeed(4, "Harmless")));
    deploy(&kennel, "misbehaving", &[]);
    let ended = kennel.run(&["run", "--until-caught-up", "--workers", "1"]);
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);
    let status = kennel.status("misbehaving");
    assert_eq!((&status["state"], &status["position"]), (&json!("halted"), &json!(2)));
    let error = &status["last_error"];
    assert_eq!(
        (&error["position"], &error["kind"], &error["attempts"]),
        (&json!(3), &json!("reject"), &json!(1))
    );
    assert_eq!(
        kennel.json(&["documents", "misbehaving", "good", "Harmless", "--json"])[0]["document"]["count"],
        2
    );

    let address = free_port();
    let running = kennel.start(&["run", "--listen", &address]);
    wait_until("the host is up", Duration::from_secs(20), || TcpStream::connect(&address).is_ok());
    wait_until("it is not ready, and says why", Duration::from_secs(20), || {
        let (status, body) = get(&address, "/readyz");
        status.contains("503") && body.contains("misbehaving") && body.contains("position 3")
    });
    assert_eq!(get(&address, "/healthz").0, "HTTP/1.1 200 OK");
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(20)), Some(0));
}

#[test]
fn while_one_partition_is_halted_the_others_go_on_to_the_end() {
    const WORKERS: u32 = 3;
    const EVENTS: u64 = 60;
    let kennel = Kennel::default();
    let harmless: String = (2..=EVENTS).map(|number| misdeed(number, "Harmless")).collect();
    append(&kennel, &(misdeed(1, "Reject") + &harmless));
    deploy(&kennel, "misbehaving", &[]);
    let ended = kennel.run(&["run", "--until-caught-up", "--workers", &WORKERS.to_string()]);
    assert_eq!(ended.code, Some(8), "{}", ended.stderr);

    let partition_of = |number: u64| {
        let point = partition::hash(&format!("misdeed-{number}"));
        (0..WORKERS).find(|index| HashRange::of_partition(*index, WORKERS).contains(point))
    };
    let others = (2..=EVENTS).filter(|number| partition_of(*number) != partition_of(1)).count();
    let good = kennel.json(&["documents", "misbehaving", "good", "Harmless", "--json"]);
    assert_eq!(good[0]["document"]["count"], others);
    let status = kennel.status("misbehaving");
    let partitions = status["partitions"].as_array().expect("a list of partitions");
    let reported: Vec<u64> = partitions.iter().filter_map(|part| part["position"].as_u64()).collect();
    let expected: Vec<u64> =
        (0..WORKERS).map(|index| if Some(index) == partition_of(1) { 0 } else { EVENTS }).collect();
    assert_eq!(reported, expected);
}
