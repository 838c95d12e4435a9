//! The ports that the engine works through; and what the catalog watcher and the cutover controller need of them, and
//! no more: few enough calls for a test to answer each of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::condition::Condition;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Lifecycle, Origin, Role};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    ComponentStore, Coordination, Cutover, DeploymentStore, LogReader, ProjectionProgress, ReadModel,
    Runtime, StatusReports, StoreError, StorePorts,
};
use kennel_core::projection::{Deployment, DeploymentId};

/// The store and the runtime that the engine drives.
#[derive(Clone)]
pub struct Ports {
    pub log: Arc<dyn LogReader>,
    pub read_model: Arc<dyn ReadModel>,
    pub components: Arc<dyn ComponentStore>,
    pub deployments: Arc<dyn DeploymentStore>,
    pub reports: Arc<dyn StatusReports>,
    pub cutover: Arc<dyn Cutover>,
    pub coordination: Arc<dyn Coordination>,
    pub runtime: Arc<dyn Runtime>,
}

impl Ports {
    /// All ports of one store, and a runtime.
    #[must_use]
    pub fn of(store: Arc<dyn StorePorts>, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            log: Arc::clone(&store) as _,
            read_model: Arc::clone(&store) as _,
            components: Arc::clone(&store) as _,
            deployments: Arc::clone(&store) as _,
            reports: Arc::clone(&store) as _,
            cutover: Arc::clone(&store) as _,
            coordination: store,
            runtime,
        }
    }
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ports")
    }
}

/// The deployments, and the bytes of their components.
#[async_trait]
pub trait DeploymentSource: Send + Sync {
    /// A number that is another one after every change of any projection. Cheap.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// The deployments of a replica set that workers are to run, by name.
    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError>;

    /// The candidate of a projection if its read model has served before and is brought up to date.
    async fn returning(&self, projection: &ProjectionName) -> Result<Option<DeploymentId>, StoreError>;

    /// Resolves at a notification that a projection has changed. Notifications may be lost.
    async fn projections_changed(&self);

    /// The bytes of a component.
    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Where conditions of deployments are reported.
#[async_trait]
pub trait ConditionReports: Send + Sync {
    /// Records the condition that blocks a deployment, as `source` sees it; `None` removes it.
    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError>;
}

/// Where the progress of candidates is read, and their conditions are reported.
#[async_trait]
pub trait CandidateReports: ConditionReports {
    /// The progress of the deployments of the store that serve or are candidates, by name.
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError>;
}

#[async_trait]
impl DeploymentSource for Ports {
    async fn revision(&self) -> Result<u64, StoreError> {
        self.deployments.revision().await
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<(Deployment, Role)>, StoreError> {
        self.deployments.active(replica_set).await
    }

    async fn returning(&self, projection: &ProjectionName) -> Result<Option<DeploymentId>, StoreError> {
        let life = self.deployments.lifecycle(projection).await?;
        let candidate = life.as_ref().and_then(Lifecycle::candidate);
        let returns = candidate.filter(|candidate| candidate.origin == Origin::Rollback);
        Ok(returns.map(|candidate| candidate.deployment.id))
    }

    async fn projections_changed(&self) {
        self.deployments.projections_changed().await;
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.components.component(digest).await
    }
}

#[async_trait]
impl ConditionReports for Ports {
    async fn report_condition(
        &self,
        deployment: DeploymentId,
        source: &str,
        condition: Option<&Condition>,
    ) -> Result<(), StoreError> {
        self.reports.report_condition(deployment, source, condition).await
    }
}

#[async_trait]
impl CandidateReports for Ports {
    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        self.reports.progress().await
    }
}
