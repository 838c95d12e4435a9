//! `kennel append`: lines of JSON into the log.
//!
//! A file is read twice: first every line is checked, so that a malformed line stops the import before
//! anything is written. Standard input cannot be read twice; there the message says exactly what has
//! been imported. Running the same import again is safe, because known event ids are skipped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use kennel_core::event::NewEvent;
use kennel_core::port::EventSource;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::exit::Kind;
use crate::{jsonl, wire};

/// Events that are appended in one transaction.
const CHUNK: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  kennel append --from events.jsonl
  generate-events | kennel append --from - --store sqlite:shop.db

One event a line, with fields named like the columns of the log:
  required  bounded_context, aggregate_type, aggregate_id, event_id (UUID), event_type, payload (any JSON)
  optional  aggregate_version (default: the next), event_version (1), metadata, trace_id, correlation_id,
            causation_id, created_at (RFC 3339; default: now)";

/// Appends events from lines of JSON to the log.
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
        let lines = if self.from.as_os_str() == "-" { None } else { Some(self.check()?) };
        let store = wire::open(self.store.url(config)).await?;
        let bar = output::progress("appending", lines);
        let input: Box<dyn BufRead> = match lines {
            Some(_) => Box::new(self.open()?),
            None => Box::new(BufReader::new(std::io::stdin())),
        };
        let outcome = import(&store, input, &bar).await?;
        bar.finish_and_clear();
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

    fn open(&self) -> anyhow::Result<BufReader<File>> {
        let file = File::open(&self.from)
            .map_err(|error| Kind::Input.error(format!("cannot read {}: {error}", self.from.display())))?;
        Ok(BufReader::with_capacity(1 << 20, file))
    }

    /// Checks every line; returns their number.
    fn check(&self) -> anyhow::Result<u64> {
        let bar = output::progress("checking", None);
        let mut count = 0;
        for (number, line) in self.open()?.lines().enumerate() {
            let at = || format!("{}, line {}", self.from.display(), number + 1);
            let line = line.map_err(|error| Kind::Input.error(format!("{}: {error}", at())))?;
            if !line.trim().is_empty() {
                jsonl::parse(&line).map_err(|reason| {
                    Kind::Input.error(format!(
                        "{}: {reason}. Nothing was appended: mend the line and run it again",
                        at()
                    ))
                })?;
            }
            count += 1;
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(count)
    }
}

async fn import(
    events: &dyn EventSource,
    input: Box<dyn BufRead>,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut chunk: Vec<NewEvent> = Vec::with_capacity(CHUNK);
    let mut first_of_chunk = 1;
    for line in input.lines() {
        outcome.lines += 1;
        let number = outcome.lines;
        let line = line.map_err(|error| error.to_string());
        let parsed = line
            .and_then(|line| if line.trim().is_empty() { Ok(None) } else { jsonl::parse(&line).map(Some) });
        match parsed {
            Ok(event) => chunk.extend(event),
            Err(reason) => {
                write(events, &mut chunk, &mut outcome, first_of_chunk, number - 1).await?;
                let done = imported(number - 1);
                return Err(Kind::Input.error(format!(
                    "line {number}: {reason}. {done} Mend the line and run it again: what is there already will be skipped"
                )));
            }
        }
        if chunk.len() == CHUNK {
            write(events, &mut chunk, &mut outcome, first_of_chunk, number).await?;
            first_of_chunk = number + 1;
        }
        bar.inc(1);
    }
    let last = outcome.lines;
    write(events, &mut chunk, &mut outcome, first_of_chunk, last).await?;
    Ok(outcome)
}

async fn write(
    events: &dyn EventSource,
    chunk: &mut Vec<NewEvent>,
    outcome: &mut Outcome,
    first: u64,
    last: u64,
) -> anyhow::Result<()> {
    let appended = events
        .append(chunk)
        .await
        .with_context(|| format!("lines {first} to {last} were not appended. {}", imported(first - 1)))?;
    outcome.written += appended.written;
    outcome.skipped += appended.skipped;
    outcome.head = appended.head.get();
    chunk.clear();
    Ok(())
}

fn imported(last: u64) -> String {
    match last {
        0 => "Nothing was appended.".to_owned(),
        1 => "Line 1 is in the log.".to_owned(),
        last => format!("Lines 1 to {last} are in the log."),
    }
}
