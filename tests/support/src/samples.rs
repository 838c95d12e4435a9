//! Plain values to try a store or an engine with. A test changes the fields that matter to it:
//! `NewEvent { event_version: 2, ..event(1, "a") }`.

use kennel_core::digest::Digest;
use kennel_core::event::NewEvent;
use kennel_core::lifecycle::{Attribution, Deploy, Mode, Operation, OperationRequest, Promotion};
use kennel_core::name::ReplicaSet;
use kennel_core::projection::{
    Deployment, DeploymentId, Descriptor, Partitioning, ReadModelId, Scope, Settings,
};
use kennel_core::timestamp::Timestamp;
use uuid::Uuid;

/// Event number `number`, of aggregate `aggregate`.
#[must_use]
pub fn event(number: u128, aggregate: &str) -> NewEvent {
    NewEvent {
        bounded_context: "sales".to_owned(),
        aggregate_type: "order".to_owned(),
        aggregate_id: aggregate.to_owned(),
        aggregate_version: None,
        event_id: Uuid::from_u128(number),
        event_type: "order-placed".to_owned(),
        event_version: 1,
        payload: format!("{{\"number\":{number}}}").into_bytes(),
        metadata: None,
        trace_id: None,
        correlation_id: None,
        causation_id: None,
        created_at: Timestamp::new(1_700_000_000, 0),
    }
}

/// That of version 1 of a projection that wants every event and runs on one worker.
#[must_use]
pub fn descriptor(name: &str) -> Descriptor {
    Descriptor {
        name: name.to_owned(),
        version: "1".to_owned(),
        scope: Scope::default(),
        partitioning: Partitioning::Single,
        collections: Vec::new(),
    }
}

/// Deployment `number` of a projection, of the component with this digest; its read model has the same number.
///
/// # Panics
///
/// When no projection may have this name.
#[must_use]
pub fn deployment(projection: &str, number: u32, digest: Digest) -> Deployment {
    Deployment {
        id: DeploymentId::new(number.into()),
        projection: projection.parse().expect("the name of a projection"),
        replica_set: ReplicaSet::default(),
        number,
        digest,
        descriptor: descriptor(projection),
        settings: Settings::default(),
        read_model: ReadModelId::new(number.into()),
    }
}

/// Deploys the component of these bytes, to go on with the read model that serves.
#[must_use]
pub fn deploy(bytes: &[u8], descriptor: Descriptor) -> Deploy {
    Deploy {
        digest: Digest::of(bytes),
        descriptor,
        settings: Settings::default(),
        settings_from: None,
        mode: Mode::Continue,
        promotion: Promotion::Auto,
        replica_set: None,
        force: false,
    }
}

/// An operation with an actor, and a reason that is not easy to quote.
#[must_use]
pub fn request(operation: Operation) -> OperationRequest {
    let attribution = Attribution { actor: "me".to_owned(), reason: Some("wärum \"not\"".to_owned()) };
    OperationRequest { operation, attribution, expected_deployment: None }
}
