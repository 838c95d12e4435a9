//! What a store says of a replica set: its generation, and its workers with what each owns. One place for
//! `kennel workers` and `kennel status`.

use std::time::Duration;

use kennel_core::membership::{Assignment, Generation, Member};
use kennel_core::name::ReplicaSet;
use kennel_core::partition::HashRange;
use kennel_core::port::{Coordination, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A replica set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplicaSetView {
    #[schema(value_type = String)]
    pub replica_set: ReplicaSet,
    #[schema(value_type = u64)]
    pub generation: Generation,
    /// Of the current generation.
    pub partitions: u32,
    /// Those that own a partition first, in the order of these.
    pub workers: Vec<WorkerView>,
    #[serde(skip)]
    pub(crate) assignment: Assignment,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkerView {
    pub id: String,
    pub host: String,
    pub pid: u32,
    /// What it is doing, as it last reported.
    pub state: String,
    pub alive: bool,
    pub heartbeat_age_seconds: f64,
    /// None: the current generation gives it nothing.
    pub partition: Option<u32>,
    /// The part of the hash space that it owns.
    #[schema(value_type = Option<Object>)]
    pub range: Option<HashRange>,
}

impl WorkerView {
    fn new(member: &Member, assignment: &Assignment) -> Self {
        let partition = assignment.partition_of(member.id);
        Self {
            id: member.id.to_string(),
            host: member.host.clone(),
            pid: member.pid,
            state: member.state.as_str().to_owned(),
            alive: member.alive,
            heartbeat_age_seconds: member.heartbeat_age.as_secs_f64(),
            partition,
            range: partition.map(|index| HashRange::of_partition(index, assignment.partitions())),
        }
    }
}

impl ReplicaSetView {
    /// Looks. A worker that has been silent for `stale_after` counts as dead.
    pub async fn look(
        coordination: &dyn Coordination,
        replica_set: ReplicaSet,
        stale_after: Duration,
    ) -> Result<Self, StoreError> {
        let view = coordination.view(&replica_set, stale_after).await?;
        let assignment = view.assignment;
        let mut workers: Vec<WorkerView> =
            view.members.iter().map(|member| WorkerView::new(member, &assignment)).collect();
        workers.sort_by_key(|worker| worker.partition.unwrap_or(u32::MAX));
        let (generation, partitions) = (assignment.generation, assignment.partitions());
        Ok(Self { replica_set, generation, partitions, workers, assignment })
    }
}
