//! Checks a component, stores it and activates it under a name that is free: what `kennel deploy` and a
//! program that embeds Kennel have in common.

use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{NewDeployment, Refusal, Registry as _, Runtime, StoreError};
use kennel_core::projection::{Deployment, Settings};
use kennel_store::Store;

use crate::wire;

/// A component that was not activated. Nothing has changed then, except that the store may hold it.
#[derive(Debug, thiserror::Error)]
pub enum ActivateError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name is taken.
    #[error(
        "the projection `{projection}` exists: deployment {number} in replica set {replica_set}, component {component}. \
         Replacing the component of an existing projection is not supported yet: choose another name"
    )]
    Exists { projection: ProjectionName, replica_set: ReplicaSet, number: u32, component: String },
}

/// The error that says what bears the name already.
pub(crate) fn exists(existing: &Deployment) -> ActivateError {
    ActivateError::Exists {
        projection: existing.projection.clone(),
        replica_set: existing.replica_set.clone(),
        number: existing.number,
        component: existing.digest.short(),
    }
}

/// Makes a component the first deployment of a projection.
pub(crate) async fn activate(
    store: &Store,
    runtime: &dyn Runtime,
    bytes: Vec<u8>,
    projection: &ProjectionName,
    replica_set: &ReplicaSet,
    settings: Settings,
) -> Result<Deployment, ActivateError> {
    let component = runtime.prepare(bytes.clone().into()).await?;
    let digest = component.digest();
    store.put_component(digest, &bytes).await?;
    let new = NewDeployment {
        projection: projection.clone(),
        replica_set: replica_set.clone(),
        digest,
        descriptor: component.descriptor().clone(),
        settings,
        author: wire::author(),
    };
    if let Some(deployment) = store.deploy(&new).await? {
        return Ok(deployment);
    }
    // Somebody else was faster. That does not matter if they meant the same.
    match store.find(projection).await? {
        Some(existing) if existing.digest == digest && existing.replica_set == *replica_set => Ok(existing),
        Some(existing) => Err(exists(&existing)),
        None => {
            Err(StoreError::Invalid { message: format!("the name `{projection}` cannot be taken") }.into())
        }
    }
}
