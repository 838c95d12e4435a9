//! `kennel status`: how the projections are doing, and who works on them.

mod print;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Activity, Stage};
use kennel_core::membership::Assignment;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{DeadLetter, EventSource as _, ProjectionProgress, ReadModel as _, Registry as _};
use kennel_core::position::Position;

use super::partitions::{self, Partition};
use super::replica_set::ReplicaSetReport;
use super::{StoreArgs, output};
use crate::config::Config;
use crate::control::view::BuildView;
use crate::wire::{self, Store};

/// Dead letters that are listed for each projection.
const DEAD_LETTERS_MAX: usize = 100;

/// Tells how the projections are doing (deployment, position, lag, state and the last error) and who works
/// on them.
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
    /// Those that have deployments or workers.
    replica_sets: Vec<ReplicaSetReport>,
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
    /// Those of the current generation.
    partitions: Vec<Partition>,
    /// `running`, `retrying`, `halted` or `paused`.
    state: &'static str,
    /// The deployment that is being built beside the one that serves.
    building: Option<BuildView>,
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
        let report = Report::look(&store, config).await?;
        if self.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Report {
    async fn look(store: &Store, config: &Config) -> anyhow::Result<Self> {
        let horizon = store.horizon().await?;
        let progress = store.progress().await?;
        let replica_sets = replica_sets(store, config, &progress).await?;
        let mut projections: Vec<Projection> = Vec::with_capacity(progress.len());
        for progress in progress {
            if progress.stage == Stage::Building {
                // Listed right behind the one that serves.
                if let Some(serving) = projections.last_mut() {
                    serving.building = Some(BuildView::new(&progress, horizon.head));
                }
                continue;
            }
            let letters = match progress.dead_letters {
                0 => Vec::new(),
                _ => store.dead_letters(progress.deployment.read_model, DEAD_LETTERS_MAX).await?,
            };
            let assignment = replica_sets.get(&progress.deployment.replica_set).map(|set| &set.assignment);
            projections.push(Projection::new(progress, letters, assignment, horizon.head));
        }
        let writers = horizon.blockers.into_iter().map(|blocker| Writer {
            pid: blocker.pid,
            application: blocker.application,
            open_seconds: blocker.open_seconds,
        });
        Ok(Self {
            head: horizon.head,
            horizon: horizon.position,
            writers: writers.collect(),
            projections,
            replica_sets: replica_sets.into_values().collect(),
        })
    }
}

/// The replica sets that have deployments, and the one that `kennel run` would work for if it has workers.
async fn replica_sets(
    store: &Store,
    config: &Config,
    progress: &[ProjectionProgress],
) -> anyhow::Result<BTreeMap<ReplicaSet, ReplicaSetReport>> {
    let stale_after = config.run.stale_after()?;
    let usual = config.run.replica_set(None);
    let deployed: BTreeSet<&ReplicaSet> =
        progress.iter().map(|progress| &progress.deployment.replica_set).collect();
    let mut found = BTreeMap::new();
    for name in deployed.iter().copied().chain([&usual]) {
        let report = ReplicaSetReport::look(store, name.clone(), stale_after).await?;
        if deployed.contains(name) || !report.workers.is_empty() {
            found.insert(name.clone(), report);
        }
    }
    Ok(found)
}

impl Projection {
    fn new(
        progress: ProjectionProgress,
        dead_letters: Vec<DeadLetter>,
        assignment: Option<&Assignment>,
        head: Position,
    ) -> Self {
        let position = progress.position();
        let partitions = assignment.map(|assignment| partitions::of(&progress, assignment, head));
        let deployment = progress.deployment;
        Self {
            name: deployment.projection.to_string(),
            replica_set: deployment.replica_set.to_string(),
            deployment: deployment.number,
            digest: deployment.digest.to_string(),
            version: deployment.descriptor.version,
            position,
            lag: head.distance_from(position),
            partitions: partitions.unwrap_or_default(),
            state: match progress.activity {
                Activity::Paused => Activity::Paused.as_str(),
                _ => progress.state.as_str(),
            },
            building: None,
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
