//! The outcome of a test, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use kennel::rehearsal::Rehearsed;
use kennel_core::digest::Digest;
use kennel_core::text::{escaped, mebibytes};
use serde::Serialize;

use super::Files;
use super::times::{self, Times};
use crate::cli::output;
use crate::expectations::compare::{
    Differences, DocumentDifference, FailureDifference, FieldDifference, Form, Found, FoundFailure,
};
use crate::expectations::text::{Json, on_one_line};
use crate::expectations::{Expectations, ExpectedLine};

/// Most documents, failures and lines that are shown of each kind, and most fields of a document.
const SHOWN_MAX: usize = 20;
/// Most characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 200;

/// The outcome of a test.
#[derive(Debug)]
pub(super) struct Report {
    files: Files,
    digest: Digest,
    rehearsed: Rehearsed,
    found: Found,
    verdict: Verdict,
}

/// What became of what was found.
#[derive(Debug)]
enum Verdict {
    /// Nothing says what was expected.
    Nothing,
    Compared(Differences, Expectations),
    /// It is expected from now on.
    Updated(Expectations),
}

/// The outcome for programs.
#[derive(Serialize)]
struct Outcome<'a> {
    passed: bool,
    component: Component<'a>,
    events: Events,
    times: Vec<Times>,
    first: First,
    memory_bytes_peak: usize,
    #[serde(flatten)]
    found: &'a Found,
    /// Lines of the log that were not kept.
    logs_dropped: u64,
    /// The file that it was compared with, or that was written.
    expectations: Option<&'a Path>,
    updated: bool,
    differences: Option<&'a Differences>,
}

#[derive(Serialize)]
struct Component<'a> {
    file: &'a Path,
    digest: String,
    name: &'a str,
    version: &'a str,
}

#[derive(Clone, Copy, Serialize)]
struct Events {
    total: u64,
    handled: u64,
    passed_over: u64,
    failed: u64,
}

/// How long the first call took, and the instance before it.
#[derive(Clone, Copy, Serialize)]
struct First {
    #[serde(rename = "instance_microseconds", serialize_with = "times::microseconds")]
    instance: Duration,
    #[serde(rename = "event_microseconds", serialize_with = "times::microseconds")]
    event: Duration,
}

impl Report {
    pub(super) fn new(files: Files, digest: Digest, rehearsed: Rehearsed, found: Found) -> Self {
        Self { files, digest, rehearsed, found, verdict: Verdict::Nothing }
    }

    pub(super) fn compares(&mut self, differences: Differences, expected: Expectations) {
        self.verdict = Verdict::Compared(differences, expected);
    }

    pub(super) fn updates(&mut self, expected: Expectations) {
        self.verdict = Verdict::Updated(expected);
    }

    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Where the expectations are, or would be.
    pub(super) fn expect(&self) -> &Path {
        &self.files.expect
    }

    /// The name of the projection.
    pub(super) fn name(&self) -> &str {
        &self.rehearsed.descriptor.name
    }

    /// What was expected, and what differs from it.
    pub(super) fn compared(&self) -> Option<(&Differences, &Expectations)> {
        match &self.verdict {
            Verdict::Compared(differences, expected) => Some((differences, expected)),
            Verdict::Nothing | Verdict::Updated(_) => None,
        }
    }

    /// Whether everything is as expected. Where nothing is said of it, no event may fail.
    pub(super) fn has_passed(&self) -> bool {
        match &self.verdict {
            Verdict::Nothing => self.found.failures.is_empty(),
            Verdict::Compared(differences, _) => differences.is_empty(),
            Verdict::Updated(_) => true,
        }
    }

    /// How long all calls took together.
    pub(super) fn took(&self) -> Duration {
        self.rehearsed.calls.iter().map(|(_, call)| call.took).sum()
    }

    fn events(&self) -> Events {
        let (handled, passed_over) = self.rehearsed.handled_and_passed_over();
        let failed = self.found.failures.len() as u64;
        Events { total: self.rehearsed.events, handled, passed_over, failed }
    }

    fn first(&self) -> First {
        let event = self.rehearsed.calls.iter().next().map(|(_, call)| call.took);
        let instance = self.rehearsed.calls.first_instance();
        First { instance: instance.unwrap_or_default(), event: event.unwrap_or_default() }
    }

    fn memory_peak(&self) -> usize {
        self.rehearsed.calls.iter().map(|(_, call)| call.memory_bytes).max().unwrap_or_default()
    }

    pub(super) fn print_json(&self) -> anyhow::Result<()> {
        let descriptor = &self.rehearsed.descriptor;
        output::json(&Outcome {
            passed: self.has_passed(),
            component: Component {
                file: &self.files.component,
                digest: self.digest.to_string(),
                name: &descriptor.name,
                version: &descriptor.version,
            },
            events: self.events(),
            times: times::of(&self.rehearsed.calls),
            first: self.first(),
            memory_bytes_peak: self.memory_peak(),
            found: &self.found,
            logs_dropped: self.rehearsed.calls.lines_dropped(),
            expectations: (!matches!(self.verdict, Verdict::Nothing)).then_some(self.expect()),
            updated: matches!(self.verdict, Verdict::Updated(_)),
            differences: self.compared().map(|(differences, _)| differences),
        })
    }

    pub(super) fn print(&self, logs: bool) -> anyhow::Result<()> {
        self.print_calls()?;
        if logs {
            output::line("\nlog")?;
            self.found.logs.iter().try_for_each(|line| output::line(format!("  {}", render_line(line))))?;
            let dropped = self.rehearsed.calls.lines_dropped();
            if dropped > 0 {
                output::line(format!("  {} more lines were not kept", output::thousands(dropped)))?;
            }
        }
        output::line("")?;
        self.print_verdict()
    }

    /// Prints how it compares with the expectations.
    pub(super) fn print_verdict(&self) -> anyhow::Result<()> {
        let file = escaped(&self.expect().display().to_string()).into_owned();
        match &self.verdict {
            Verdict::Nothing => {
                self.print_found()?;
                output::note(format!(
                    "there are no expectations: --update writes what was found to {file}, and --expect names another file"
                ));
                Ok(())
            }
            Verdict::Updated(expected) => {
                output::line(format!("{file} expects it from now on: {}", counted(expected)))
            }
            Verdict::Compared(differences, expected) if differences.is_empty() => {
                output::line(format!("as expected in {file}: {}", counted(expected)))
            }
            Verdict::Compared(differences, _) => {
                output::line(format!("not as expected in {file}: {}", summary(differences)))?;
                print_some(&differences.documents, render_document)?;
                print_some(&differences.failures, render_failure)?;
                print_some(&differences.logs, |line| format!("log: there is no line {}", render_line(line)))
            }
        }
    }

    fn print_calls(&self) -> anyhow::Result<()> {
        let descriptor = &self.rehearsed.descriptor;
        let Events { total, handled, passed_over, failed } = self.events();
        let [total, handled, passed_over, failed] =
            [total, handled, passed_over, failed].map(output::thousands);
        output::line(format!(
            "{} {}: {total} events, {handled} handled, {passed_over} passed over, {failed} failed",
            escaped(&descriptor.name),
            escaped(&descriptor.version)
        ))?;
        let mut times = times::of(&self.rehearsed.calls);
        if times.is_empty() {
            return Ok(());
        }
        let more = times.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            times.sort_by_key(|one| std::cmp::Reverse(one.calls));
            times.truncate(SHOWN_MAX);
        }
        output::line("")?;
        let rows = times.iter().map(|one| {
            let memory = mebibytes(one.memory_bytes_max as u64);
            let [p50, p99, max] = [one.p50, one.p99, one.max].map(times::shown);
            let at = one.slowest_position.to_string();
            vec![one.event_type.clone(), output::thousands(one.calls as u64), p50, p99, max, at, memory]
        });
        output::table(&["EVENT TYPE", "EVENTS", "P50", "P99", "MAX", "AT", "MEMORY"], rows.collect())?;
        if more > 0 {
            output::line(format!("and {more} other types"))?;
        }
        let first = self.first();
        output::line(format!(
            "the first event took {}, its instance {}; an instance had at most {} of memory",
            times::shown(first.event),
            times::shown(first.instance),
            mebibytes(self.memory_peak() as u64)
        ))
    }

    /// Everything that a test could expect.
    fn print_found(&self) -> anyhow::Result<()> {
        let documents: Vec<_> = self
            .found
            .documents
            .iter()
            .flat_map(|(name, documents)| documents.iter().map(move |(key, text)| (name, key, text)))
            .collect();
        print_some(&documents, |(name, key, text)| format!("{} {}", path_of(name, key), value(text)))?;
        print_some(&self.found.failures, |failure| format!("failed: {}", render_found(failure)))
    }
}

/// Prints some entries, and how many more there are.
fn print_some<T>(entries: &[T], render: impl Fn(&T) -> String) -> anyhow::Result<()> {
    entries.iter().take(SHOWN_MAX).try_for_each(|entry| output::line(render(entry)))?;
    match entries.len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => output::line(format!("and {} more; --json has them all", output::thousands(more as u64))),
    }
}

/// How much is expected.
fn counted(expected: &Expectations) -> String {
    let documents = expected.documents.as_ref();
    let documents = documents.map(|documents| documents.values().map(std::collections::BTreeMap::len).sum());
    let mut parts = match documents {
        Some(documents) => vec![plural(documents, "document")],
        None => vec!["documents are not compared".to_owned()],
    };
    parts.push(plural(expected.failures.len(), "failure"));
    if !expected.logs.is_empty() {
        parts.push(format!("{} of the log", plural(expected.logs.len(), "line")));
    }
    parts.join(", ")
}

/// How much differs.
pub(super) fn summary(differences: &Differences) -> String {
    let Differences { documents, failures, logs } = differences;
    let parts = [
        (documents.len(), plural(documents.len(), "document")),
        (failures.len(), plural(failures.len(), "failure")),
        (logs.len(), format!("{} of the log", plural(logs.len(), "line"))),
    ];
    parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect::<Vec<_>>().join(", ")
}

fn plural(count: usize, what: &str) -> String {
    format!("{} {what}{}", output::thousands(count as u64), if count == 1 { "" } else { "s" })
}

fn path_of(collection: &str, key: &str) -> String {
    format!("{}/{}", escaped(collection), escaped(key))
}

/// A value, as much of it as fits.
fn value(text: &str) -> String {
    let line = on_one_line(text);
    let mut shown: String = line.chars().take(VALUE_CHARS_MAX).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    escaped(&shown).into_owned()
}

/// A document that differs, with its fields below it.
pub(super) fn render_document(difference: &DocumentDifference) -> String {
    let DocumentDifference { collection, key, expected, found, fields } = difference;
    let path = path_of(collection, key);
    match (expected, found) {
        (Some(expected), None) => format!("{path} is missing: {}", value(&expected.0)),
        (None, Some(found)) => format!("{path} is not expected: {}", value(&found.0)),
        _ => {
            let mut text = format!("{path} differs");
            for field in fields.iter().take(SHOWN_MAX) {
                let _ = write!(text, "\n    {}", render_field(field));
            }
            if fields.len() > SHOWN_MAX {
                let _ = write!(text, "\n    and {} more", fields.len() - SHOWN_MAX);
            }
            text
        }
    }
}

fn render_field(difference: &FieldDifference) -> String {
    let FieldDifference { pointer, expected, found, form } = difference;
    let pointer = match pointer.is_empty() {
        true => "the whole".into(),
        false => escaped(pointer),
    };
    let shown =
        |json: &Option<Json>| json.as_ref().map_or_else(|| "nothing".to_owned(), |json| value(&json.0));
    let (expected, found) = (shown(expected), shown(found));
    let form = match form {
        Some(Form::Order) => ", with fields in another order",
        Some(Form::Spelling) => ", written in another way",
        None => "",
    };
    format!("{pointer}: expected {expected}, found {found}{form}")
}

/// A failure that differs, with its whole message.
pub(super) fn render_failure(difference: &FailureDifference) -> String {
    let FailureDifference { position, expected, found, lacks } = difference;
    match (expected, found) {
        (Some(expected), None) => {
            format!("the event at position {position} does not fail; expected {}", expected.kind)
        }
        (Some(expected), Some(found)) if expected.kind.contains(found.kind) => {
            let lacks: Vec<String> = lacks.iter().map(|text| format!("{text:?}")).collect();
            format!("without {}: {}", lacks.join(" and "), render_found(found))
        }
        (Some(expected), Some(found)) => format!("expected {}: {}", expected.kind, render_found(found)),
        (None, Some(found)) => format!("not expected: {}", render_found(found)),
        (None, None) => String::new(),
    }
}

fn render_found(failure: &FoundFailure) -> String {
    let FoundFailure { position, event_type, aggregate_id, kind, message } = failure;
    let (event_type, aggregate_id) = (escaped(event_type), escaped(aggregate_id));
    format!("position {position}, {event_type} of {aggregate_id}: {kind}: {message}")
}

/// A line of the log.
pub(super) fn render_line(line: &ExpectedLine) -> String {
    let position = line.position.map(|position| format!("{position} ")).unwrap_or_default();
    format!("{position}{} {}", line.level, line.message)
}
