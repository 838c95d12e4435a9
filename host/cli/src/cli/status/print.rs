//! `kennel status` as text: what matters about every projection on one screen, failures in full below.

use kennel_core::lifecycle::Promotion;
use kennel_core::position::Position;
use kennel_core::text::escaped;

use super::output;
use crate::cli::follow::left;
use crate::cli::replica_set;
use kennel::control::partitions::Partition;
use kennel::control::status::{FailureView, ProjectionStatus, StatusView, WriterView};
use kennel::control::view::ConditionView;

/// Partitions that are listed.
const PARTITIONS_MAX: usize = 20;

fn print_failure(failure: &FailureView, projection: &str, what: &str) -> anyhow::Result<()> {
    output::line(format!(
        "\n{projection}: {what} at position {}, event {} ({} of {}), component {}, attempt {}:\n  {}: {}",
        failure.position,
        escaped(failure.event_id.as_deref().unwrap_or("of unknown id")),
        escaped(&failure.event_type),
        escaped(&failure.aggregate_id),
        output::short(&failure.digest),
        failure.attempts,
        failure.kind,
        failure.message.replace('\n', "\n  ")
    ))
}

fn print_condition(condition: &ConditionView, projection: &str, of: &str) -> anyhow::Result<()> {
    let since = condition.since.as_deref().map(output::seconds_of);
    let since = since.map(|since| format!(" since {since} UTC")).unwrap_or_default();
    output::line(format!(
        "\n{projection}: condition{of}: {}, seen by {}{since}:\n  {}",
        condition.reason,
        escaped(&condition.source),
        condition.message.replace('\n', "\n  ")
    ))
}

fn print_writer(writer: &WriterView, high_water_mark: Position) -> anyhow::Result<()> {
    let who = match (writer.pid, &writer.prepared) {
        (Some(pid), _) => format!("pid {pid} ({})", escaped(&writer.application)),
        (None, Some(gid)) => format!("the prepared transaction {gid}"),
        (None, None) => escaped(&writer.application).into_owned(),
    };
    let since = match writer.open_seconds {
        Some(seconds) => format!("for {seconds} s"),
        None => "since an unknown time".to_owned(),
    };
    output::line(format!(
        "  events above {high_water_mark} wait for a writer: {who}, its transaction is open {since}; {}",
        writer.advice
    ))
}

pub(super) fn print(status: &StatusView) -> anyhow::Result<()> {
    output::line(format!("log: head {}, complete up to {}", status.head, status.high_water_mark))?;
    for writer in &status.writers {
        print_writer(writer, status.high_water_mark)?;
    }
    print_projections(status)?;
    print_builds(status)?;
    print_partitions(status)?;
    for replica_set in &status.replica_sets {
        output::line("")?;
        replica_set::print(replica_set)?;
    }
    print_failures(status)
}

fn print_projections(status: &StatusView) -> anyhow::Result<()> {
    if status.projections.is_empty() {
        return output::line("no projection is in service: `kennel deploy NAME FILE.wasm` adds one");
    }
    let rows = status.projections.iter().map(|projection| {
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
fn print_builds(status: &StatusView) -> anyhow::Result<()> {
    let builds = status.projections.iter().filter_map(|one| one.candidate.as_ref().map(|build| (one, build)));
    let rows: Vec<Vec<String>> = builds
        .map(|(projection, build)| {
            let left = match (build.promotion, build.remaining, build.seconds_left) {
                (Promotion::Manual, 0, _) => format!("`kennel promote {}` promotes it", projection.name),
                (_, _, Some(seconds)) => left(seconds),
                (_, _, None) => {
                    build.conditions.first().map(|one| one.reason.to_string()).unwrap_or_default()
                }
            };
            vec![
                projection.name.clone(),
                build.deployment.to_string(),
                build.position.to_string(),
                build.remaining.to_string(),
                format!("{:.0} %", (build.done * 100.0).floor()),
                build.state.to_string(),
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
fn print_partitions(status: &StatusView) -> anyhow::Result<()> {
    let divided = status.projections.iter().filter(|projection| projection.partitions.len() > 1);
    let all = divided.flat_map(|projection| projection.partitions.iter().map(move |part| (projection, part)));
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
        vec![
            projection.name.clone(),
            part.partition.to_string(),
            replica_set::shown(part.range),
            position,
            lag,
        ]
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

fn print_failures(status: &StatusView) -> anyhow::Result<()> {
    for projection in &status.projections {
        for condition in &projection.conditions {
            print_condition(condition, &projection.name, "")?;
        }
        for letter in &projection.dead_letters {
            print_failure(letter, &projection.name, "dead letter")?;
        }
        let unlisted = projection.dead_letter_count - projection.dead_letters.len() as u64;
        if unlisted > 0 {
            output::line(format!("\n{}: {unlisted} more dead letters", projection.name))?;
        }
        let listed = |error: &&FailureView| {
            projection.dead_letters.iter().any(|letter| letter.position == error.position)
        };
        if let Some(error) = projection.last_error.as_ref().filter(|error| !listed(error)) {
            print_failure(error, &projection.name, "last error")?;
        }
        let Some(build) = &projection.candidate else { continue };
        if let Some(error) = &build.last_error {
            let shown = error.replace('\n', "\n  ");
            output::line(format!("\n{}: last error of the candidate:\n  {shown}", projection.name))?;
        }
        for condition in &build.conditions {
            print_condition(condition, &projection.name, " of the candidate")?;
        }
    }
    Ok(())
}
