//! `kennel append` of lines that a database does not take: exit code 4 with the line and the event, and nothing
//! appended, on both databases alike.

use kennel_tests::events::line;
use kennel_tests::fixture::Fixture;
use serde_json::{Value, json};

fn event(number: u64, changes: &[(&str, Value)]) -> String {
    let text = line(number, "Tests", ("Parcel", "p"), "Sent", &json!({}));
    let mut event: Value = serde_json::from_str(&text).expect("an event is JSON");
    for (field, value) in changes {
        event[*field] = value.clone();
    }
    event.to_string()
}

/// An event with this JSON as it is in one of its fields.
fn raw(number: u64, field: &str, text: &str) -> String {
    event(number, &[(field, json!("RAW"))]).replacen("\"RAW\"", text, 1)
}

#[test]
fn every_invalid_line_is_reported_with_its_error() {
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    let fixtures = [Fixture::sqlite(), Fixture::postgres()];
    for (bad, message) in [
        (raw(3, "payload", r#""\ud800""#), r"`payload` contains half of a surrogate pair (`\ud800`)"),
        (raw(3, "metadata", r#"{"a":"\udc00 x"}"#), r"metadata contains half of a surrogate pair (`\udc00`)"),
        (raw(3, "payload", "1e400000"), "`payload` contains the number `1e400000`"),
        (raw(3, "metadata", "[1e400000]"), "metadata contains the number `1e400000`"),
        (raw(3, "metadata", &deep), "metadata is nested more than 1000 levels deep"),
        (raw(3, "metadata", r#"{"a":"\u0000"}"#), r"metadata contains the character NUL (\u0000)"),
        (
            event(3, &[("aggregate_id", json!("x".repeat(9_000)))]),
            "aggregate_id has 9000 bytes; at most 2560",
        ),
        (event(3, &[("trace_id", json!("x".repeat(9_000)))]), "trace_id has 9000 bytes; at most 2560"),
        (
            event(
                3,
                &[("aggregate_id", json!("x".repeat(2_000))), ("aggregate_type", json!("y".repeat(2_000)))],
            ),
            "bounded_context, aggregate_type and aggregate_id have 4005 bytes together; at most 2560",
        ),
        (event(3, &[("event_type", json!("a\0b"))]), "event_type contains the character NUL"),
        (
            event(3, &[("event_version", json!(3_000_000_000_u32))]),
            "event_version 3000000000 is larger than 2147483647",
        ),
        (
            event(3, &[("created_at", json!("+300000-01-01T00:00:00Z"))]),
            "created_at +300000-01-01T00:00:00Z is no time",
        ),
        (event(3, &[("aggregate_version", json!(9))]), "so the next version is 3 and not 9"),
    ] {
        for fixture in &fixtures {
            let lines = [event(1, &[]), event(2, &[]), bad.clone(), event(4, &[])].join("\n");
            fixture.kennel.write("events.jsonl", lines);
            let printed = fixture.kennel.run(&["append", "--from", "events.jsonl"]);
            assert_eq!(printed.code, Some(4), "{}: {}", fixture.kind(), printed.stderr);
            let begins = "error: events.jsonl, line 3: ";
            assert!(
                printed.stderr.contains(begins) && printed.stderr.contains(message),
                "{}: {message}\n{}",
                fixture.kind(),
                printed.stderr
            );
            assert_eq!(fixture.database().head(), 0, "{}: {message}", fixture.kind());
        }
    }
}

#[test]
fn an_event_that_only_the_database_rejects_is_reported_as_well() {
    let rejection = |fixture: &Fixture| match fixture.kind() {
        "PostgreSQL" => "ALTER TABLE events ADD CONSTRAINT no_bad CHECK (event_type <> 'Bad')",
        _ => {
            "CREATE TRIGGER no_bad BEFORE INSERT ON events WHEN new.event_type = 'Bad'
             BEGIN SELECT RAISE(ABORT, 'no_bad'); END"
        }
    };
    for fixture in [Fixture::sqlite(), Fixture::postgres()] {
        fixture.database().rows(rejection(&fixture));
        // A chunk that is taken, and one that is not.
        let mut lines: Vec<String> = (1..=1_500).map(|number| event(number, &[])).collect();
        lines[1_233] = event(1_234, &[("event_type", json!("Bad"))]);
        fixture.kennel.write("events.jsonl", lines.join("\n"));
        let printed = fixture.kennel.run(&["append", "--from", "events.jsonl"]);
        assert_eq!(printed.code, Some(4), "{}: {}", fixture.kind(), printed.stderr);
        for message in [
            "events.jsonl, line 1234: event ",
            "of Parcel/p cannot be appended: the database does not take it: ",
            "no_bad",
            "Lines 1 to 1000 are in the log: repair the line and run it again",
        ] {
            assert!(printed.stderr.contains(message), "{}: {message}\n{}", fixture.kind(), printed.stderr);
        }
        assert_eq!(fixture.database().numbers("SELECT count(*) FROM events"), [1_000]);
        lines.remove(1_233);
        fixture.kennel.write("events.jsonl", lines.join("\n"));
        fixture.kennel.ok(&["append", "--from", "events.jsonl"]);
        assert_eq!(fixture.database().numbers("SELECT count(*) FROM events"), [1_499]);
    }
}

#[test]
fn odd_but_valid_events_are_appended_and_given_back() {
    for fixture in [Fixture::sqlite(), Fixture::postgres()] {
        let times = [
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:59.999999Z",
            "+294276-12-31T00:00:00Z",
        ];
        let mut lines = vec![raw(1, "metadata", r#"{"path":"C:\\u0000"}"#)];
        lines.extend((2..).zip(times).map(|(number, time)| event(number, &[("created_at", json!(time))])));
        lines.push(event(9, &[("aggregate_id", json!("x".repeat(2_500)))]));
        fixture.kennel.write("events.jsonl", lines.join("\n"));
        fixture.kennel.ok(&["append", "--from", "events.jsonl"]);
        let mut database = fixture.database();
        let metadata = database.rows("SELECT metadata FROM events WHERE global_position = 1");
        assert_eq!(metadata[0].replace(' ', ""), r#"{"path":"C:\\u0000"}"#);
        assert_eq!(database.head(), lines.len() as u64);
    }
}
