//! Components and deployments, and what hosts report about them.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::checkpoint::{self, Checkpoint};
use crate::condition::{Condition, ConditionReason, ReportedCondition};
use crate::digest::Digest;
use crate::failure::EventFailure;
use crate::lifecycle::{Activity, Lifecycle, OperationRecord, OperationRequest, Promotion, Rejected, Role};
use crate::name::{ProjectionName, ReplicaSet};
use crate::named::named;
use crate::partition::HashRange;
use crate::position::Position;
use crate::projection::{Deployment, DeploymentId, ReadModelId};

/// A component that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredComponent {
    pub digest: Digest,
    pub bytes: u64,
    /// Microseconds since 1970 by the store's clock.
    pub stored_at: u64,
    /// The deployments that use it, by name and number.
    pub used_by: Vec<(ProjectionName, u32)>,
}

/// What an operation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The projection as it is now.
    pub lifecycle: Lifecycle,
    /// The deployment that the operation was about, if it was about one.
    pub number: Option<u32>,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// What became of a step of a cutover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutoverOutcome {
    Done,
    /// The candidate is so many positions behind the serving read model where it is furthest behind.
    Behind(u64),
    /// A reader of the serving read model does not come to an end, or another process is at the cutover: try again.
    Busy,
    /// There is nothing to cut over to, any more or yet.
    Nothing,
}

named! {
    /// What a projection is doing, as its workers last reported.
    ProjectionState, "a state of projections" {
        /// It is neither retrying nor halted.
        Running = "running",
        /// An event fails and is being tried again.
        Retrying = "retrying",
        /// An event failed for good and the policy is to halt.
        Halted = "halted",
    }
}

/// Everything that `status` reports about one projection.
#[derive(Clone, Debug)]
pub struct ProjectionProgress {
    pub deployment: Deployment,
    pub role: Role,
    pub activity: Activity,
    /// How it is promoted, if it is the candidate.
    pub promotion: Promotion,
    /// Whether the serving read model is fenced so that the candidate can catch up.
    pub fenced: bool,
    /// Where its read model stood when it was deployed.
    pub from: Position,
    /// Time since it was deployed, by the store's clock.
    pub age: Duration,
    pub state: ProjectionState,
    /// The last failure that was recorded, also when the projection has recovered since.
    pub last_failure: Option<EventFailure>,
    /// Sorted by range; they tile the hash space.
    pub checkpoints: Vec<Checkpoint>,
    pub dead_letters: u64,
    /// What keeps it from making progress although no event failed, by source. With [`ConditionReason::LogSetBack`] it
    /// is halted.
    pub conditions: Vec<ReportedCondition>,
}

impl ProjectionProgress {
    /// The condition with this reason.
    #[must_use]
    pub fn condition(&self, reason: ConditionReason) -> Option<&Condition> {
        self.conditions
            .iter()
            .map(|reported| &reported.condition)
            .find(|condition| condition.reason == reason)
    }

    /// Every event up to here has taken effect, whichever range it belongs to.
    #[must_use]
    pub fn position(&self) -> Position {
        checkpoint::handled(&self.checkpoints, HashRange::ALL)
    }
}

/// The components of a store.
#[async_trait]
pub trait ComponentStore: Send + Sync {
    /// Stores a component under its digest. One that was never deployed is kept for
    /// [`crate::limits::UNUSED_COMPONENT_KEPT`] after it was last stored.
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError>;

    /// The bytes of a component.
    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Has a component be kept as if it had been stored anew; `false` if there is no such component.
    async fn keep_component(&self, digest: Digest) -> Result<bool, StoreError> {
        Ok(self.component(digest).await?.is_some())
    }

    /// The components that there are, the latest first.
    async fn components(&self) -> Result<Vec<StoredComponent>, StoreError>;
}

/// The projections of a store and their deployments.
#[async_trait]
pub trait DeploymentStore: Send + Sync {
    /// Carries out an operation, or rejects it. What changes, changes in one transaction.
    async fn carry_out(
        &self,
        projection: &ProjectionName,
        request: &OperationRequest,
    ) -> Result<Result<Changed, Rejected>, StoreError>;

    /// The history of a projection; `None` if there is no such projection.
    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError>;

    /// The operations on a projection that were carried out, the oldest first.
    async fn operations(&self, projection: &ProjectionName) -> Result<Vec<OperationRecord>, StoreError>;

    /// The names of all projections, in order; those that are retired as well.
    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError>;

    /// The deployments of a replica set that workers are to run, by name: those that serve, and the candidates.
    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError>;

    /// The deployment of a projection that serves.
    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError>;

    /// A number that is another one after every change of any projection. Cheap.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Resolves at a notification that a projection has changed, in any process. Notifications may be lost, and a store
    /// may have none: callers that wait for one also look by themselves.
    async fn projections_changed(&self) {
        std::future::pending::<()>().await;
    }
}

/// What hosts report about deployments.
#[async_trait]
pub trait StatusReports: Send + Sync {
    /// How far a read model has come, range by range; empty if there is no such read model.
    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError>;

    /// Every event up to here has taken effect in a read model.
    async fn position(&self, read_model: ReadModelId) -> Result<Position, StoreError> {
        Ok(checkpoint::handled(&self.checkpoints_of(read_model).await?, HashRange::ALL))
    }

    /// Records what a deployment is doing; `failure` becomes its last failure if there is one. That one partition tries
    /// again changes nothing of one that is halted.
    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError>;

    /// Records the condition that blocks the build or the cutover of a deployment, as `source` sees it; `None` removes
    /// it. A source has one at a time. It is kept for [`crate::limits::CONDITION_EXPIRES_AFTER`]: a source that still
    /// sees it reports it again, and as long as the reason stays the same, so does its `since`.
    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError>;

    /// The progress of the deployments of the store that serve or are candidates, by name.
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError>;
}

/// The steps that replace a read model by the one that was built beside it, and what they leave behind.
#[async_trait]
pub trait Cutover: Send + Sync {
    /// Fences the serving read model of a projection if the candidate is at most `slack` positions behind it, so that
    /// it can catch up.
    async fn begin_cutover(
        &self,
        projection: &ProjectionName,
        slack: u64,
    ) -> Result<CutoverOutcome, StoreError>;

    /// Replaces the fenced read model by the candidate, if that has caught up with it.
    async fn complete_cutover(&self, projection: &ProjectionName) -> Result<CutoverOutcome, StoreError>;

    /// Releases a fenced read model.
    async fn abort_cutover(&self, projection: &ProjectionName) -> Result<(), StoreError>;

    /// Removes the remains of read models that are being deleted, and what else is no longer needed, and finishes what
    /// was blocked before. Returns how many read models were removed.
    async fn collect_garbage(&self) -> Result<u64, StoreError>;
}
