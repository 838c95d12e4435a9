//! `kennel status`: how the projections are doing.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use kennel_core::failure::EventFailure;
use kennel_core::port::{DeadLetter, EventSource as _, ProjectionProgress, ReadModel as _, Registry as _};
use kennel_core::position::Position;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::wire;

/// Dead letters that are listed for each projection.
const DEAD_LETTERS_MAX: usize = 100;

/// Tells how the projections are doing: deployment, position, lag, state and the last error.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel status\n  kennel status --json | jq '.projections[] | select(.state != \"running\")'"
)]
pub(super) struct Status {
    #[command(flatten)]
    store: StoreArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    /// The highest position in the log.
    head: Position,
    /// Up to here the log is complete.
    horizon: Position,
    /// Writers that hold a transaction open below the head: events above the horizon wait for them.
    writers: Vec<Writer>,
    projections: Vec<Projection>,
}

#[derive(Serialize)]
struct Writer {
    pid: i32,
    application: String,
    open_seconds: u64,
}

#[derive(Serialize)]
struct Projection {
    name: String,
    replica_set: String,
    deployment: u32,
    digest: String,
    version: String,
    position: Position,
    /// Positions between the checkpoint and the head of the log.
    lag: u64,
    state: &'static str,
    on_failure: &'static str,
    last_error: Option<Failure>,
    dead_letter_count: u64,
    /// The first of them, by position.
    dead_letters: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    position: Position,
    event_id: String,
    event_type: String,
    aggregate_id: String,
    digest: String,
    kind: &'static str,
    attempts: u32,
    message: String,
}

impl Status {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let store = wire::open_existing(&self.store.target(config)?).await?;
        let horizon = store.horizon().await?;
        let progress = store.progress().await?;
        let mut projections = Vec::with_capacity(progress.len());
        for progress in progress {
            let letters = match progress.dead_letters {
                0 => Vec::new(),
                _ => store.dead_letters(progress.deployment.id, DEAD_LETTERS_MAX).await?,
            };
            projections.push(Projection::new(progress, letters, horizon.head));
        }
        let writers = horizon.blockers.into_iter().map(|blocker| Writer {
            pid: blocker.pid,
            application: blocker.application,
            open_seconds: blocker.open_seconds,
        });
        let report =
            Report { head: horizon.head, horizon: horizon.position, writers: writers.collect(), projections };
        if self.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Projection {
    fn new(progress: ProjectionProgress, dead_letters: Vec<DeadLetter>, head: Position) -> Self {
        let position = progress.position();
        let deployment = progress.deployment;
        Self {
            name: deployment.projection.to_string(),
            replica_set: deployment.replica_set.to_string(),
            deployment: deployment.number,
            digest: deployment.digest.to_string(),
            version: deployment.descriptor.version,
            position,
            lag: head.distance_from(position),
            state: progress.state.as_str(),
            on_failure: deployment.settings.on_failure.as_str(),
            last_error: progress.last_failure.map(Failure::new),
            dead_letter_count: progress.dead_letters,
            dead_letters: dead_letters.into_iter().map(|letter| Failure::new(letter.failure)).collect(),
        }
    }
}

impl Failure {
    fn new(failure: EventFailure) -> Self {
        Self {
            position: failure.position,
            event_id: failure.event_id.to_string(),
            event_type: failure.event_type,
            aggregate_id: failure.aggregate_id,
            digest: failure.digest.to_string(),
            kind: failure.kind.as_str(),
            attempts: failure.attempts,
            message: failure.message,
        }
    }
}

impl Failure {
    fn print(&self, projection: &str, what: &str) -> anyhow::Result<()> {
        output::line(format!(
            "\n{projection}: {what} at position {}, event {} ({} of {}), component {}, attempt {}:\n  {}: {}",
            self.position,
            self.event_id,
            self.event_type,
            self.aggregate_id,
            &self.digest[..12],
            self.attempts,
            self.kind,
            self.message.replace('\n', "\n  ")
        ))
    }
}

impl Report {
    fn print(&self) -> anyhow::Result<()> {
        output::line(format!("log: head {}, complete up to {}", self.head, self.horizon))?;
        for writer in &self.writers {
            output::line(format!(
                "  events above {} wait for a writer: pid {} ({}), its transaction is open for {} s",
                self.horizon, writer.pid, writer.application, writer.open_seconds
            ))?;
        }
        if self.projections.is_empty() {
            return output::line("no projections yet: `kennel deploy NAME FILE.wasm` adds one");
        }
        let rows = self.projections.iter().map(|projection| {
            vec![
                projection.name.clone(),
                projection.deployment.to_string(),
                projection.digest[..12].to_owned(),
                projection.position.to_string(),
                projection.lag.to_string(),
                projection.state.to_owned(),
                projection.dead_letter_count.to_string(),
            ]
        });
        let header = ["PROJECTION", "DEPLOYMENT", "COMPONENT", "POSITION", "LAG", "STATE", "DEAD LETTERS"];
        output::table(&header, rows.collect())?;
        for projection in &self.projections {
            for letter in &projection.dead_letters {
                letter.print(&projection.name, "dead letter")?;
            }
            let unlisted = projection.dead_letter_count - projection.dead_letters.len() as u64;
            if unlisted > 0 {
                output::line(format!("\n{}: {unlisted} more dead letters", projection.name))?;
            }
            let listed = |error: &&Failure| {
                projection.dead_letters.iter().any(|letter| letter.position == error.position)
            };
            if let Some(error) = projection.last_error.as_ref().filter(|error| !listed(error)) {
                error.print(&projection.name, "last error")?;
            }
        }
        Ok(())
    }
}
