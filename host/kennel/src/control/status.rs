//! How the projections of a store are doing, and which workers run them, as `kennel status` prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Activity, Role};
use kennel_core::membership::Assignment;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{DeadLetter, ProjectionProgress, StoreError};
use kennel_core::position::Position;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::partitions::{self, Partition};
use super::replica_set::ReplicaSetView;
use super::view::{BuildView, ConditionView};
use kennel_engine::Ports;

/// Dead letters that are listed for each projection.
const DEAD_LETTERS_MAX: usize = 100;

/// How a store is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The highest position in the log.
    #[schema(value_type = u64)]
    pub head: Position,
    /// Up to here the log is complete.
    #[schema(value_type = u64)]
    pub high_water_mark: Position,
    /// Writers that hold a transaction open below the head: events above the high-water mark wait for them.
    pub writers: Vec<WriterView>,
    /// Those that are not retired, by name.
    pub projections: Vec<ProjectionStatus>,
    /// Those that have deployments or workers.
    pub replica_sets: Vec<ReplicaSetView>,
}

/// A writer that keeps events back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WriterView {
    /// Its process id at the database server; none for a prepared transaction.
    pub pid: Option<i32>,
    pub application: String,
    /// The name under which its transaction was prepared.
    pub prepared: Option<String>,
    /// None if the database does not say.
    pub open_seconds: Option<u64>,
    /// What to do about it.
    pub advice: String,
}

/// How a projection is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectionStatus {
    pub name: String,
    pub replica_set: String,
    /// The number of the deployment that serves.
    pub deployment: u32,
    /// The SHA-256 of its component, in hexadecimal.
    pub digest: String,
    pub version: String,
    /// Every event up to here has taken effect.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Positions between there and the head of the log.
    pub lag: u64,
    /// Those of the current generation.
    pub partitions: Vec<Partition>,
    /// `running`, `retrying`, `halted` or `paused`.
    pub state: String,
    /// What keeps it from making progress although no event failed.
    pub conditions: Vec<ConditionView>,
    /// The deployment that is being built beside the one that serves.
    pub candidate: Option<BuildView>,
    /// `halt` or `dead-letter`.
    pub on_failure: String,
    pub last_error: Option<FailureView>,
    pub dead_letter_count: u64,
    /// The first of them, by position.
    pub dead_letters: Vec<FailureView>,
}

/// An event that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    #[schema(value_type = u64)]
    pub position: Position,
    /// None if the log does not say it.
    pub event_id: Option<String>,
    pub event_type: String,
    pub aggregate_id: String,
    /// The SHA-256 of the component that failed.
    pub digest: String,
    pub kind: String,
    pub attempts: u32,
    pub message: String,
}

impl StatusView {
    /// Looks. `usual` is reported as well if it has workers; one that was silent for `stale_after` counts as dead.
    pub(super) async fn look(
        ports: &Ports,
        usual: &ReplicaSet,
        stale_after: Duration,
    ) -> Result<Self, StoreError> {
        let high_water_mark = ports.log.high_water_mark().await?;
        let progress = ports.reports.progress().await?;
        let replica_sets = replica_sets(ports, usual, stale_after, &progress).await?;
        let mut projections: Vec<ProjectionStatus> = Vec::with_capacity(progress.len());
        for progress in progress {
            if progress.role == Role::Candidate {
                // Listed right behind the one that serves.
                if let Some(serving) = projections.last_mut() {
                    serving.candidate = Some(BuildView::new(&progress, high_water_mark.head));
                }
                continue;
            }
            let letters = match progress.dead_letters {
                0 => Vec::new(),
                _ => ports.read_model.dead_letters(progress.deployment.read_model, DEAD_LETTERS_MAX).await?,
            };
            let assignment = replica_sets.get(&progress.deployment.replica_set).map(|set| &set.assignment);
            projections.push(ProjectionStatus::new(progress, letters, assignment, high_water_mark.head));
        }
        let writers = high_water_mark.blockers.into_iter().map(|blocker| WriterView {
            pid: blocker.pid,
            application: blocker.application,
            prepared: blocker.prepared,
            open_seconds: blocker.open_seconds,
            advice: blocker.advice,
        });
        Ok(Self {
            head: high_water_mark.head,
            high_water_mark: high_water_mark.position,
            writers: writers.collect(),
            projections,
            replica_sets: replica_sets.into_values().collect(),
        })
    }
}

/// The replica sets that have deployments, and the usual one if it has workers.
async fn replica_sets(
    ports: &Ports,
    usual: &ReplicaSet,
    stale_after: Duration,
    progress: &[ProjectionProgress],
) -> Result<BTreeMap<ReplicaSet, ReplicaSetView>, StoreError> {
    let deployed: BTreeSet<&ReplicaSet> =
        progress.iter().map(|progress| &progress.deployment.replica_set).collect();
    let mut found = BTreeMap::new();
    for name in deployed.iter().copied().chain([usual]) {
        let view = ReplicaSetView::look(&*ports.coordination, name.clone(), stale_after).await?;
        if deployed.contains(name) || !view.workers.is_empty() {
            found.insert(name.clone(), view);
        }
    }
    Ok(found)
}

impl ProjectionStatus {
    fn new(
        progress: ProjectionProgress,
        dead_letters: Vec<DeadLetter>,
        assignment: Option<&Assignment>,
        head: Position,
    ) -> Self {
        let position = progress.position();
        let conditions = ConditionView::all(&progress);
        let partitions = assignment.map(|assignment| partitions::of(&progress, assignment, head));
        let deployment = progress.deployment;
        let state = match progress.activity {
            Activity::Paused => Activity::Paused.as_str(),
            _ => progress.state.as_str(),
        };
        Self {
            name: deployment.projection.to_string(),
            replica_set: deployment.replica_set.to_string(),
            deployment: deployment.number,
            digest: deployment.digest.to_string(),
            version: deployment.descriptor.version,
            position,
            lag: head.distance_from(position),
            partitions: partitions.unwrap_or_default(),
            state: state.to_owned(),
            conditions,
            candidate: None,
            on_failure: deployment.settings.on_failure.as_str().to_owned(),
            last_error: progress.last_failure.map(FailureView::new),
            dead_letter_count: progress.dead_letters,
            dead_letters: dead_letters.into_iter().map(|letter| FailureView::new(letter.failure)).collect(),
        }
    }
}

impl FailureView {
    fn new(failure: EventFailure) -> Self {
        Self {
            position: failure.position,
            event_id: failure.event_id.map(|id| id.to_string()),
            event_type: failure.event_type,
            aggregate_id: failure.aggregate_id,
            digest: failure.digest.to_string(),
            kind: failure.kind.as_str().to_owned(),
            attempts: failure.attempts,
            message: failure.message,
        }
    }
}
