//! `kennel test`: runs a component on given events, without a store, and compares what it has written with the
//! expectations.

mod junit;
mod project;
mod report;
mod times;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use kennel::rehearsal::{Rehearsal, RehearsalError, Rehearsed};
use kennel_core::position::Position;
use kennel_core::projection::Settings;

use super::control::rendered;
use super::{file, output, source, values};
use crate::exit::ExitKind;
use crate::expectations::compare::{Differences, Found, FoundFailure};
use crate::expectations::update::{render, updated};
use crate::expectations::{Documents, Expectations, ExpectedLine, text};
use crate::jsonl::{self, Sample};
use crate::wire;
use kennel::control::ControlError;
use report::Report;

/// The log. It leaves out the lines of guests and the failures of events: they are part of the output.
pub(super) const LOG: &str = "warn,kennel::guest=off,kennel_engine=error";
/// The events of a project, and what they must come to.
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const EXPECTED: &str = "expected.json";
/// Bytes of events that are held in memory.
const EVENTS_BYTES_MAX: usize = 1 << 30;
/// Largest file of expectations.
const EXPECTATIONS_BYTES_MAX: u64 = 1 << 30;

const EXAMPLES: &str = "\
Examples:
  kennel test
  kennel test --update
  kennel test order-summary.wasm --events events.jsonl --expect expected.json
  kennel test --set currency=EUR --logs
  kennel test --json --junit report.xml

In a project folder, the component is NAME.wasm as `kennel build` leaves it, the events are events.jsonl, and what they \
must come to is expected.json.

Events are lines of JSON with the fields of `kennel append`. They have the positions 1, 2, 3 and so on, or their \
`global_position` if each has one. Here `payload_base64` may take the place of `payload`, for bytes that are no JSON. An event \
without `created_at` is of 1970-01-01T00:00:00Z.

The expectations, each part of which may be left out:
  {\"config\": {\"greeting\": \"hello\"},
   \"documents\": {\"orders\": {\"order-1\": {\"customer\": \"ada\", \"items\": 2}}},
   \"failures\": [{\"position\": 3, \"kind\": \"reject\", \"contains\": [\"order-9\"]}],
   \"logs\": [{\"position\": 4, \"level\": \"info\", \"message\": \"hello\"}]}

Documents are compared as text, white space apart: the order of keys and the digits of numbers count. Without `documents` \
they are not compared. Events that are not among the `failures` must not fail. The lines of `logs` must occur in this order, \
among others. Kinds are retry, reject, trap, invalid-call, time-limit, memory-limit and stack-limit.

Exit code 8 means that something differs, 4 that the component, the events or the expectations cannot be used.";

/// Runs a component on given events, without a store, and compares what it writes with the expectations.
///
/// It runs as a host runs it. An event that fails is undone and noted, and the next one goes on: it is not tried again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Test {
    /// The component, or the project folder with it [default: this folder]
    #[arg(value_name = "COMPONENT|FOLDER")]
    component: Option<PathBuf>,
    /// A file with one event a line, or `-` for standard input [default: events.jsonl in the project folder]
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// What the events must come to [default: expected.json beside the events, if it is there]
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write what was found into the file, to be expected from now on; with --logs the lines of the log, too
    #[arg(long)]
    update: bool,
    /// A setting that the guest can read, instead of that of `config`; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    settings: Vec<(String, String)>,
    /// Most events handled and committed together, by one instance [default: 1000]
    #[arg(long, value_name = "EVENTS", value_parser = values::batch)]
    batch: Option<usize>,
    /// Print the lines of the log
    #[arg(long)]
    logs: bool,
    /// Write the outcome into a file that build servers read
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// The files that a test is about.
#[derive(Debug)]
struct Files {
    component: PathBuf,
    events: PathBuf,
    /// Where the expectations are, or would be.
    expect: PathBuf,
}

impl Test {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let outcome = self.test().await;
        // Written first: printing may end this process, if its reader has gone away.
        let written = self.write_junit(&outcome);
        let report = outcome?;
        if self.json {
            report.print_json()?;
        } else {
            report.print(self.logs)?;
        }
        written?;
        Ok(if report.has_passed() { ExitCode::SUCCESS } else { ExitCode::from(ExitKind::Halted.code()) })
    }

    /// The test of the component of a project, with the events and the expectations in its folder.
    pub(super) fn of_project(folder: &Path, component: &Path, settings: Vec<(String, String)>) -> Self {
        Self {
            component: Some(component.to_owned()),
            events: Some(plain(folder.join(EVENTS))),
            expect: None,
            update: false,
            settings,
            batch: None,
            logs: false,
            junit: None,
            json: false,
        }
    }

    /// Runs the test and prints how its outcome compares with the expectations; whether it fits them.
    pub(super) async fn passes(&self) -> anyhow::Result<bool> {
        let report = self.test().await?;
        report.print_verdict()?;
        Ok(report.has_passed())
    }

    /// The settings that the guest has in this test.
    pub(super) fn guest_config(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let expected = self.expectations(&self.files()?.expect)?;
        Ok(self.config(expected.as_ref()))
    }

    /// The settings of the expectations, but for those that were given.
    fn config(&self, expected: Option<&Expectations>) -> BTreeMap<String, String> {
        let mut config = expected.map(|expected| expected.config.clone()).unwrap_or_default();
        config.extend(self.settings.iter().cloned());
        config
    }

    fn write_junit(&self, outcome: &anyhow::Result<Report>) -> anyhow::Result<()> {
        let Some(junit) = &self.junit else { return Ok(()) };
        let text = match outcome {
            Ok(report) => junit::render(report),
            Err(error) => junit::render_error(&output::chain(error)),
        };
        file::replace(junit, text.as_bytes()).map_err(|error| cannot("write", junit, &error))
    }

    async fn test(&self) -> anyhow::Result<Report> {
        let files = self.files()?;
        let expected = self.expectations(&files.expect)?;
        let component = source::read_component(&files.component)?;
        let rehearsal = read_events(&files.events)?;
        let config = self.config(expected.as_ref());
        let mut settings = Settings { config: config.clone(), ..Settings::default() };
        settings.batch = self.batch.unwrap_or(settings.batch);
        let bar = output::progress("testing", Some(rehearsal.events()));
        let digest = kennel_core::digest::Digest::of(&component);
        let ran = rehearsal.run(component, wire::runtime()?, settings, |calls| bar.set_position(calls)).await;
        bar.finish_and_clear();
        let rehearsed = ran.map_err(|error| unsupported(error, &files.component))?;
        let found = found(&rehearsed);
        let mut report = Report::new(files, digest, rehearsed, found);
        if self.update {
            let before = Expectations { config, ..expected.unwrap_or_default() };
            report.updates(self.update(before, &report)?);
        } else if let Some(expected) = expected {
            report.compares(Differences::between(&expected, report.found()), expected);
        }
        Ok(report)
    }

    fn files(&self) -> anyhow::Result<Files> {
        let given = self.component.clone().unwrap_or_else(|| PathBuf::from("."));
        let is_folder = given.is_dir();
        let component = if is_folder { project::component(&given)? } else { given.clone() };
        let folder = if is_folder { given } else { PathBuf::from(".") };
        let events = self.events.clone().unwrap_or_else(|| plain(folder.join(EVENTS)));
        let beside = events.parent().unwrap_or(Path::new("")).join(EXPECTED);
        let expect = self.expect.clone().unwrap_or(beside);
        Ok(Files { component: plain(component), events, expect })
    }

    /// The expectations; none if there is no file, and none has to be there.
    fn expectations(&self, file: &Path) -> anyhow::Result<Option<Expectations>> {
        if self.update && fs::metadata(file).is_ok_and(|present| !present.is_file() && !present.is_dir()) {
            // A pipe or a terminal, to which it is only written.
            return Ok(None);
        }
        let bytes = match read(file) {
            Ok(bytes) if self.update && bytes.trim_ascii().is_empty() => return Ok(None),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound && (self.update || self.expect.is_none()) => {
                return Ok(None);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = file.display();
                return Err(ExitKind::Input.error(format!(
                    "cannot read {file}: {error}; --update writes what the events come to there"
                )));
            }
            Err(error) => return Err(cannot("read", file, &error)),
        };
        let parsed = Expectations::parse(&bytes);
        Ok(Some(parsed.map_err(|reason| ExitKind::Input.error(format!("{}: {reason}", file.display())))?))
    }

    /// Writes what was found; returns the expectations from now on.
    fn update(&self, before: Expectations, report: &Report) -> anyhow::Result<Expectations> {
        let after = updated(before, report.found(), self.logs);
        let file = report.expect();
        file::replace(file, render(&after).as_bytes()).map_err(|error| cannot("write", file, &error))?;
        Ok(after)
    }
}

/// The path without `./` in front.
fn plain(path: PathBuf) -> PathBuf {
    path.strip_prefix(".").map(Path::to_owned).unwrap_or(path)
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(EXPECTATIONS_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > EXPECTATIONS_BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {} MiB", EXPECTATIONS_BYTES_MAX >> 20)));
    }
    Ok(bytes)
}

fn cannot(what: &str, file: &Path, error: &io::Error) -> anyhow::Error {
    ExitKind::Input.error(format!("cannot {what} {}: {error}", file.display()))
}

/// The error of a rehearsal, with the file of the component.
fn unsupported(error: RehearsalError, file: &Path) -> anyhow::Error {
    match error {
        RehearsalError::Component(error) => rendered(ControlError::Unsupported(error), &file.display()),
        RehearsalError::Deploy(error) => rendered(error, &file.display()),
        other => other.into(),
    }
}

/// The log of a file with one event a line.
fn read_events(file: &Path) -> anyhow::Result<Rehearsal> {
    let is_input = file.as_os_str() == "-";
    let name = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let input: Box<dyn Read> = if is_input {
        Box::new(io::stdin())
    } else {
        let opened = File::open(file).and_then(|opened| match fs::metadata(file)?.is_dir() {
            true => Err(ErrorKind::IsADirectory.into()),
            false => Ok(opened),
        });
        Box::new(opened.map_err(|error| {
            let hint = if error.kind() == ErrorKind::NotFound { "; --events FILE names another" } else { "" };
            ExitKind::Input.error(format!("cannot read {name}: {error}{hint}"))
        })?)
    };
    let mut log = Log::default();
    for (number, parsed) in jsonl::lines(input, jsonl::parse_sample) {
        let taken = parsed.and_then(|sample| sample.map_or(Ok(()), |sample| log.take(sample)));
        taken.map_err(|reason| {
            let stop = if reason.ends_with('?') { "" } else { "." };
            ExitKind::Input.error(format!("{name}, line {number}: {reason}{stop} Nothing was run"))
        })?;
    }
    Ok(log.rehearsal)
}

/// The events so far.
#[derive(Default)]
struct Log {
    rehearsal: Rehearsal,
    /// Whether they have positions of their own; not known before the first.
    positioned: Option<bool>,
    bytes: usize,
}

impl Log {
    fn take(&mut self, sample: Sample) -> Result<(), String> {
        let Sample { event, position } = sample;
        let has_position = position.is_some();
        if *self.positioned.get_or_insert(has_position) != has_position {
            let (here, before) = if has_position { ("a", "none") } else { ("no", "one") };
            return Err(format!(
                "it has {here} `global_position`, and the lines before it have {before}: give one to each event or to none"
            ));
        }
        if position.is_some_and(|position| position == 0 || i64::try_from(position).is_err()) {
            return Err(format!("`global_position` takes a whole number from 1 to {}", i64::MAX));
        }
        self.bytes += event.bytes();
        if self.bytes > EVENTS_BYTES_MAX {
            return Err(format!(
                "the events up to here have more than {} MiB together, and a test has them all in memory; use fewer, or a store: \
                 `kennel append` and `kennel deploy`",
                EVENTS_BYTES_MAX >> 20
            ));
        }
        self.rehearsal.append(event, position.map(Position::new))
    }
}

/// What a test can expect, of everything that has happened.
fn found(rehearsed: &Rehearsed) -> Found {
    let documents: Documents = rehearsed
        .documents
        .iter()
        .map(|(name, documents)| {
            let compact = documents.iter().map(|(key, document)| (key.clone(), text::compact(document)));
            (name.clone(), compact.collect())
        })
        .collect();
    let failures = rehearsed.failures.iter().map(|failure| FoundFailure {
        position: failure.position.get(),
        event_type: failure.event_type.clone(),
        aggregate_id: failure.aggregate_id.clone(),
        kind: failure.kind,
        message: failure.message.clone(),
    });
    let lines = rehearsed.calls.iter().flat_map(|(position, call)| {
        call.lines.iter().map(move |line| ExpectedLine {
            position: Some(position.get()),
            level: line.level,
            message: line.message.clone(),
        })
    });
    Found { documents, failures: failures.collect(), logs: lines.collect() }
}
