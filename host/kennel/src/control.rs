//! The operations on projections, for people and pipelines: one set, whether on a store ([`local`]) or
//! through the API of a host that runs (`remote` of the crate `kennel_cli`). The command line and the API both speak to
//! this.

pub mod collections;
pub mod diff;
pub mod error;
pub mod local;
pub mod operation;
pub mod partitions;
pub mod replica_set;
pub mod status;
pub mod view;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::name::ProjectionName;

use self::status::StatusView;
use self::view::{ChangeView, ComponentView, DiffView, OperationView, ProjectionView};

pub use error::{ControlError, ControlErrorKind};
pub use operation::{Operation, Requester};

/// The operations.
#[async_trait]
pub trait Control: Send + Sync {
    /// How everything is doing.
    async fn status(&self) -> Result<StatusView, ControlError>;

    /// All projections, by name; those that are retired as well.
    async fn projections(&self) -> Result<Vec<ProjectionView>, ControlError>;

    /// One projection with its whole history.
    async fn projection(&self, name: &ProjectionName) -> Result<ProjectionView, ControlError>;

    /// The operations on a projection that were carried out, the oldest first.
    async fn operations(&self, name: &ProjectionName) -> Result<Vec<OperationView>, ControlError>;

    /// The components that the store holds, the latest first.
    async fn components(&self) -> Result<Vec<ComponentView>, ControlError>;

    /// The bytes of a component that the store holds.
    async fn component(&self, digest: Digest) -> Result<Vec<u8>, ControlError>;

    /// Checks a component and stores it. Stored again, it is kept on, and repaired if it was damaged.
    async fn put_component(&self, bytes: Vec<u8>) -> Result<ComponentView, ControlError>;

    /// Carries out an operation on a projection.
    async fn carry_out(
        &self,
        name: &ProjectionName,
        operation: Operation,
        requester: Requester,
    ) -> Result<ChangeView, ControlError>;

    /// Compares the read model that serves with the one that is being built, or with the one that served before.
    async fn diff(&self, name: &ProjectionName, samples: usize) -> Result<DiffView, ControlError>;
}
