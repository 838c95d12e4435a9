//! Components and deployments in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kennel_core::checkpoint::{self, Checkpoint};
use kennel_core::digest::Digest;
use kennel_core::failure::EventFailure;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{NewDeployment, ProjectionProgress, ProjectionState, Registry, StoreError};
use kennel_core::projection::{Deployment, DeploymentId};

use super::{Deployed, MemoryStore, State};

impl State {
    fn of_active(&self) -> impl Iterator<Item = &Deployed> {
        self.active.values().filter_map(|id| self.deployments.get(id))
    }
}

#[async_trait]
impl Registry for MemoryStore {
    async fn put_component(&self, digest: Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.state().components.entry(digest).or_insert_with(|| bytes.to_vec());
        Ok(())
    }

    async fn component(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().components.get(&digest).cloned())
    }

    async fn deploy(&self, new: &NewDeployment) -> Result<Option<Deployment>, StoreError> {
        let mut state = self.state();
        if state.active.contains_key(&new.projection) {
            return Ok(None);
        }
        let last = state.deployments.last_key_value().map_or(0, |(id, _)| id.get());
        let deployment = Deployment {
            id: DeploymentId::new(last + 1),
            projection: new.projection.clone(),
            replica_set: new.replica_set.clone(),
            number: 1,
            digest: new.digest,
            descriptor: new.descriptor.clone(),
            settings: new.settings.clone(),
        };
        let deployed = Deployed {
            deployment: deployment.clone(),
            state: ProjectionState::Running,
            last_failure: None,
            checkpoints: vec![Checkpoint::UNTOUCHED],
            collections: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
        };
        state.deployments.insert(deployment.id, deployed);
        state.active.insert(new.projection.clone(), deployment.id);
        Ok(Some(deployment))
    }

    async fn active(&self, replica_set: &ReplicaSet) -> Result<Vec<Deployment>, StoreError> {
        let state = self.state();
        let deployments = state.of_active().map(|deployed| &deployed.deployment);
        Ok(deployments.filter(|deployment| deployment.replica_set == *replica_set).cloned().collect())
    }

    async fn find(&self, projection: &ProjectionName) -> Result<Option<Deployment>, StoreError> {
        let state = self.state();
        let deployed = state.active.get(projection).and_then(|id| state.deployments.get(id));
        Ok(deployed.map(|deployed| deployed.deployment.clone()))
    }

    async fn report(
        &self,
        deployment: DeploymentId,
        state: ProjectionState,
        failure: Option<&EventFailure>,
    ) -> Result<(), StoreError> {
        if let Some(deployed) = self.state().deployments.get_mut(&deployment) {
            deployed.state = state;
            if let Some(failure) = failure {
                deployed.last_failure = Some(failure.clone());
            }
        }
        Ok(())
    }

    async fn progress(&self) -> Result<Vec<ProjectionProgress>, StoreError> {
        let progress = |deployed: &Deployed| ProjectionProgress {
            deployment: deployed.deployment.clone(),
            state: deployed.state,
            last_failure: deployed.last_failure.clone(),
            checkpoints: checkpoint::merge(deployed.checkpoints.clone()),
            dead_letters: deployed.dead_letters.len() as u64,
        };
        Ok(self.state().of_active().map(progress).collect())
    }
}
