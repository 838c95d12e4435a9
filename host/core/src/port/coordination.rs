//! Workers and generations in the store. Liveness is judged by the database's clock alone.

use std::time::Duration;

use async_trait::async_trait;

use super::{ConnectionUsage, StoreError};
use crate::checkpoint::Checkpoint;
use crate::membership::{Assignment, Cause, Generation, Member, WorkerId, WorkerState};
use crate::name::ReplicaSet;
use crate::partition::HashRange;
use crate::plan::Plan;
use crate::projection::ReadModelId;
use crate::witness::LogSetBack;

/// A worker that joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWorker {
    pub id: WorkerId,
    pub replica_set: ReplicaSet,
    pub host: String,
    pub pid: u32,
}

/// A replica set as the store sees it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub assignment: Assignment,
    /// Sorted by id.
    pub members: Vec<Member>,
}

impl View {
    /// The workers that are alive.
    #[must_use]
    pub fn alive(&self) -> Vec<WorkerId> {
        self.members.iter().filter(|member| member.alive).map(|member| member.id).collect()
    }
}

/// What became of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeOutcome {
    /// It is the current generation now; so many stale workers were removed with it.
    Accepted { generation: Generation, stale_removed: u64 },
    /// Its parent was no longer current: look again.
    Superseded,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The claimant owns these checkpoints: merged, sorted by range.
    Owned(Vec<Checkpoint>),
    /// Its generation is no longer current: look again.
    Superseded,
    /// No worker may move this read model now: a cutover is under way, or its projection was paused.
    Fenced,
    /// The log does not hold what was handled: an operator has to decide.
    LogSetBack(LogSetBack),
}

/// One line of the history of generations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationRecord {
    pub assignment: Assignment,
    pub cause: Cause,
    /// Time since it was made, by the database's clock.
    pub age: Duration,
}

/// The coordination tables of a store.
#[async_trait]
pub trait Coordination: Send + Sync {
    /// Registers a worker. Its first heartbeat is now.
    async fn join(&self, worker: &NewWorker) -> Result<(), StoreError>;

    /// Records a heartbeat of each of these workers. Returns those that are registered: the others were
    /// taken for dead and have to join again under new ids.
    async fn heartbeat(&self, workers: &[WorkerId], state: WorkerState) -> Result<Vec<WorkerId>, StoreError>;

    /// Removes workers, all at once. Removing them again changes nothing.
    async fn leave(&self, workers: &[WorkerId]) -> Result<(), StoreError>;

    /// The current generation and all registered workers. A worker is alive if its heartbeat is younger than
    /// `stale_after` and its connection, where the store knows, has not dropped.
    async fn view(&self, replica_set: &ReplicaSet, stale_after: Duration) -> Result<View, StoreError>;

    /// Makes `plan` the generation after `parent`, if `parent` is still current, and removes the
    /// registered workers that the plan leaves out and that are not alive.
    async fn propose(
        &self,
        replica_set: &ReplicaSet,
        parent: Generation,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<ProposeOutcome, StoreError>;

    /// Takes over the checkpoints of `read_model` inside `range` for `generation`, if that is still
    /// current. From then on no other generation can move them.
    async fn claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<ClaimOutcome, StoreError>;

    /// Resolves at a notification that workers have left or that a generation has been agreed on, by any process.
    /// Notifications may be lost, and a store may have none: callers that wait for one also look by themselves.
    async fn workers_changed(&self) {
        std::future::pending::<()>().await;
    }

    /// How much of its connections to the store this process uses; nothing where it has none to speak of.
    fn connections(&self) -> Option<ConnectionUsage> {
        None
    }

    /// The latest generations, newest first.
    async fn history(
        &self,
        replica_set: &ReplicaSet,
        limit: usize,
    ) -> Result<Vec<GenerationRecord>, StoreError>;
}
