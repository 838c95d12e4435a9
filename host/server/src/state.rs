//! What the operations of /v1 work with, and the count of their outcomes.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use kennel::control::view::ChangeView;
use kennel::control::{Control, ControlError, ControlErrorKind, Operation, Requester};
use kennel_core::lifecycle::OperationKind;
use kennel_core::name::ProjectionName;
use kennel_engine::metrics::{DeploymentOutcome, ReplicaSetMetrics};

use super::answers::Components;
use super::problem::Problem;
use super::request_limits::{Permits, Room};

/// What the operations work with. Clones share it.
#[derive(Clone)]
pub(super) struct ApiState {
    pub(super) control: Arc<dyn Control>,
    pub(super) compiling: Permits,
    pub(super) comparing: Permits,
    pub(super) room: Room,
    pub(super) components: Components,
    /// The document that describes the operations.
    pub(super) document: Bytes,
    metrics: ReplicaSetMetrics,
}

impl ApiState {
    pub(super) fn new(control: Arc<dyn Control>, metrics: ReplicaSetMetrics, document: Bytes) -> Self {
        let (compiling, comparing, room) = (Permits::default(), Permits::default(), Room::default());
        let components = Components::default();
        Self { control, compiling, comparing, room, components, document, metrics }
    }

    /// Carries out an operation, counts its outcome, and puts it into the answer. Few that may compile are at work at
    /// once.
    pub(super) async fn carry_out(
        &self,
        name: &ProjectionName,
        request: impl Into<(Operation, Requester)>,
    ) -> Result<Json<ChangeView>, Problem> {
        let (operation, requester) = request.into();
        let _permit = match operation.kind() {
            OperationKind::Deploy | OperationKind::Rebuild => Some(self.compiling.take().await?),
            _ => None,
        };
        let result = self.control.carry_out(name, operation, requester).await;
        self.count(result.as_ref());
        Ok(Json(result?))
    }

    /// Counts the outcome of an operation.
    pub(super) fn count(&self, result: Result<&ChangeView, &ControlError>) {
        let outcome = match result.map_err(ControlError::kind) {
            Ok(change) if change.changed => DeploymentOutcome::Accepted,
            Ok(_) => DeploymentOutcome::Unchanged,
            Err(ControlErrorKind::Unsupported) => DeploymentOutcome::Unsupported,
            Err(
                ControlErrorKind::Invalid
                | ControlErrorKind::Forbidden
                | ControlErrorKind::NotFound
                | ControlErrorKind::Conflict,
            ) => DeploymentOutcome::Rejected,
            // A failure of the host says nothing of the operation.
            Err(ControlErrorKind::Unavailable | ControlErrorKind::Failed) => return,
        };
        self.metrics.count_deployment(outcome);
    }
}
