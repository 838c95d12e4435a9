//! Components and deployments, and what hosts report about them.

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::checkpoint::{self, Checkpoint};
use crate::digest::Digest;
use crate::failure::EventFailure;
use crate::lifecycle::{Activity, Declined, Lifecycle, Ordered, Request, Stage, Switch};
use crate::name::{ProjectionName, ReplicaSet};
use crate::partition::HashRange;
use crate::position::Position;
use crate::projection::{Deployment, DeploymentId, ReadModelId};
use crate::witness::LogSetBack;

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

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The projection as it is now.
    pub lifecycle: Lifecycle,
    /// The deployment that the command was about, if it was about one.
    pub number: Option<u32>,
    /// Whether anything had to be changed.
    pub changed: bool,
}

/// What became of an attempt to put a new read model in the place of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    Done,
    /// The new one is so many positions behind the old one where it is furthest behind.
    Behind(u64),
    /// Somebody reads the old one and does not come to an end, or another process is at it: try again.
    Busy,
    /// There is nothing to switch, any more or yet.
    Nothing,
}

/// What a projection is doing, as its workers last reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// Nothing stands in its way.
    Running,
    /// An event fails and is being tried again.
    Retrying,
    /// An event failed for good and the policy is to stand still.
    Halted,
}

impl ProjectionState {
    /// The word used in stores and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Halted => "halted",
        }
    }

    /// The state that this word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Running, Self::Retrying, Self::Halted].into_iter().find(|state| state.as_str() == word)
    }
}

/// Everything `status` tells about one projection.
#[derive(Clone, Debug)]
pub struct ProjectionProgress {
    pub deployment: Deployment,
    pub stage: Stage,
    pub activity: Activity,
    /// How it will take its place, if it is being built.
    pub switch: Switch,
    /// Whether the read model that serves is held so that the one being built can draw level.
    pub frozen: bool,
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
    /// What keeps it from being built or put in its place, if that is no event.
    pub obstacle: Option<String>,
    /// The log does not hold what its checkpoints cover: it is halted.
    pub log_set_back: Option<LogSetBack>,
}

impl ProjectionProgress {
    /// Every event up to here has taken effect, whichever range it belongs to.
    #[must_use]
    pub fn position(&self) -> Position {
        checkpoint::handled(&self.checkpoints, HashRange::ALL)
    }
}

/// The registry of a store.
#[async_trait]
pub trait Registry: Send + Sync {
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

    /// Carries out a command, or declines it. What changes, changes in one transaction.
    async fn change(
        &self,
        projection: &ProjectionName,
        request: &Request,
    ) -> Result<Result<Changed, Declined>, StoreError>;

    /// The history of a projection; `None` if there is no such projection.
    async fn lifecycle(&self, projection: &ProjectionName) -> Result<Option<Lifecycle>, StoreError>;

    /// The commands to a projection that were carried out, the oldest first.
    async fn orders(&self, projection: &ProjectionName) -> Result<Vec<Ordered>, StoreError>;

    /// The names of all projections, in order; those that are retired as well.
    async fn projections(&self) -> Result<Vec<ProjectionName>, StoreError>;

    /// How far a read model has come, range by range; empty if there is no such read model.
    async fn checkpoints_of(&self, read_model: ReadModelId) -> Result<Vec<Checkpoint>, StoreError>;

    /// Every event up to here has taken effect in a read model.
    async fn position(&self, read_model: ReadModelId) -> Result<Position, StoreError> {
        Ok(checkpoint::handled(&self.checkpoints_of(read_model).await?, HashRange::ALL))
    }

    /// The deployments of a replica set that workers are to run, by name: those that serve, and those that are
    /// being built.
    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Stage)>, StoreError>;

    /// The deployment of a projection that serves.
    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError>;

    /// Records what a deployment is doing; `failure` becomes its last failure if there is one. That one partition tries
    /// again changes nothing of one that is halted.
    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError>;

    /// Records what keeps a deployment from being built or put in its place, as `source` sees it; nothing any more if
    /// there is no obstacle. It is believed for [`crate::limits::OBSTACLE_BELIEVED`]: whoever still sees it says so
    /// again.
    async fn hinder(
        &self,
        deployment: DeploymentId,
        source: &str,
        obstacle: Option<&str>,
    ) -> Result<(), StoreError>;

    /// How the deployments of the store that serve or are being built are doing, by name.
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError>;

    /// Holds the live read model of a projection if the one that is being built is at most `slack` positions
    /// behind it, so that it can draw level.
    async fn begin_switch(&self, projection: &ProjectionName, slack: u64) -> Result<Switched, StoreError>;

    /// Puts the read model that was built in the place of the held one, if it is level with it.
    async fn finish_switch(&self, projection: &ProjectionName) -> Result<Switched, StoreError>;

    /// Lets a held read model go on.
    async fn abandon_switch(&self, projection: &ProjectionName) -> Result<(), StoreError>;

    /// Removes what is left of condemned read models, and what else nobody needs, and finishes what somebody was in the way
    /// of. Returns how many read models were removed.
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// A number that is another one after every change of any projection. Cheap.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Resolves at a sign that a projection has changed, in any process. Signs may be lost, and a store may
    /// have none: whoever waits for one also looks by itself.
    async fn changed(&self) {
        std::future::pending::<()>().await;
    }
}
