//! Has a projection run a component that a program brings with it: what demo, bench and programs that embed
//! Kennel have in common.

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Mode, Promotion};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::projection::{Deployment, Settings};

use crate::control::local::Local;
use crate::control::{Control as _, ControlError, Operation, Requester};
use crate::settings::ProjectionConfig;

/// Checks a component, stores it and deploys it. An older one goes on where it stands with the new code.
pub async fn activate(
    control: &Local,
    bytes: Vec<u8>,
    projection: &ProjectionName,
    replica_set: &ReplicaSet,
    settings: Settings,
) -> Result<Deployment, ControlError> {
    let component = Digest::of(&bytes);
    control.put_component(bytes).await?;
    let Settings { batch, on_failure, config, grants } = settings;
    let config = config.into_iter().map(|(key, value)| (key, Some(value))).collect();
    let deploy = Operation::Deploy {
        component,
        mode: Mode::Continue,
        promotion: Promotion::Auto,
        replica_set: Some(replica_set.clone()),
        settings: ProjectionConfig {
            batch: Some(batch),
            on_failure: Some(on_failure),
            config,
            grants: Some(grants),
        },
        force: false,
    };
    control.carry_out(projection, deploy, Requester::default()).await?;
    control.serving(projection).await
}
