//! Writes the file that expects what was found: settings, documents, failures and lines in a fixed order, a document a
//! line. What was written by hand and is still right stays.

use std::collections::BTreeMap;

use kennel_core::failure::FailureKind;
use serde::Serialize;

use super::choice::ExactOrRejected;
use super::compare::{Found, FoundFailure, is_expected, sorted_lines};
use super::text::{laid_out, on_one_line, quoted};
use super::{Comparison, Documents, Expectations, ExpectedFailure, ExpectedLine};

/// Longest text of a new failure.
const TEXT_BYTES_MAX: usize = 200;

/// The expectations from now on. With `all_lines`, all lines of the log are; else those that were expected and occur.
#[must_use]
pub fn updated(before: Expectations, found: &Found, all_lines: bool) -> Expectations {
    let failure = |found: &FoundFailure| {
        let known = before.failures.iter().find(|expected| is_expected(expected, found));
        known.cloned().unwrap_or_else(|| ExpectedFailure {
            position: found.position,
            kind: found.kind.into(),
            contains: telling(found).into_iter().collect(),
        })
    };
    let (documents, others) = apart_from(&before.exact_or_rejected, found);
    let failures = others.iter().map(failure).collect();
    let logs = match all_lines {
        true => found.logs.clone(),
        false => sorted_lines(&before.logs, &found.logs).0,
    };
    Expectations { documents: Some(documents), failures, logs, ..before }
}

/// What was found beside the documents that are exact or missing, and their events.
fn apart_from(choices: &[ExactOrRejected], found: &Found) -> (Documents, Vec<FoundFailure>) {
    let (mut documents, mut failures) = (found.documents.clone(), found.failures.clone());
    for one in choices {
        if let Some(collection) = documents.get_mut(&one.collection) {
            collection.remove(&one.key);
        }
        failures.retain(|failure| failure.position != one.position);
    }
    (documents, failures)
}

/// The part of a message that is worth expecting: the first line of what the projection itself has said. What the host
/// says of a trap or a limit has addresses and numbers that change with every build.
fn telling(found: &FoundFailure) -> Option<String> {
    let own = matches!(found.kind, FailureKind::Reject | FailureKind::Retry);
    let first = found.message.lines().next().filter(|line| own && !line.is_empty())?;
    Some(kennel_core::limits::cut(first, TEXT_BYTES_MAX).to_owned())
}

/// The text of the file.
#[must_use]
pub fn render(expectations: &Expectations) -> String {
    let Expectations { compare, config, documents, exact_or_rejected, failures, logs } = expectations;
    let mut parts = Vec::new();
    if *compare != Comparison::default() {
        parts.push(format!("  \"compare\": {}", json(compare)));
    }
    if !config.is_empty() {
        parts.push(format!("  \"config\": {}", laid_out(&json(config), 2, 12)));
    }
    if let Some(documents) = documents {
        parts.push(format!("  \"documents\": {}", render_documents(documents)));
    }
    if !exact_or_rejected.is_empty() {
        parts.push(format!("  \"exact_or_rejected\": {}", render_list(exact_or_rejected)));
    }
    if !failures.is_empty() {
        parts.push(format!("  \"failures\": {}", render_list(failures)));
    }
    if !logs.is_empty() {
        parts.push(format!("  \"logs\": {}", render_list::<ExpectedLine>(logs)));
    }
    if parts.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", parts.join(",\n")) }
}

fn render_documents(documents: &Documents) -> String {
    let document = |(key, text): (&String, &String)| {
        let key = quoted(key);
        let column = 6 + key.chars().count() + 2;
        format!("      {key}: {}", laid_out(text, 6, column))
    };
    let collection = |(name, documents): (&String, &BTreeMap<String, String>)| {
        let documents: Vec<String> = documents.iter().map(document).collect();
        format!("    {}: {{\n{}\n    }}", quoted(name), documents.join(",\n"))
    };
    let filled = documents.iter().filter(|(_, documents)| !documents.is_empty());
    let collections: Vec<String> = filled.map(collection).collect();
    if collections.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n  }}", collections.join(",\n")) }
}

fn render_list<T: Serialize>(entries: &[T]) -> String {
    let entries: Vec<String> = entries.iter().map(|one| format!("    {}", on_one_line(&json(one)))).collect();
    format!("[\n{}\n  ]", entries.join(",\n"))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
