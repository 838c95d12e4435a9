//! Text of guests and events that would have a terminal do things, or pass for another line, wherever people read it.

use std::fmt::Write as _;
use std::time::Duration;

use kennel_core::text::is_unsafe;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events::line;
use kennel_tests::metrics::{Served, get};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
/// Clears the screen, begins a line that looks like one of Kennel's, turns the direction of writing around.
const HOSTILE: &str = "bad\r\n2026-01-01T00:00:00Z ERROR forged\n\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}end";

/// The text in it does nothing but show, on lines of which each is Kennel's own or indented.
#[track_caller]
fn assert_safe(what: &str, text: &str) {
    let unsafe_at = text.char_indices().find(|(_, c)| *c != '\n' && is_unsafe(*c));
    assert_eq!(unsafe_at, None, "{what}: {text:?}");
    let forged = text.lines().find(|line| line.starts_with("2026-01-01T00:00:00Z ERROR forged"));
    assert_eq!(forged, None, "{what}: {text}");
    assert!(!text.is_empty(), "{what}: nothing was said");
}

/// A projection that is halted by what such an event made it say.
fn halted(events: &[(&str, &str, Value)]) -> Kennel {
    let kennel = Kennel::default();
    let mut lines = String::new();
    for (number, (event_type, aggregate, payload)) in (1..).zip(events) {
        let event = line(number, "Tests", ("Thing", aggregate), event_type, payload);
        writeln!(lines, "{event}").expect("a string can be written to");
    }
    let file = kennel.write("events.jsonl", lines);
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    kennel.ok(&["deploy", "scribe", guest("scribe").to_str().expect("a UTF-8 path")]);
    kennel
}

#[test]
fn what_guests_and_events_say_only_shows() {
    let key = format!("key-{HOSTILE}");
    let put = json!({ "collection": "things", "key": key, "document": { HOSTILE: HOSTILE } });
    let events = [("Put", "first", put), ("Say", HOSTILE, json!({ "text": HOSTILE }))];
    let kennel = halted(&events);
    let served = Served::start(&kennel, &["--workers", "1"]);
    let ready = || get(served.address(), "/readyz").expect("it answers");
    wait_until("it is halted", SOON, || ready().1.contains("halted at position 2"));

    let (status, said) = ready();
    assert_eq!(status, 503);
    assert_safe("/readyz", &said);
    assert!(said.lines().all(|line| line.starts_with("projection scribe")), "{said}");
    assert!(said.contains("bad\\r\\n2026-01-01"), "it is reported all the same: {said}");

    let log = served.log().text();
    assert_safe("the log", &log);
    assert!(log.contains("forged"), "{log}");
    let is_entry = |line: &str| line.as_bytes().first().is_some_and(u8::is_ascii_digit);
    assert!(log.lines().all(is_entry), "each line is an entry: {log}");

    assert_safe("status", &kennel.ok(&["status"]));
    let exact = kennel.status("scribe");
    let message = exact["last_error"]["message"].as_str().expect("an error");
    assert!(message.contains(HOSTILE), "as JSON it is exact: {message:?}");
    assert_eq!(exact["last_error"]["aggregate_id"], HOSTILE);
    assert_safe("status --json", &kennel.ok(&["status", "--json"]));

    assert_safe("documents", &kennel.ok(&["documents", "scribe", "things"]));
    assert_safe("one document", &kennel.ok(&["documents", "scribe", "things", &key]));
    let rows = kennel.json(&["documents", "scribe", "things", "--json"]);
    assert_eq!(rows, json!([{ "key": key, "document": { HOSTILE: HOSTILE } }]));
    assert_safe("documents --json", &kennel.ok(&["documents", "scribe", "things", "--json"]));
}

#[test]
fn what_people_say_only_shows() {
    let kennel = halted(&[]);
    // Control characters other than line ends and tabs are invalid in reasons.
    let reason = "good\n2026-01-01T00:00:00Z ERROR forged\u{202e}\u{2028}\u{feff}";
    kennel.ok(&["pause", "scribe", "--reason", reason]);
    let operations = kennel.ok(&["operations", "scribe"]);
    assert_safe("operations", &operations);
    assert!(operations.contains("forged"), "{operations}");
    assert_eq!(operations.lines().count(), 3, "one line each: {operations}");
    let reported = kennel.json(&["operations", "scribe", "--json"]);
    assert!(
        reported.as_array().is_some_and(|all| all.iter().any(|one| one["reason"] == reason)),
        "{reported}"
    );
    for wrong in [
        vec!["documents", "scribe", HOSTILE],
        vec!["deploy", "scribe", HOSTILE],
        vec!["status", "--store", "sqlite:none\u{1b}[2J/a.db"],
    ] {
        let rejected = kennel.run(&wrong);
        assert_ne!(rejected.code, Some(0), "{wrong:?}");
        assert_safe(&format!("{wrong:?}"), &rejected.stderr);
    }
    kennel.write("kennel.toml", format!("[run]\n\"{}\" = 1\n", "a\\u001B[2Jb\\nerror: c"));
    let rejected = kennel.run(&["status"]);
    assert_eq!(rejected.code, Some(6), "{}", rejected.stderr);
    assert_safe("kennel.toml", &rejected.stderr);
}

#[test]
fn the_log_as_json_is_exact() {
    let kennel = halted(&[("Say", "first", json!({ "text": HOSTILE }))]).with("KENNEL_LOG_FORMAT", "json");
    let mut command = kennel.command(&["run", "--listen", "127.0.0.1:0", "--workers", "1"]);
    let file = kennel.folder().join("log");
    command.stdout(std::process::Stdio::null()).stderr(std::fs::File::create(&file).expect("a file"));
    let running = kennel_tests::binary::Running::from(command.spawn().expect("kennel starts"));
    let log = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("the guest is heard", SOON, || log().contains("an event failed"));
    drop(running);
    let log = log();
    assert_safe("the log", &log);
    let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an entry is JSON"));
    let messages: Vec<Value> = entries.map(|entry| entry["message"].clone()).collect();
    assert!(messages.iter().any(|message| message == HOSTILE), "{messages:?}");
}
