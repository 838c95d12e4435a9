//! `kennel status` as text: what matters about every projection on one screen, failures in full below.

use kennel_core::lifecycle::Promotion;
use kennel_core::position::Position;
use kennel_core::text::escaped;

use super::output;
use crate::cli::follow::left;
use crate::cli::replica_set::shown as shown_range;
use crate::control::partitions::Partition;
use crate::control::status::{FailureView, ProjectionStatus, StatusView, WriterView};

/// Partitions that are listed.
const PARTITIONS_MAX: usize = 20;

impl FailureView {
    fn print(&self, projection: &str, what: &str) -> anyhow::Result<()> {
        output::line(format!(
            "\n{projection}: {what} at position {}, event {} ({} of {}), component {}, attempt {}:\n  {}: {}",
            self.position,
            escaped(self.event_id.as_deref().unwrap_or("of unknown id")),
            escaped(&self.event_type),
            escaped(&self.aggregate_id),
            output::short(&self.digest),
            self.attempts,
            self.kind,
            self.message.replace('\n', "\n  ")
        ))
    }
}

impl WriterView {
    fn print(&self, high_water_mark: Position) -> anyhow::Result<()> {
        let who = match (self.pid, &self.prepared) {
            (Some(pid), _) => format!("pid {pid} ({})", escaped(&self.application)),
            (None, Some(gid)) => format!("the prepared transaction {gid}"),
            (None, None) => escaped(&self.application).into_owned(),
        };
        let since = match self.open_seconds {
            Some(seconds) => format!("for {seconds} s"),
            None => "since an unknown time".to_owned(),
        };
        output::line(format!(
            "  events above {high_water_mark} wait for a writer: {who}, its transaction is open {since}; {}",
            self.advice
        ))
    }
}

impl StatusView {
    pub(super) fn print(&self) -> anyhow::Result<()> {
        output::line(format!("log: head {}, complete up to {}", self.head, self.high_water_mark))?;
        for writer in &self.writers {
            writer.print(self.high_water_mark)?;
        }
        self.print_projections()?;
        self.print_builds()?;
        self.print_partitions()?;
        for replica_set in &self.replica_sets {
            output::line("")?;
            replica_set.print()?;
        }
        self.print_failures()
    }

    fn print_projections(&self) -> anyhow::Result<()> {
        if self.projections.is_empty() {
            return output::line("no projection is in service: `kennel deploy NAME FILE.wasm` adds one");
        }
        let rows = self.projections.iter().map(|projection| {
            vec![
                projection.name.clone(),
                projection.deployment.to_string(),
                output::short(&projection.digest).to_owned(),
                projection.position.to_string(),
                projection.lag.to_string(),
                projection.state.clone(),
                projection.dead_letter_count.to_string(),
            ]
        });
        let header = ["PROJECTION", "DEPLOYMENT", "COMPONENT", "POSITION", "LAG", "STATE", "DEAD LETTERS"];
        output::table(&header, rows.collect())
    }

    /// The candidates that are being built.
    fn print_builds(&self) -> anyhow::Result<()> {
        let builds =
            self.projections.iter().filter_map(|one| one.candidate.as_ref().map(|build| (one, build)));
        let rows: Vec<Vec<String>> = builds
            .map(|(projection, build)| {
                let left = match (build.promotion, build.remaining, build.seconds_left) {
                    (Promotion::Manual, 0, _) => format!("`kennel promote {}` promotes it", projection.name),
                    (_, _, Some(seconds)) => left(seconds),
                    (_, _, None) => String::new(),
                };
                vec![
                    projection.name.clone(),
                    build.deployment.to_string(),
                    build.position.to_string(),
                    build.remaining.to_string(),
                    format!("{:.0} %", build.done * 100.0),
                    build.state.clone(),
                    left,
                ]
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        output::line("")?;
        output::table(&["CANDIDATE", "DEPLOYMENT", "POSITION", "LAG", "DONE", "STATE", ""], rows)
    }

    /// The partitions that are furthest behind. One alone is its projection, which has been printed already.
    fn print_partitions(&self) -> anyhow::Result<()> {
        let divided = self.projections.iter().filter(|projection| projection.partitions.len() > 1);
        let all =
            divided.flat_map(|projection| projection.partitions.iter().map(move |part| (projection, part)));
        let mut parts: Vec<(&ProjectionStatus, &Partition)> = all.collect();
        if parts.is_empty() {
            return Ok(());
        }
        let hidden = parts.len().saturating_sub(PARTITIONS_MAX);
        if hidden > 0 {
            parts.sort_by_key(|(_, part)| std::cmp::Reverse(part.lag));
            parts.truncate(PARTITIONS_MAX);
        }
        let rows = parts.into_iter().map(|(projection, part)| {
            let (position, lag) = (part.position.to_string(), part.lag.to_string());
            vec![projection.name.clone(), part.partition.to_string(), shown_range(part.range), position, lag]
        });
        output::line("")?;
        output::table(&["PROJECTION", "PARTITION", "RANGE", "POSITION", "LAG"], rows.collect())?;
        if hidden > 0 {
            output::line(format!(
                " and {hidden} that are no further behind: `kennel status --json` has them all"
            ))?;
        }
        Ok(())
    }

    fn print_failures(&self) -> anyhow::Result<()> {
        for projection in &self.projections {
            if let Some(condition) = &projection.condition {
                output::line(format!("\n{}: halted: {}", projection.name, condition.message))?;
            }
            for letter in &projection.dead_letters {
                letter.print(&projection.name, "dead letter")?;
            }
            let unlisted = projection.dead_letter_count - projection.dead_letters.len() as u64;
            if unlisted > 0 {
                output::line(format!("\n{}: {unlisted} more dead letters", projection.name))?;
            }
            let listed = |error: &&FailureView| {
                projection.dead_letters.iter().any(|letter| letter.position == error.position)
            };
            if let Some(error) = projection.last_error.as_ref().filter(|error| !listed(error)) {
                error.print(&projection.name, "last error")?;
            }
            let build = projection.candidate.as_ref();
            for (what, reason) in [
                ("last error of", build.and_then(|build| build.last_error.as_ref())),
                ("blocked by", build.and_then(|build| build.blocked_by.as_ref())),
                (
                    "halted",
                    build.and_then(|build| build.condition.as_ref()).map(|condition| &condition.message),
                ),
            ] {
                let Some(reason) = reason else { continue };
                let shown = reason.replace('\n', "\n  ");
                output::line(format!("\n{}: {what} the candidate:\n  {shown}", projection.name))?;
            }
        }
        Ok(())
    }
}
