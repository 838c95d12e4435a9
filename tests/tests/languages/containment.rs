//! What a guest in any language does without end, or throws, ends that one event: it is named, nothing of it is left, and
//! other events are handled.

use kennel_tests::binary::Kennel;
use kennel_tests::languages::{Language, languages};
use kennel_tests::report;
use serde_json::Value;

use crate::groups::containment;
use crate::play::{on_sqlite, outcome, values};

/// What the message of a failure has, whatever the language.
const MESSAGES: [(&str, &[&str]); 3] = [
    ("Loop", &["ran longer than 2 s"]),
    ("Allocate", &["asked for", "128 MiB"]),
    // Python counts its calls, and throws before the stack ends.
    ("Recurse", &["stack|recursion"]),
];

/// An exception arrives as one of these kinds, with its type, its message and where it was thrown.
fn thrown(language: &Language) -> (&'static [&'static str], &'static [&'static str]) {
    match language.name {
        // Where the standard library cannot unwind, a panic aborts, and what it says goes ahead by the log.
        "rust" => (&["reject", "trap"], &["panicked at", "conformance/src/lib.rs:", "the last of them"]),
        "typescript" => (&["reject"], &["Error: the last of them", "src/conformance.ts:"]),
        "python" => (&["reject"], &["Error: the last of them", "conformance.py:"]),
        "go" => (&["reject"], &["panic: the last of them", "conformance/"]),
        // C has neither exceptions nor a stack that could be shown.
        _ => (&["reject"], &["abort was called", "the last of them"]),
    }
}

#[test]
fn endless_work_and_exceptions_are_named_and_contained() {
    let _alone = crate::alone();
    let languages = languages();
    let group = containment();
    let kennel = Kennel::default();
    let mut played = on_sqlite(&kennel, &group, &languages, 1000);
    report::line(format_args!(
        "{:<12} {:<12} {:<12} {:<12} {:<12}",
        "language", "Loop", "Allocate", "Recurse", "Throw"
    ));
    for language in &languages {
        let kinds: Vec<&str> = played.letters(language.name).iter().map(kind).collect();
        report::line(format_args!(
            "{:<12} {}",
            language.name,
            kinds.iter().map(|kind| format!("{kind:<13}")).collect::<String>()
        ));
    }
    for language in &languages {
        // Nothing is left of the events that failed, and all others were handled: the documents say so.
        let differences = outcome(&values(&group.expected), &played.found(language.name)).differences;
        assert!(differences.is_empty(), "{}: {}", language.name, differences.join("\n"));
        for letter in played.letters(language.name) {
            check(language, letter);
        }
    }
}

fn check(language: &Language, letter: &Value) {
    let (throws, texts) = thrown(language);
    let texts = match letter["event_type"].as_str() {
        Some("Throw") => {
            assert!(throws.contains(&kind(letter)), "{}: {letter:#}", language.name);
            texts
        }
        event_type => MESSAGES.iter().find(|(name, _)| event_type == Some(name)).expect("one of them").1,
    };
    let message = letter["message"].as_str().unwrap_or_default();
    for text in texts {
        let has_any = text.split('|').any(|text| message.contains(text));
        assert!(has_any, "{}: {text} is not in the message of {letter:#}", language.name);
    }
    let attempts = if kind(letter) == "reject" { 1 } else { 4 };
    assert_eq!(letter["attempts"], attempts, "{}: {letter:#}", language.name);
}

fn kind(letter: &Value) -> &str {
    letter["kind"].as_str().unwrap_or_default()
}
