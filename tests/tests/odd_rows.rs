//! Rows in the log that are odd but legal, and rows that are no events: the same on both databases, each by itself,
//! and never at the expense of the events around it or of the host.

use std::time::Duration;

use kennel_core::limits;
use kennel_tests::binary::wait_until;
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::exactly_once::documents;
use kennel_tests::fixture::Fixture;
use kennel_tests::http;
use kennel_tests::metrics::Served;
use serde_json::{Value, json};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);
/// Seconds from 1970 back to Go's zero time.
const ZERO_OF_GO: i64 = -62_135_596_800;

fn on_both(test: impl Fn(&Fixture)) {
    test(&Fixture::sqlite());
    test(&Fixture::postgres());
}

fn is_postgres(fixture: &Fixture) -> bool {
    fixture.kind() == "PostgreSQL"
}

fn deploy(fixture: &Fixture, name: &str, on_failure: &str) {
    let file = guest("scribe");
    let file = file.to_str().expect("a UTF-8 path");
    fixture.kennel.ok(&["deploy", name, file, "--on-failure", on_failure]);
}

fn id(number: u64) -> String {
    Uuid::from_u64_pair(7, number).to_string()
}

/// Writes an event as another program would, with these columns as they are given in SQL.
fn insert(database: &mut Database, number: u64, changes: &[(&str, &str)]) {
    let (event_id, aggregate) = (format!("'{}'", id(number)), format!("'a-{number}'"));
    let mut columns = vec![
        ("bounded_context", "'Tests'"),
        ("aggregate_type", "'Parcel'"),
        ("aggregate_id", aggregate.as_str()),
        ("aggregate_version", "1"),
        ("event_id", event_id.as_str()),
        ("event_type", "'Sent'"),
        ("payload", "'{}'"),
    ];
    columns.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    columns.extend(changes);
    let (names, values): (Vec<&str>, Vec<&str>) = columns.into_iter().unzip();
    database.rows(&format!("INSERT INTO events ({}) VALUES ({})", names.join(", "), values.join(", ")));
}

/// The dead letters of the projection `scribe`, in the order of their positions.
fn letters(fixture: &Fixture) -> Vec<Value> {
    fixture.kennel.status("scribe")["dead_letters"].as_array().expect("a list of dead letters").clone()
}

/// What the guest says of how the event with this number arrived.
fn arrival(arrived: &[Value], number: u64) -> &Value {
    let found = arrived.iter().find(|row| row["key"] == id(number));
    found.map_or(&Value::Null, |row| &row["document"])
}

#[test]
fn times_arrive_as_they_are_or_fail_their_event() {
    // In PostgreSQL, in SQLite, and what the guest is to see: seconds since 1970 and nanoseconds.
    let times = [
        ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.25Z", Some((-1, 250_000_000))),
        ("0001-01-01 00:00:00+00", "0001-01-01 00:00:00 +0000 UTC", Some((ZERO_OF_GO, 0))),
        (
            "9999-12-31 23:59:59.999999+00",
            "9999-12-31T23:59:59.999999Z",
            Some((253_402_300_799, 999_999_000)),
        ),
        ("infinity", "infinity", None),
        ("294276-12-31 23:59:59+00", "+294276-12-31T23:59:59Z", Some((9_224_318_015_999, 0))),
        ("4714-11-24 00:00:00+00 BC", "-4713-11-24T00:00:00Z", Some((-210_866_803_200, 0))),
        ("-infinity", "-infinity", None),
        (
            "2024-07-05 14:07:09.123456+02",
            "2024-07-05 14:07:09.123456 +0200 CEST m=+0.012345",
            Some((1_720_181_229, 123_456_000)),
        ),
        ("2024-07-05 12:07:09+00", "2024-07-05 12:07:09", Some((1_720_181_229, 0))),
    ];
    on_both(|fixture| {
        let mut database = fixture.database();
        for (number, (postgres, sqlite, _)) in (1..).zip(times) {
            let text = if is_postgres(fixture) { postgres } else { sqlite };
            insert(&mut database, number, &[("created_at", &format!("'{text}'"))]);
        }
        deploy(fixture, "scribe", "dead-letter");
        fixture.kennel.ok(&["run", "--until-caught-up", "--workers", "2"]);
        let arrived = documents(&fixture.kennel, "scribe", "arrived");
        let mut failed = Vec::new();
        for (number, (text, _, expected)) in (1..).zip(times) {
            let found = &arrival(&arrived, number)["created_at"];
            match expected {
                Some((seconds, nanoseconds)) => assert_eq!(found, &json!([seconds, nanoseconds]), "{text}"),
                None => {
                    assert_eq!(found, &Value::Null, "{text}");
                    failed.push((number, text));
                }
            }
        }
        let letters = letters(fixture);
        assert_eq!(letters.len(), failed.len(), "{letters:#?}");
        for (letter, (number, text)) in letters.iter().zip(failed) {
            assert_eq!((&letter["position"], &letter["event_id"]), (&json!(number), &json!(id(number))));
            assert_eq!((&letter["kind"], &letter["attempts"]), (&json!("unreadable"), &json!(1)));
            assert_eq!(letter["aggregate_id"], format!("a-{number}"));
            let expected = format!(
                "the row cannot be read: created_at is {text}, which is no time; correct it in the log"
            );
            assert_eq!(letter["message"], expected);
        }
    });
}

#[test]
fn a_row_that_is_no_event_halts_its_projection_until_it_is_corrected() {
    on_both(|fixture| {
        let mut database = fixture.database();
        insert(&mut database, 1, &[]);
        insert(&mut database, 2, &[("created_at", "'infinity'")]);
        insert(&mut database, 3, &[]);
        deploy(fixture, "scribe", "halt");
        let message = format!(
            "halted at position 2, event {}: unreadable: the row cannot be read: created_at is infinity, which is no time",
            id(2)
        );
        let served = Served::start(&fixture.kennel, &["--workers", "1"]);
        wait_until("it says so", PATIENCE, || {
            let answer = http::request(served.address(), "GET", "/readyz", &[], b"").expect("it answers");
            answer.status == 503 && String::from_utf8_lossy(&answer.body).contains(&message)
        });
        // The event before it has taken effect, and nothing was tried in vain.
        let status = fixture.kennel.status("scribe");
        assert_eq!((&status["state"], &status["position"]), (&json!("halted"), &json!(1)));
        assert_eq!(status["last_error"]["attempts"], 1);
        let series = served.series("kennel_guest_failures_total");
        let unreadable: Vec<_> = series.iter().filter(|line| line.contains("unreadable")).collect();
        assert!(unreadable.len() == 1 && unreadable[0].ends_with(" 1"), "{series:?}");
        drop(served);

        database.rows("UPDATE events SET created_at = '2024-01-01T00:00:00Z' WHERE global_position = 2");
        fixture.kennel.ok(&["run", "--until-caught-up"]);
        assert_eq!(fixture.kennel.status("scribe")["state"], "running");
        assert_eq!(documents(&fixture.kennel, "scribe", "arrived").len(), 3);
    });
}

#[test]
fn every_kind_of_row_that_is_no_event_fails_alone() {
    let large = limits::EVENT_BYTES_MAX + 1;
    on_both(|fixture| {
        let too_large = if is_postgres(fixture) {
            format!("convert_to(repeat('x', {large}), 'UTF8')")
        } else {
            format!("zeroblob({large})")
        };
        let mut bad: Vec<(&str, &str, &str)> = vec![
            ("aggregate_version", "-1", "aggregate_version is -1, less than 0"),
            ("event_version", "-7", "event_version is -7, less than 0"),
            ("payload", &too_large, "bytes; at most 67108864 are read"),
        ];
        if !is_postgres(fixture) {
            // Here a column holds whatever it is given.
            bad.extend([
                ("aggregate_version", "'one'", "aggregate_version is TEXT; INTEGER is read"),
                ("event_version", "1.5", "event_version is REAL; INTEGER is read"),
                ("event_version", "5000000000", "event_version is 5000000000, more than 4294967295"),
                ("event_id", "'order-1'", "event_id is not a UUID: `order-1`"),
                ("event_id", "x'0102'", "event_id has 2 bytes and is no UUID"),
                ("payload", "5", "payload is INTEGER; BLOB is read"),
                ("metadata", "'{'", "metadata is not JSON"),
                ("aggregate_id", "CAST(x'61ff' AS TEXT)", "aggregate_id is not UTF-8 text"),
                ("trace_id", "x'ff'", "trace_id is not UTF-8 text"),
                ("created_at", "'yesterday'", "created_at is no time like 2026-01-31T12:00:00Z: `yesterday`"),
                ("created_at", "1720181229", "created_at is no time like"),
            ]);
        }
        let mut database = fixture.database();
        let mut number = 0;
        for (column, value, _) in &bad {
            insert(&mut database, number + 1, &[]);
            insert(&mut database, number + 2, &[(column, value)]);
            number += 2;
        }
        insert(&mut database, number + 1, &[]);
        deploy(fixture, "scribe", "dead-letter");
        fixture.kennel.ok(&["run", "--until-caught-up", "--workers", "3"]);
        let letters = letters(fixture);
        assert_eq!(letters.len(), bad.len(), "{letters:#?}");
        for (letter, ((column, _, message), position)) in letters.iter().zip(bad.iter().zip((2..).step_by(2)))
        {
            assert_eq!((&letter["position"], &letter["kind"]), (&json!(position), &json!("unreadable")));
            assert!(
                letter["message"].as_str().is_some_and(|said| said.contains(message)),
                "{message}: {letter:#}"
            );
            let known = if *column == "event_id" { Value::Null } else { json!(id(position)) };
            assert_eq!(letter["event_id"], known, "{column}");
        }
        let status = fixture.kennel.ok(&["status"]);
        assert_eq!(status.contains("event of unknown id"), !is_postgres(fixture), "{status}");
        let arrived = documents(&fixture.kennel, "scribe", "arrived");
        assert_eq!(arrived.len(), bad.len() + 1);
        assert!((1..).step_by(2).take(bad.len() + 1).all(|number| !arrival(&arrived, number).is_null()));
    });
}

/// The most memory that a process has had, in bytes.
fn memory_peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a line for the peak");
    let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<usize>().ok());
    kib.expect("a number") * 1024
}

/// Has a process handle the log, and returns the most memory that it took.
fn handle_all(fixture: &Fixture) -> usize {
    let head = fixture.database().head();
    let served = Served::start(&fixture.kennel, &["--workers", "1"]);
    wait_until("all is handled", PATIENCE * 3, || fixture.kennel.status("scribe")["position"] == head);
    let peak = memory_peak(served.process.pid());
    served.process.signal("TERM");
    assert_eq!(served.process.wait(PATIENCE), Some(0));
    peak
}

#[test]
fn large_metadata_takes_no_more_memory_than_large_payloads() {
    const EVENTS: u64 = 80;
    const BYTES: usize = 4_000_000;
    on_both(|fixture| {
        // What compresses well looks small to the database.
        let metadata = if is_postgres(fixture) {
            format!("jsonb_build_array(repeat('m', {BYTES} - 4))")
        } else {
            format!("'[\"' || replace(hex(zeroblob(({BYTES} - 4) / 2)), '0', 'm') || '\"]'")
        };
        let mut database = fixture.database();
        for number in 1..=EVENTS {
            insert(&mut database, number, &[("metadata", &metadata)]);
        }
        deploy(fixture, "scribe", "halt");
        let peak = handle_all(fixture);
        let arrived = documents(&fixture.kennel, "scribe", "arrived");
        assert_eq!(arrived.len() as u64, EVENTS);
        assert!(arrived.iter().all(|row| row["document"]["metadata_bytes"] == BYTES));
        assert!(peak < 350_000_000, "{}: {peak} bytes for {EVENTS} events of {BYTES}", fixture.kind());
    });
}

#[test]
fn metadata_whose_numbers_are_written_out_is_bounded() {
    let fixture = Fixture::postgres();
    let mut database = fixture.database();
    // Each number has 131,072 digits: 13 MB in all, then more than an event may have, then more than the server writes.
    let numbers =
        |count: u32| format!("to_jsonb(ARRAY(SELECT 1e131071::numeric FROM generate_series(1, {count})))");
    for number in 1..=12 {
        insert(&mut database, number, &[("metadata", &numbers(100))]);
    }
    insert(&mut database, 13, &[("metadata", &numbers(600))]);
    insert(&mut database, 14, &[]);
    insert(&mut database, 15, &[("metadata", &numbers(9_000))]);
    insert(&mut database, 16, &[]);
    deploy(&fixture, "scribe", "dead-letter");
    let peak = handle_all(&fixture);
    assert_eq!(documents(&fixture.kennel, "scribe", "arrived").len(), 14);
    let letters = letters(&fixture);
    assert_eq!(letters.len(), 2, "{letters:#?}");
    assert_eq!((&letters[0]["position"], &letters[1]["position"]), (&json!(13), &json!(15)));
    let said = letters[0]["message"].as_str().unwrap_or_default();
    assert!(said.contains("metadata has more than 67108864 bytes once it is written out"), "{said}");
    assert!(letters.iter().all(|letter| letter["kind"] == "unreadable"), "{letters:#?}");
    assert!(peak < 350_000_000, "{peak} bytes");
}

#[test]
fn positions_below_one_are_rejected_with_a_message() {
    on_both(|fixture| {
        let mut database = fixture.database();
        insert(&mut database, 1, &[]);
        deploy(fixture, "scribe", "halt");
        let served = Served::start(&fixture.kennel, &[]);
        wait_until("the first event is handled", PATIENCE, || {
            fixture.kennel.status("scribe")["position"] == 1
        });
        insert(&mut database, 2, &[("global_position", "-5")]);
        let message =
            "the event log holds an event at position -5: positions begin at 1, so it would never be handled";
        wait_until("it says so", PATIENCE, || {
            let answer = http::request(served.address(), "GET", "/readyz", &[], b"").expect("it answers");
            answer.status == 503 && String::from_utf8_lossy(&answer.body).contains(message)
        });
        served.process.signal("TERM");
        assert_eq!(served.process.wait(PATIENCE), Some(0));
        let rejected = fixture.kennel.run(&["run", "--until-caught-up"]);
        assert_eq!(rejected.code, Some(3), "{}", rejected.stderr);
        assert!(rejected.stderr.contains(message), "{}", rejected.stderr);
        database.rows("DELETE FROM events WHERE global_position < 1");
        fixture.kennel.ok(&["run", "--until-caught-up"]);
    });
}

#[test]
fn names_that_a_database_reserves_work() {
    on_both(|fixture| {
        let names = [
            "sqlite",
            "sqlite_x",
            "sqlite-sequence",
            "pg_x",
            "pg-catalog",
            "public",
            "information_schema",
            "kennel",
        ];
        let mut database = fixture.database();
        insert(&mut database, 1, &[]);
        let put = |number: u64, collection: &str| {
            let payload = json!({"collection": collection, "key": "k", "document": number}).to_string();
            (number, format!("'{payload}'"))
        };
        for (number, payload) in [put(2, "sqlite_master"), put(3, "pg_class"), put(4, "SQLITE_Master")] {
            insert(&mut database, number, &[("event_type", "'Put'"), ("payload", &payload)]);
        }
        for name in names {
            deploy(fixture, name, "halt");
        }
        fixture.kennel.ok(&["run", "--until-caught-up"]);
        for name in names {
            assert_eq!(documents(&fixture.kennel, name, "arrived").len(), 1, "{name}");
            for (collection, number) in [("sqlite_master", 2), ("pg_class", 3), ("SQLITE_Master", 4)] {
                let expected = [json!({"key": "k", "document": number})];
                assert_eq!(documents(&fixture.kennel, name, collection), expected, "{name}/{collection}");
            }
        }
    });
}

#[test]
fn documents_that_a_database_cannot_give_back_fail_their_event_alike() {
    let exploding = format!("[{}]", ["1e131071"; 9].join(","));
    let deep = format!("{}{}", "[".repeat(1001), "]".repeat(1001));
    let texts = [
        (exploding.as_str(), "document d/k has 1179658 bytes once its numbers are written out in digits"),
        ("[1e131072]", "document d/k contains the number `1e131072`"),
        ("1e-16384", "document d/k contains the number `1e-16384`"),
        (r#"{"a":"\u0000"}"#, "document d/k contains the character NUL"),
        (r#"["\ud800"]"#, "document d/k contains half of a surrogate pair"),
        (&deep, "document d/k is nested more than 1000 levels deep"),
        (r#"{"a":1,"a":2}"#, "document d/k has an object with the key `a` more than once"),
    ];
    on_both(|fixture| {
        let mut lines = String::new();
        for (number, (text, _)) in (1..).zip(texts) {
            let payload = json!({"collection": "d", "key": "k", "text": text});
            let line = kennel_tests::events::line(number, "Tests", ("Sheet", "s"), "PutText", &payload);
            lines += &(line + "\n");
        }
        let kept =
            json!({"collection": "d", "key": "kept", "text": format!("[{}]", ["1e131071"; 7].join(","))});
        lines += &kennel_tests::events::line(99, "Tests", ("Sheet", "s"), "PutText", &kept);
        fixture.kennel.write("events.jsonl", lines);
        fixture.kennel.ok(&["append", "--from", "events.jsonl"]);
        deploy(fixture, "scribe", "dead-letter");
        fixture.kennel.ok(&["run", "--until-caught-up"]);
        let letters = letters(fixture);
        assert_eq!(letters.len(), texts.len(), "{letters:#?}");
        for (letter, (_, message)) in letters.iter().zip(texts) {
            assert_eq!(letter["kind"], "invalid-call");
            assert!(
                letter["message"].as_str().is_some_and(|said| said.contains(message)),
                "{message}: {letter:#}"
            );
        }
        let found =
            fixture.database().rows(&format!("SELECT key FROM {}", fixture.database().view("scribe", "d")));
        assert_eq!(found, ["kept"]);
    });
}
