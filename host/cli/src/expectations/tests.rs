//! What a file of expectations says, what differs from it, and what an update makes of it.

use super::compare::{Differences, DocumentDifference, FieldDifference, Form, Found, FoundFailure};
use super::text::{Json, compact, laid_out, on_one_line};
use super::update::{render, updated};
use super::*;
use kennel_core::failure::FailureKind;

fn expectations(text: &str) -> Expectations {
    Expectations::parse(text.as_bytes()).expect("expectations")
}

fn found(documents: &str) -> Found {
    let text = format!("{{\"documents\": {documents}}}");
    Found { documents: expectations(&text).documents.expect("documents"), ..Found::default() }
}

fn failure(position: u64, kind: FailureKind, message: &str) -> FoundFailure {
    let (event_type, aggregate_id) = ("ItemAdded".to_owned(), "order-1".to_owned());
    FoundFailure { position, event_type, aggregate_id, kind, message: message.to_owned() }
}

fn line(position: u64, message: &str) -> ExpectedLine {
    ExpectedLine { position: Some(position), level: LogLevel::Info, message: message.to_owned() }
}

#[test]
fn every_part_may_be_left_out() {
    let all = expectations(
        "\u{feff}{\"config\": {\"a\": \"b\"}, \"documents\": {\"c\": {\"k\": {\"n\" : 1.50, \"m\":[ ] }}},
         \"failures\": [{\"position\": 3, \"kind\": \"trap\"}, {\"position\": 1, \"kind\": \"reject\", \"contains\": [\"x\"]}],
         \"logs\": [{\"level\": \"warn\", \"message\": \"m\"}]}",
    );
    assert_eq!(all.config["a"], "b");
    assert_eq!(all.documents.expect("documents")["c"]["k"], r#"{"n":1.50,"m":[]}"#);
    let positions: Vec<u64> = all.failures.iter().map(|failure| failure.position).collect();
    assert_eq!(positions, [1, 3], "by position");
    assert_eq!(all.logs, [ExpectedLine { position: None, level: LogLevel::Warn, message: "m".to_owned() }]);
    assert_eq!(expectations("{}"), Expectations::default());
    assert_eq!(expectations(r#"{"documents": {}}"#).documents, Some(Documents::new()));
}

#[test]
fn an_error_in_a_file_is_reported_with_its_place() {
    for (text, expected) in [
        ("", "it is empty: write {} to expect nothing but that no event fails, or have --update fill it"),
        ("{", "line 1, column 1: EOF while parsing an object"),
        ("[]", r#"expectations are a JSON object, such as {"documents": {}}"#),
        (
            "{\n \"document\": {}}",
            "line 2, column 11: unknown field `document`, expected one of `compare`, `config`, `documents`, \
             `exact_or_rejected`, `failures`, `logs`",
        ),
        (r#"{"config": {"a": 1}}"#, "line 1, column 18: invalid type: integer `1`, expected a string"),
        ("{\"documents\": {\"c\": {\"k\": 1,\n\"k\": 2}}}", "line 2, column 3: `k` comes more than once"),
        (r#"{"documents": {"c": {}, "c": {}}}"#, "line 1, column 27: `c` comes more than once"),
        (r#"{"documents": {"c": []}}"#, "line 1, column 20: invalid type: sequence, expected an object"),
        (
            r#"{"failures": [{"position": 1, "kind": "trap"}, {"position": 1, "kind": "trap"}]}"#,
            "line 1, column 80: `failures` has position 1 more than once",
        ),
        (r#"{"failures": [{"kind": "trap"}]}"#, "line 1, column 30: missing field `position`"),
        (
            r#"{"failures": [{"position": 1, "kind": []}]}"#,
            "line 1, column 40: invalid length 0, expected a kind of failure, or a list of them",
        ),
        (
            r#"{"failures": [{"position": 1, "kind": "fails"}]}"#,
            "line 1, column 45: unknown variant `fails`, expected one of `retry`, `reject`, `trap`, `time-limit`, \
             `memory-limit`, `stack-limit`, `invalid-call`, `unreadable`",
        ),
    ] {
        assert_eq!(Expectations::parse(text.as_bytes()).expect_err("it is wrong"), expected, "{text}");
    }
    assert_eq!(Expectations::parse(b"\xff").expect_err("no text"), "it is not UTF-8 text");
}

#[test]
fn only_white_space_between_tokens_makes_no_difference() {
    let text = "{ \"a b\" : [ 1 , 2.0e+1 ,\t\"x \\\" , \\\\\" ] ,\r\n \"c\" : { } }";
    assert_eq!(compact(text), r#"{"a b":[1,2.0e+1,"x \" , \\"],"c":{}}"#);
    assert_eq!(on_one_line(text), r#"{"a b": [1, 2.0e+1, "x \" , \\"], "c": {}}"#);
    for number in
        ["1", "1.0", "-0", "1e2", "9007199254740993", "18446744073709551616", "0.1000000000000000055"]
    {
        assert_eq!(compact(number), number);
    }
}

/// The places in the only document that differ, each as `POINTER EXPECTED FOUND`.
fn fields(expected: &str, found_text: &str) -> Vec<String> {
    let document = |text: &str| format!("{{\"c\": {{\"k\": {text}}}}}");
    let expected = expectations(&format!("{{\"documents\": {}}}", document(expected)));
    let differences = Differences::between(&expected, &found(&document(found_text)));
    let shown = |json: &Option<Json>| json.as_ref().map_or("-", |json| &json.0).to_owned();
    let field = |field: &FieldDifference| {
        let form = match field.form {
            Some(Form::Order) => " (order)",
            Some(Form::Spelling) => " (spelling)",
            None => "",
        };
        format!("{} {} {}{form}", field.pointer, shown(&field.expected), shown(&field.found))
    };
    differences.documents.iter().flat_map(|document| &document.fields).map(field).collect()
}

#[test]
fn documents_differ_where_their_texts_do() {
    for (expected, found, places) in [
        (r#"{"a": 1}"#, r#"{ "a":1 }"#, vec![]),
        (r#"{"a": 1}"#, r#"{"a": 1.0}"#, vec!["/a 1 1.0"]),
        ("9007199254740993", "9007199254740992", vec![" 9007199254740993 9007199254740992"]),
        (r#"{"a": 1, "b": 2}"#, r#"{"b": 2, "a": 1}"#, vec![r#" {"a":1,"b":2} {"b":2,"a":1} (order)"#]),
        (r#"{"a": 1, "b": 2}"#, r#"{"b": 2, "a": 3}"#, vec!["/a 1 3"]),
        (r#"{"ä": 1}"#, r#"{"\u00e4": 1}"#, vec![r#" {"ä":1} {"\u00e4":1} (spelling)"#]),
        (r#"{"a": "ä"}"#, r#"{"a": "\u00e4"}"#, vec![r#"/a "ä" "\u00e4""#]),
        (r#"{"a": {"b": [1, 2]}}"#, r#"{"a": {"b": [1, 3, 4]}}"#, vec!["/a/b/1 2 3", "/a/b/2 - 4"]),
        (
            r#"{"a/b": {"~": 1}, "x": 0}"#,
            r#"{"a/b": {"~": 2}, "y": 0}"#,
            vec!["/a~1b/~0 1 2", "/x 0 -", "/y - 0"],
        ),
        (r#"{"a": {}}"#, r#"{"a": []}"#, vec!["/a {} []"]),
        (r#"{"a": null}"#, "{}", vec!["/a null -"]),
        ("[[1]]", "[[1],[]]", vec!["/1 - []"]),
    ] {
        assert_eq!(fields(expected, found), places, "{expected} and {found}");
    }
    let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(fields(&deep("1"), &deep("2")), [format!("{} 1 2", "/0".repeat(1000))]);
}

#[test]
fn documents_are_missing_or_not_expected() {
    let expected = expectations(r#"{"documents": {"a": {"1": 1, "2": 2}, "empty": {}, "gone": {"1": 1}}}"#);
    let differences = Differences::between(&expected, &found(r#"{"a": {"2": 2, "3": 3}, "new": {"1": 1}}"#));
    let shown = |one: &DocumentDifference| {
        (format!("{}/{}", one.collection, one.key), one.expected.is_some(), one.found.is_some())
    };
    let shown: Vec<_> = differences.documents.iter().map(shown).collect();
    let of = |name: &str, expected: bool| (name.to_owned(), expected, !expected);
    assert_eq!(shown, [of("a/1", true), of("a/3", false), of("gone/1", true), of("new/1", false)]);
    assert!(Differences::between(&expectations("{}"), &found(r#"{"a": {"1": 1}}"#)).is_empty());
}

#[test]
fn failures_are_exactly_those_that_are_expected() {
    let expected = expectations(
        r#"{"failures": [{"position": 1, "kind": "reject", "contains": ["order-9", "placed"]},
            {"position": 2, "kind": "trap"}, {"position": 3, "kind": "retry"}, {"position": 4, "kind": "reject", "contains": ["x"]}]}"#,
    );
    let failures = vec![
        failure(1, FailureKind::Reject, "order-9 has not been placed"),
        failure(3, FailureKind::Trap, "away"),
        failure(4, FailureKind::Reject, "y"),
        failure(5, FailureKind::Reject, "z"),
    ];
    let differences = Differences::between(&expected, &Found { failures, ..Found::default() }).failures;
    let shown: Vec<_> = differences
        .iter()
        .map(|one| (one.position, one.expected.is_some(), one.found.is_some(), one.lacks.len()))
        .collect();
    assert_eq!(shown, [(2, true, false, 0), (3, true, true, 0), (4, true, true, 1), (5, false, true, 0)]);
}

#[test]
fn lines_occur_in_order_among_others() {
    let expected = |positions: &[Option<u64>]| {
        let logs =
            positions.iter().map(|position| ExpectedLine { position: *position, ..line(0, "m") }).collect();
        Expectations { logs, ..Expectations::default() }
    };
    let found = Found { logs: vec![line(1, "m"), line(2, "other"), line(3, "m")], ..Found::default() };
    let missing = |positions: &[Option<u64>]| Differences::between(&expected(positions), &found).logs.len();
    assert_eq!(missing(&[Some(1), Some(3)]), 0);
    assert_eq!(missing(&[None, None]), 0);
    assert_eq!(missing(&[None, None, None]), 1);
    assert_eq!(missing(&[Some(3), Some(1)]), 1);
    assert_eq!(missing(&[Some(2)]), 1);
}

#[test]
fn an_update_keeps_what_was_written_by_hand_and_is_still_right() {
    let before = expectations(
        r#"{"config": {"currency": "EUR"}, "documents": {"old": {"1": 1}},
            "failures": [{"position": 1, "kind": "reject", "contains": ["placed"]}, {"position": 2, "kind": "reject"},
                         {"position": 3, "kind": "reject", "contains": ["before"]}],
            "logs": [{"level": "info", "message": "same"}, {"level": "info", "message": "same"}]}"#,
    );
    let found = Found {
        documents: found(r#"{"b": {"2": {"z": 1.50}, "10": {"a": "€"}}, "a": {"k": [ ]}, "none": {}}"#)
            .documents,
        failures: vec![
            failure(1, FailureKind::Reject, "order-9 has not been placed"),
            failure(3, FailureKind::Reject, "after\nstack"),
            failure(4, FailureKind::Trap, "trapped: at src/lib.rs:3"),
        ],
        logs: vec![line(1, "same"), line(2, "more")],
    };
    let after = updated(before.clone(), &found, false);
    let text = render(&after);
    let expected = r#"{
  "config": {"currency": "EUR"},
  "documents": {
    "a": {
      "k": []
    },
    "b": {
      "10": {"a": "€"},
      "2": {"z": 1.50}
    }
  },
  "failures": [
    {"position": 1, "kind": "reject", "contains": ["placed"]},
    {"position": 3, "kind": "reject", "contains": ["after"]},
    {"position": 4, "kind": "trap"}
  ],
  "logs": [
    {"level": "info", "message": "same"}
  ]
}
"#;
    assert_eq!(text, expected);
    assert!(Differences::between(&expectations(&text), &found).is_empty());
    assert_eq!(render(&updated(expectations(&text), &found, false)), text, "an update changes nothing twice");
    assert_eq!(updated(before, &found, true).logs, found.logs);
    assert_eq!(render(&Expectations::default()), "{}\n");
}

#[test]
fn long_values_have_a_line_for_each_part() {
    let long = "x".repeat(100);
    let text = format!(r#"{{"a":1,"b":{{"c":["{long}",{{"d":2}}],"e":{{}}}},"f":"{long}{long}"}}"#);
    let expected = format!(
        "{{\n  \"a\": 1,\n  \"b\": {{\n    \"c\": [\n      \"{long}\",\n      {{\"d\": 2}}\n    ],\n    \"e\": {{}}\n  }},\n  \
         \"f\": \"{long}{long}\"\n}}"
    );
    assert_eq!(laid_out(&text, 0, 0), expected);
    assert_eq!(compact(&laid_out(&text, 7, 30)), text);
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(compact(&laid_out(&deep, 0, 0)), deep);
}

#[test]
fn values_may_be_spelled_in_any_way_if_the_file_says_so() {
    let by_text = expectations(r#"{"documents": {"c": {"k": {"a": 1.0, "b": "ä"}}}}"#);
    let by_value = expectations(r#"{"compare": "values", "documents": {"c": {"k": {"a": 1.0, "b": "ä"}}}}"#);
    for (text, same_text, same_values) in [
        (r#"{"a":1.0,"b":"ä"}"#, true, true),
        (r#"{"a":1,"b":"\u00e4"}"#, false, true),
        (r#"{"b":"ä","a":1.0}"#, false, false),
        (r#"{"a":1.0000000000000000000001,"b":"ä"}"#, false, false),
    ] {
        let found = found(&format!(r#"{{"c": {{"k": {text}}}}}"#));
        assert_eq!(Differences::between(&by_text, &found).is_empty(), same_text, "{text}");
        assert_eq!(Differences::between(&by_value, &found).is_empty(), same_values, "{text}");
    }
    assert!(render(&by_value).starts_with("{\n  \"compare\": \"values\",\n"));
}

#[test]
fn a_document_is_exact_or_its_event_was_rejected() {
    let text = r#"{
  "documents": {},
  "exact_or_rejected": [
    {"position": 1, "collection": "c", "key": "k", "document": 0.12345678901234567890}
  ],
  "failures": [
    {"position": 2, "kind": ["trap", "reject"]}
  ]
}
"#;
    let expected = expectations(text);
    let outcome = |documents: &str, first: &[FailureKind]| {
        let mut failures: Vec<_> = first.iter().map(|kind| failure(1, *kind, "no")).collect();
        failures.push(failure(2, FailureKind::Reject, "no"));
        let found = Found { failures, ..found(documents) };
        assert_eq!(render(&updated(expected.clone(), &found, false)), text, "an update leaves the choice");
        let differences = Differences::between(&expected, &found);
        (differences.documents.len(), differences.failures.len())
    };
    let (exact, rounded) =
        (r#"{"c": {"k": 0.12345678901234567890}}"#, r#"{"c": {"k": 0.12345678901234568}}"#);
    assert_eq!(outcome(exact, &[]), (0, 0));
    assert_eq!(outcome("{}", &[FailureKind::Reject]), (0, 0));
    assert_eq!(outcome(rounded, &[]), (1, 0));
    assert_eq!(outcome("{}", &[]), (1, 0), "neither");
    assert_eq!(outcome(exact, &[FailureKind::Reject]), (1, 0), "both");
    assert_eq!(outcome("{}", &[FailureKind::Trap]), (1, 1), "only a rejection says that it cannot be held");
    let none = expectations(r#"{"failures": [{"position": 1, "kind": ["trap", "retry"]}]}"#);
    let failures = vec![failure(1, FailureKind::Reject, "no")];
    assert_eq!(Differences::between(&none, &Found { failures, ..Found::default() }).failures.len(), 1);
}
