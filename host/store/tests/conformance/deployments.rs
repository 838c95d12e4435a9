//! Components, deployments and what is reported about them.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::digest::Digest;
use kennel_core::failure::{EventFailure, FailureKind};
use kennel_core::port::{NewDeployment, ProjectionState};
use kennel_core::position::Position;
use uuid::Uuid;

use super::{Ports, deploy, new_deployment, replica_set};

pub(crate) async fn components_are_kept_by_digest(store: &dyn Ports) {
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::of(&bytes);
    assert_eq!(store.component(digest).await.unwrap(), None);
    store.put_component(digest, &bytes).await.unwrap();
    store.put_component(digest, &bytes).await.unwrap();
    assert_eq!(store.component(digest).await.unwrap(), Some(bytes));
}

pub(crate) async fn a_name_is_deployed_once(store: &dyn Ports) {
    let deployed = deploy(store, "order-summary").await;
    assert_eq!(deployed.number, 1);
    assert!(store.deploy(&new_deployment("order-summary")).await.unwrap().is_none());
    let asked = new_deployment("order-summary");
    let found = store.find(&asked.projection).await.unwrap().unwrap();
    assert_eq!(found, deployed);
    assert_eq!(
        (found.descriptor, found.settings, found.digest),
        (asked.descriptor, asked.settings, asked.digest)
    );
    assert_eq!(store.find(&"nobody".parse().unwrap()).await.unwrap(), None);
}

pub(crate) async fn deployments_are_listed_by_replica_set_and_name(store: &dyn Ports) {
    for name in ["b-c", "a", "b_c", "b"] {
        deploy(store, name).await;
    }
    let other = NewDeployment { replica_set: "other".parse().unwrap(), ..new_deployment("elsewhere") };
    store.deploy(&other).await.unwrap().unwrap();
    let names = |list: Vec<kennel_core::projection::Deployment>| {
        list.into_iter().map(|one| one.projection.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(store.active(&replica_set()).await.unwrap()), ["a", "b", "b-c", "b_c"]);
    assert_eq!(names(store.active(&"other".parse().unwrap()).await.unwrap()), ["elsewhere"]);
    assert!(store.active(&"none".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(store.progress().await.unwrap().len(), 5);
}

pub(crate) async fn progress_tells_state_and_last_failure(store: &dyn Ports) {
    assert!(store.progress().await.unwrap().is_empty());
    let deployment = deploy(store, "order-summary").await;
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!((progress.state, progress.last_failure), (ProjectionState::Running, None));
    assert_eq!((progress.checkpoints, progress.dead_letters), (vec![Checkpoint::UNTOUCHED], 0));
    let failure = EventFailure {
        position: Position::new(7),
        event_id: Uuid::from_u128(7),
        event_type: "t".to_owned(),
        aggregate_id: "a\0'\"".to_owned(),
        digest: deployment.digest,
        kind: FailureKind::TimeLimit,
        message: "m".repeat(4096),
        attempts: 2,
    };
    store.report(deployment.id, ProjectionState::Retrying, Some(&failure)).await.unwrap();
    store.report(deployment.id, ProjectionState::Halted, None).await.unwrap();
    let progress = store.progress().await.unwrap().remove(0);
    assert_eq!((progress.state, progress.last_failure), (ProjectionState::Halted, Some(failure)));
}
