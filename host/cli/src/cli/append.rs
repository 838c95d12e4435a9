//! `kennel append`: lines of JSON into the log.
//!
//! A file is read twice: first every line is checked, so that a malformed line stops the import before
//! anything is written. Standard input and pipes cannot be read twice; there the message says exactly
//! what has been imported. Running the same import again is safe, because known event ids are skipped.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use kennel_core::event::NewEvent;
use kennel_core::limits;
use kennel_core::port::{Appender, StoreError};

use super::{StoreArgs, output};
use crate::config::Config;
use crate::exit::ExitKind;
use crate::{jsonl, wire};

/// Events that are appended in one transaction, unless they are large.
const CHUNK: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  kennel append --from events.jsonl
  generate-events | kennel append --from - --store sqlite:shop.db

One event a line, with fields named like the columns of the log. \
Required:
  bounded_context, aggregate_type, aggregate_id, event_type   text
  event_id                                                    a UUID
  payload                                                     any JSON
Optional:
  aggregate_version                                           the next
  event_version                                               1
  created_at                                                  now (RFC 3339)
  metadata, trace_id, correlation_id, causation_id            none";

/// Appends events from lines of JSON to the log. Events whose id is known are skipped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Append {
    #[command(flatten)]
    store: StoreArgs,
    /// A file with one event a line, or `-` for standard input
    #[arg(long, value_name = "FILE|-")]
    from: PathBuf,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Outcome {
    lines: u64,
    written: u64,
    skipped: u64,
    head: u64,
}

impl Append {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let (input, lines) = self.input()?;
        let store = wire::open(&self.store.target(config)?).await?;
        let bar = output::progress("appending", lines);
        let mut import = Import { events: &*store, from: self.name(), outcome: Outcome::default() };
        import.run(input, &bar).await?;
        bar.finish_and_clear();
        let outcome = import.outcome;
        if self.json {
            output::json(&outcome)?;
        } else {
            let skipped = match outcome.skipped {
                0 => String::new(),
                skipped => format!("; {} were there already", output::thousands(skipped)),
            };
            output::line(format!(
                "appended {} events{skipped}; the log ends at position {}",
                output::thousands(outcome.written),
                outcome.head
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn name(&self) -> String {
        if self.from.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            self.from.display().to_string()
        }
    }

    /// The input, and the number of its lines if it is a file and has been checked.
    fn input(&self) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
        if self.from.as_os_str() == "-" {
            return Ok((Box::new(std::io::stdin()), None));
        }
        let cannot =
            |error: std::io::Error| ExitKind::Input.error(format!("cannot read {}: {error}", self.name()));
        let mut file = File::open(&self.from).map_err(cannot)?;
        let found = file.metadata().map_err(cannot)?;
        if found.is_dir() {
            return Err(cannot(ErrorKind::IsADirectory.into()));
        }
        // A pipe, such as <(zcat events.gz), would be empty the second time.
        if !found.is_file() {
            return Ok((Box::new(file), None));
        }
        let count = self.check(&file)?;
        file.rewind().map_err(cannot)?;
        Ok((Box::new(file), Some(count)))
    }

    /// Checks every line; returns their number.
    fn check(&self, file: &File) -> anyhow::Result<u64> {
        let bar = output::progress("checking", None);
        let mut count = 0;
        for (number, parsed) in jsonl::lines(file, jsonl::parse) {
            if let Err(reason) = parsed {
                return Err(malformed(&self.name(), number, &reason, 0));
            }
            count = number;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(count)
    }
}

/// An import under way.
struct Import<'a> {
    events: &'a dyn Appender,
    /// The name of the input.
    from: String,
    outcome: Outcome,
}

impl Import<'_> {
    async fn run(&mut self, input: Box<dyn Read>, bar: &ProgressBar) -> anyhow::Result<()> {
        let mut chunk = Chunk { first: 1, ..Chunk::default() };
        for (number, parsed) in jsonl::lines(input, jsonl::parse) {
            match parsed {
                Ok(event) => chunk.push(number, event),
                Err(reason) => {
                    self.write(&mut chunk, number - 1).await?;
                    return Err(malformed(&self.from, number, &reason, number - 1));
                }
            }
            if chunk.events.len() == CHUNK || chunk.bytes >= limits::BATCH_EVENT_BYTES_MAX {
                self.write(&mut chunk, number).await?;
            }
            self.outcome.lines = number;
            bar.inc(1);
        }
        self.write(&mut chunk, self.outcome.lines).await
    }

    /// Appends the events of a chunk, which ends with line number `last`.
    async fn write(&mut self, chunk: &mut Chunk, last: u64) -> anyhow::Result<()> {
        let first = chunk.first;
        let appended = self.events.append(&chunk.events).await.map_err(|error| {
            if let StoreError::InvalidEvent { index, message } = &error {
                let line = chunk.lines.get(*index).copied().unwrap_or(first);
                return malformed(&self.from, line, message, first - 1);
            }
            let outcome = match first {
                1 => "nothing was appended".to_owned(),
                _ => format!("{}, {first} to {last} are not", imported(first - 1).to_lowercase()),
            };
            anyhow::Error::new(error).context(format!("{}: {outcome}", self.from))
        })?;
        self.outcome.written += appended.written;
        self.outcome.skipped += appended.skipped;
        self.outcome.head = appended.head.get();
        *chunk = Chunk { first: last + 1, ..Chunk::default() };
        Ok(())
    }
}

/// Events that are appended in one transaction.
#[derive(Default)]
struct Chunk {
    events: Vec<NewEvent>,
    /// The number of each event's line.
    lines: Vec<u64>,
    /// The number of the first line, which may be empty.
    first: u64,
    bytes: usize,
}

impl Chunk {
    fn push(&mut self, line: u64, event: Option<NewEvent>) {
        let Some(event) = event else { return };
        self.bytes += event.bytes();
        self.lines.push(line);
        self.events.push(event);
    }
}

/// The error for a line that is not an event, when the lines up to `last` have been imported.
fn malformed(from: &str, number: u64, reason: &str, last: u64) -> anyhow::Error {
    let stop = if reason.ends_with('?') { "" } else { "." };
    let advice = match last {
        0 => "Nothing was appended: repair the line and run it again".to_owned(),
        last => format!(
            "{}: repair the line and run it again; events that are there already will be skipped",
            imported(last)
        ),
    };
    ExitKind::Input.error(format!("{from}, line {number}: {reason}{stop} {advice}"))
}

fn imported(last: u64) -> String {
    if last == 1 { "Line 1 is in the log".to_owned() } else { format!("Lines 1 to {last} are in the log") }
}
