//! Has a projection run a component that a program brings with it: what demo, bench and programs that embed
//! Kennel have in common.

use kennel_core::lifecycle::Rejected;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::projection::{Deployment, Settings};

use crate::control::local::Local;
use crate::control::{Control as _, ControlError, DeployRequest};
use crate::settings::ProjectionConfig;
use kennel_engine::Ports;

/// Checks a component, stores it and deploys it. An older one goes on where it stands with the new code.
pub async fn activate(
    ports: &Ports,
    bytes: Vec<u8>,
    projection: &ProjectionName,
    replica_set: &ReplicaSet,
    settings: Settings,
) -> Result<Deployment, ControlError> {
    let digest = ports.runtime.prepare(bytes.clone().into()).await?.digest();
    ports.components.put_component(digest, &bytes).await?;
    let Settings { batch, on_failure, config } = settings;
    let config = config.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let request = DeployRequest {
        replica_set: Some(replica_set.clone()),
        settings: ProjectionConfig { batch: Some(batch), on_failure: Some(on_failure), config },
        ..DeployRequest::of(digest)
    };
    Local::new(ports.clone()).deploy(projection, request).await?;
    let found = ports.deployments.find(projection).await?;
    found.ok_or_else(|| Rejected::Missing(projection.clone()).into())
}
