//! `kennel test`: a component on given events, without a store. What it comes to is what a real store comes to, and what
//! differs from the expectations is said in each form of its output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use kennel_tests::binary::{Kennel, Printed};
use kennel_tests::components::guest;
use kennel_tests::events::{line, orders};
use serde_json::{Value, json};

fn path(name: &str) -> String {
    guest(name).to_str().expect("a UTF-8 path").to_owned()
}

/// A folder with these events for an example guest.
fn folder(events: &str) -> Kennel {
    let kennel = Kennel::default();
    kennel.write("events.jsonl", events);
    kennel
}

/// Runs `kennel test` on an example guest.
fn test(kennel: &Kennel, name: &str, more: &[&str]) -> Printed {
    kennel.run(&[&["test", &path(name)], more].concat())
}

#[track_caller]
fn ends(printed: &Printed, code: i32) {
    assert_eq!(printed.code, Some(code), "{}\n{}", printed.stdout, printed.stderr);
}

fn misdeeds(types: &[&str]) -> String {
    let line = |(number, event_type): (u64, &&str)| {
        line(number, "Tests", ("Misdeed", &format!("misdeed-{number}")), event_type, &json!({})) + "\n"
    };
    (1..).zip(types).map(line).collect()
}

fn scribbles() -> String {
    let mut lines = String::new();
    let texts = [
        r#"{"z": 1, "a": 1.50, "n": 9007199254740993, "e": 1E+2, "nested": {"b": [ ], "a": {}}}"#,
        r#""\u00e4 ä \"quoted\" \\ €""#,
        "12345678901234567890.000",
        "[1,   2, [3]]",
        "null",
        "{not json",
    ];
    for (number, text) in (1..).zip(texts) {
        let payload = json!({"collection": "Texte mit Ä", "key": format!("k {number}"), "text": text});
        writeln!(lines, "{}", line(number, "Tests", ("Scribble", "s"), "PutText", &payload)).expect("text");
    }
    for number in 20..60 {
        let payload = json!({"collection": format!("c{}", number % 3), "key": format!("{}", number % 7), "document": {"n": number}});
        writeln!(lines, "{}", line(number, "Tests", ("Scribble", "s"), "Put", &payload)).expect("text");
    }
    for (number, event_type, payload) in [
        (60, "Say", json!({"text": "line\nof two"})),
        (61, "PutBytes", json!({"collection": "c0", "key": "large", "bytes": 1_048_576})),
        (62, "PutBytes", json!({"collection": "c0", "key": "too large", "bytes": 1_048_577})),
        (63, "Noted", json!({"any": ["thing", 1.0]})),
    ] {
        let text = line(number, "Tests", ("Scribble", &format!("s-{number}")), event_type, &payload);
        let mut event: Value = serde_json::from_str(&text).expect("an event");
        event["created_at"] = json!("2026-03-01T09:30:00.25Z");
        event["metadata"] = json!({"by": "me"});
        writeln!(lines, "{event}").expect("text");
    }
    lines
}

/// What a real store comes to, as expectations: the text of each document as it is stored, and the dead letters.
fn of_a_store(kennel: &Kennel, name: &str, collections: &[&str]) -> String {
    kennel.ok(&["append", "--from", "events.jsonl"]);
    kennel.ok(&["deploy", name, &path(name), "--on-failure", "dead-letter", "--batch", "7"]);
    kennel.ok(&["run", "--until-caught-up"]);
    let mut documents = Vec::new();
    for collection in collections {
        let printed = kennel.ok(&["documents", name, collection, "--limit", "100000"]);
        let lines = printed.lines().map(|line| {
            let (key, document) = line.split_once("  ").expect("a key and a document");
            format!("{}: {document}", json!(key))
        });
        let lines: Vec<String> = lines.collect();
        documents.push(format!("{}: {{{}}}", json!(collection), lines.join(",\n")));
    }
    let letters = kennel.status(name)["dead_letters"].clone();
    let failure = |letter: &Value| json!({"position": letter["position"], "kind": letter["kind"], "contains": [letter["message"]]});
    let failures: Vec<Value> = letters.as_array().expect("a list").iter().map(failure).collect();
    format!("{{\"documents\": {{{}}},\n\"failures\": {}}}", documents.join(",\n"), json!(failures))
}

#[test]
fn documents_and_failures_are_those_of_a_real_store() {
    let unplaced = line(9_000, "Sales", ("Order", "order-unknown"), "OrderPaid", &json!({}));
    let types = ["Harmless", "Panic", "Trap", "AllocateForever", "RecurseForever", "Harmless"];
    let more = ["Reject", "Retry", "InvalidDocument", "HugeDocument", "FloodLog", "Harmless", "Odd"];
    for (name, events, collections, failures) in [
        ("order-summary", orders(50) + &unplaced + "\n", vec!["orders", "customers"], 1),
        ("scribe", scribbles(), vec!["Texte mit Ä", "c0", "c1", "c2", "arrived"], 3),
        ("misbehaving", misdeeds(&[&types[..], &more].concat()), vec!["good"], 8),
    ] {
        let kennel = folder(&events);
        let expected = of_a_store(&kennel, name, &collections);
        kennel.write("expected.json", &expected);
        let count =
            serde_json::from_str::<Value>(&expected).expect("JSON")["failures"].as_array().map(Vec::len);
        assert_eq!(count, Some(failures), "{expected}");
        for batch in ["1", "7", "1000"] {
            ends(&test(&kennel, name, &["--batch", batch]), 0);
        }
        let first = expected.find(": {\"").expect("a document");
        kennel.write(
            "expected.json",
            format!("{}{}", &expected[..first], expected[first..].replacen('"', "\"x", 1)),
        );
        ends(&test(&kennel, name, &[]), 8);
    }
}

#[test]
fn payloads_that_are_no_json_arrive_as_they_are() {
    let text = line(1, "Tests", ("Scribble", "s"), "Noted", &json!({}));
    let kennel = folder(&text.replace("\"payload\":{}", "\"payload_base64\":\"/wD+\""));
    ends(&test(&kennel, "scribe", &["--update"]), 0);
    let written = fs::read_to_string(kennel.folder().join("expected.json")).expect("the file is there");
    for field in [r#""kind": "binary","#, r#""beginning": [255, 0, 254],"#, r#""created_at": [0, 0]"#] {
        assert!(written.contains(field), "{field}: {written}");
    }
    let append = kennel.run(&["append", "--from", "events.jsonl"]);
    assert_eq!(append.code, Some(4));
    assert!(
        append.stderr.contains("missing") || append.stderr.contains("payload_base64"),
        "{}",
        append.stderr
    );
}

#[test]
fn each_kind_of_failure_can_be_expected() {
    let misdeeds_and_kinds = [
        ("LoopForever", "time-limit"),
        ("Panic", "trap"),
        ("AllocateForever", "memory-limit"),
        ("RecurseForever", "stack-limit"),
        ("Retry", "retry"),
        ("Reject", "reject"),
        ("InvalidDocument", "invalid-call"),
    ];
    let kennel = folder(&misdeeds(&misdeeds_and_kinds.map(|(misdeed, _)| misdeed)));
    let failures: Vec<Value> = (1..)
        .zip(misdeeds_and_kinds)
        .map(|(position, (_, kind))| json!({"position": position, "kind": kind}))
        .collect();
    let write = |failures: &[Value]| {
        kennel.write("expected.json", json!({"documents": {}, "failures": failures}).to_string());
    };
    write(&failures);
    ends(&test(&kennel, "misbehaving", &[]), 0);
    for (index, kind) in [(1, "reject"), (4, "reject"), (5, "retry")] {
        let mut wrong = failures.clone();
        wrong[index]["kind"] = json!(kind);
        write(&wrong);
        ends(&test(&kennel, "misbehaving", &[]), 8);
    }
    write(&failures[1..]);
    let printed = test(&kennel, "misbehaving", &[]);
    ends(&printed, 8);
    assert!(
        printed
            .stdout
            .contains("not expected: position 1, LoopForever of misdeed-1: time-limit: ran longer than 2 s")
    );
}

#[test]
fn an_update_is_expected_from_then_on_and_stays_as_it_is() {
    let misdeed = line(9_000, "Tests", ("Misdeed", "m"), "Reject", &json!({}));
    let kennel = folder(&(orders(20) + &misdeed + "\n"));
    let read = || fs::read_to_string(kennel.folder().join("expected.json")).expect("the file is there");
    for name in ["order-summary", "misbehaving"] {
        ends(&test(&kennel, name, &["--update"]), 0);
        let written = read();
        ends(&test(&kennel, name, &[]), 0);
        ends(&test(&kennel, name, &["--update"]), 0);
        assert_eq!(read(), written, "an update of right expectations changes nothing");
        fs::remove_file(kennel.folder().join("expected.json")).expect("the file was there");
    }
    // By hand: a setting, a text that occurs in the message, and one that does not.
    let failure = |contains: &str| json!({"position": 121, "kind": "reject", "contains": [contains]});
    for (contains, kept) in
        [("to be rejected", "to be rejected"), ("other", "this event asked to be rejected")]
    {
        let by_hand = json!({"config": {"greeting": "hello"}, "failures": [failure(contains)], "documents": {"old": {"1": 1}}});
        kennel.write("expected.json", by_hand.to_string());
        ends(&test(&kennel, "misbehaving", &["--update", "--set", "more=1"]), 0);
        let written: Value = serde_json::from_str(&read()).expect("JSON");
        assert_eq!(written["config"], json!({"greeting": "hello", "more": "1"}));
        assert_eq!(written["failures"], json!([failure(kept)]));
        assert_eq!(written["documents"]["good"]["OrderPlaced"], json!({"count": 20}));
        assert_eq!(written["documents"]["old"], Value::Null);
        ends(&test(&kennel, "misbehaving", &[]), 0);
    }
}

#[test]
fn settings_and_lines_of_the_log() {
    let kennel = folder(&misdeeds(&["FloodLog", "Reject"]));
    let lines = |messages: &[&str]| {
        let line = |message: &&str| json!({"position": 1, "level": "info", "message": message});
        json!({"documents": {"good": {"Reject": {"count": 1}}}, "config": {"misdeeds": "FloodLog"},
               "logs": messages.iter().map(line).collect::<Vec<_>>()})
    };
    kennel.write("expected.json", lines(&["line 1 of the flood", "line 20 of the flood"]).to_string());
    ends(&test(&kennel, "misbehaving", &[]), 0);
    ends(&test(&kennel, "misbehaving", &["--set", "misdeeds=Reject"]), 8);
    kennel.write("expected.json", lines(&["line 20 of the flood", "line 1 of the flood"]).to_string());
    let printed = test(&kennel, "misbehaving", &[]);
    ends(&printed, 8);
    assert!(printed.stdout.contains("there is no line 1 info line 1 of the flood"), "{}", printed.stdout);
    ends(&test(&kennel, "misbehaving", &["--update", "--logs"]), 0);
    let written = fs::read_to_string(kennel.folder().join("expected.json")).expect("the file is there");
    assert_eq!(written.matches("\"message\"").count(), 21, "{written}");
    assert!(written.contains(r#""level": "warn", "message": "99980 more lines were dropped"#), "{written}");
}

/// A test of which everything differs that can.
fn different() -> Kennel {
    let log = misdeeds(&["Good", "Good", "Reject", "Panic", "Other", "Retry"]);
    let kennel = folder(&log);
    kennel.write(
        "expected.json",
        r#"{"documents": {"good": {"Good": {"count": 1.0}, "<none>": {"a": "&\u0001"}}},
            "failures": [{"position": 2, "kind": "reject"}, {"position": 3, "kind": "reject", "contains": ["asked", "politely"]},
                         {"position": 4, "kind": "reject"}],
            "logs": [{"level": "info", "message": "hello \u001b[1m\nthere"}]}"#,
    );
    kennel
}

/// What differs from run to run.
const FILTERS: [(&str, &str); 6] = [
    (r"\d+(\.\d+)? (µs|ms|s)\b", "[time]"),
    (r"\d+(\.\d+)? MiB", "[memory]"),
    (
        r#"(microseconds|slowest_position|memory_bytes_max|memory_bytes_peak|digest)": [^,\n]+"#,
        r#"$1": "[hidden]""#,
    ),
    (r"\[time\] +", "[time] "),
    (r"\[time\] \d+ +\[memory\]", "[time] [position] [memory]"),
    (r"(P50|P99|MAX|AT) +", "$1 "),
];

#[test]
fn people_read_on_one_screen_what_differs() {
    let printed = test(&different(), "misbehaving", &[]);
    ends(&printed, 8);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(printed.stdout.replace("\u{1b}", "ESC"));
    });
}

#[test]
fn programs_read_all_of_it() {
    let kennel = different();
    let printed = kennel.run(&["test", "misbehaving.wasm", "--json"]);
    ends(&printed, 4);
    fs::copy(guest("misbehaving"), kennel.folder().join("misbehaving.wasm")).expect("the guest is copied");
    let printed = kennel.run(&["test", "--json"]);
    ends(&printed, 8);
    insta::with_settings!({filters => FILTERS.to_vec()}, {
        insta::assert_snapshot!(printed.stdout);
    });
    let json: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!((&json["passed"], json["times"].as_array().map(Vec::len)), (&json!(false), Some(5)));
}

#[test]
fn build_servers_read_well_formed_xml() {
    let kennel = different();
    let cases = |expected: [usize; 3]| {
        let xml = fs::read_to_string(kennel.folder().join("report.xml")).expect("the report is written");
        let elements = elements(&xml);
        let count = |name: &str| elements.get(name).copied().unwrap_or_default();
        assert_eq!([count("testcase"), count("failure"), count("error")], expected, "{xml}");
        xml
    };
    let junit = ["--junit", "report.xml"];
    ends(&test(&kennel, "misbehaving", &junit), 8);
    let xml = cases([3, 3, 0]);
    assert!(xml.contains(r#"name="documents of good""#) && xml.contains("&lt;none&gt;"), "{xml}");
    ends(&test(&kennel, "misbehaving", &[&junit[..], &["--update"]].concat()), 0);
    cases([1, 0, 0]);
    ends(&test(&kennel, "misbehaving", &junit), 0);
    cases([2, 0, 0]);
    kennel.write("events.jsonl", "{\n");
    ends(&test(&kennel, "misbehaving", &junit), 4);
    cases([1, 0, 1]);
}

/// How often each element occurs in a text of XML, which must be well formed.
fn elements(xml: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut open = Vec::new();
    let text_is_valid = |text: &str| {
        let entities = text.split('&').skip(1);
        let known = ["amp;", "lt;", "gt;", "quot;", "#10;", "#9;", "#13;"];
        assert!(entities.clone().all(|rest| known.iter().any(|name| rest.starts_with(name))), "{text}");
        assert!(!text.contains('<') && text.chars().all(|c| c >= ' ' || c == '\n'), "{text:?}");
    };
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag ends");
        text_is_valid(text);
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{xml}");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag}");
        text_is_valid(attributes);
        *found.entry(name.to_owned()).or_default() += 1;
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

#[test]
fn without_expectations_everything_is_shown_and_no_event_may_fail() {
    let kennel = folder(&orders(2));
    let printed = test(&kennel, "order-summary", &[]);
    ends(&printed, 0);
    assert!(
        printed.stdout.contains("customers/customer-1 {\"orders\": 1, \"spent_cents\": 606}"),
        "{}",
        printed.stdout
    );
    assert!(printed.stderr.contains("--update writes what was found to expected.json"), "{}", printed.stderr);
    kennel.write("events.jsonl", misdeeds(&["Reject"]));
    ends(&test(&kennel, "misbehaving", &[]), 8);
    kennel.write("events.jsonl", "");
    let printed = test(&kennel, "misbehaving", &[]);
    ends(&printed, 0);
    assert!(printed.stdout.starts_with("misbehaving 1.0.0: 0 events"), "{}", printed.stdout);
}

#[test]
fn a_signal_ends_it_and_leaves_nothing_behind() {
    let kennel = folder(&misdeeds(&["LoopForever"; 30]));
    let running = kennel.start(&["test", &path("misbehaving"), "--update"]);
    kennel_tests::binary::wait_until("it runs", Duration::from_secs(60), || {
        let tasks = fs::read_dir(format!("/proc/{}/task", running.pid()));
        tasks.is_ok_and(|tasks| tasks.count() > 2)
    });
    running.signal("INT");
    assert_ne!(running.wait(Duration::from_secs(20)), Some(0));
    let left: Vec<_> = fs::read_dir(kennel.folder()).expect("the folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
