//! Components and deployments, and what hosts report about them.

use async_trait::async_trait;

use super::StoreError;
use crate::checkpoint::{self, Checkpoint};
use crate::digest::Digest;
use crate::failure::EventFailure;
use crate::name::{ProjectionName, ReplicaSet};
use crate::partition::HashRange;
use crate::position::Position;
use crate::projection::{Deployment, DeploymentId, Descriptor, Settings};

/// A deployment to be recorded and activated.
#[derive(Clone, Debug)]
pub struct NewDeployment {
    pub projection: ProjectionName,
    pub replica_set: ReplicaSet,
    pub digest: Digest,
    pub descriptor: Descriptor,
    pub settings: Settings,
    /// Who deploys, for the record.
    pub author: String,
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
    pub state: ProjectionState,
    /// The last failure that was recorded, also when the projection has recovered since.
    pub last_failure: Option<EventFailure>,
    /// Sorted by range; they tile the hash space.
    pub checkpoints: Vec<Checkpoint>,
    pub dead_letters: u64,
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
    /// Stores a component under its digest. Storing it again changes nothing.
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError>;

    /// The bytes of a component.
    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Records and activates the first deployment of a projection, with a checkpoint at the start of
    /// the log; `None` if the name exists.
    async fn deploy(&self, new: &NewDeployment) -> Result<Option<Deployment>, StoreError>;

    /// The active deployments of a replica set, by name.
    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<Deployment>, StoreError>;

    /// The active deployment of a projection.
    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError>;

    /// Records what a projection is doing; `failure` becomes its last failure if there is one.
    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError>;

    /// How all active deployments of the store are doing, by name.
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError>;
}
