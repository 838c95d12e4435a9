//! The operations on a store that this process has opened.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{
    self, Activity, Attribution, Entry, Lifecycle, Mode, Operation, OperationRequest, Rejected,
};
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{Changed, ProjectionProgress, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::Settings;
use kennel_engine::Ports;
use tokio::sync::Mutex;

use super::diff::Comparison;
use super::status::StatusView;
use super::view::{
    ChangeView, CollectionDiff, ComponentView, DiffVerdict, DiffView, OperationView, ProjectionView, Side,
};
use super::{Action, By, Control, ControlError, DeployRequest, diff};
use crate::wire;

/// Most documents of a collection that a comparison shows.
const SAMPLES_MAX: usize = 1000;

/// The operations on a store.
#[derive(Clone)]
pub struct Local {
    ports: Ports,
    /// Held while a component is checked before it is stored, which may mean to compile it: what this process has to load
    /// for itself waits for one of these at most.
    checking: Arc<Mutex<()>>,
    stale_after: Duration,
    /// Reported even if nothing is deployed to it, and where new projections go.
    replica_set: ReplicaSet,
    /// The actor of requests that name none.
    actor: String,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("ports", &self.ports).finish_non_exhaustive()
    }
}

impl Local {
    /// Operations through `ports` by this process's user.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        let (stale_after, replica_set) = (limits::STALE_AFTER, ReplicaSet::default());
        Self { ports, checking: Arc::default(), stale_after, replica_set, actor: wire::actor() }
    }

    /// With this actor for requests that name none.
    #[must_use]
    pub fn actor(self, actor: impl Into<String>) -> Self {
        Self { actor: actor.into(), ..self }
    }

    /// The replica set that a process of this configuration works for.
    #[must_use]
    pub fn replica_set(self, replica_set: ReplicaSet) -> Self {
        Self { replica_set, ..self }
    }

    /// The age of its last heartbeat at which a worker counts as dead.
    #[must_use]
    pub fn stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }

    async fn carry_out(
        &self,
        name: &ProjectionName,
        operation: Operation,
        by: By,
    ) -> Result<ChangeView, ControlError> {
        by.check()?;
        let reason = by.reason.filter(|reason| !reason.is_empty());
        let attribution = Attribution { actor: by.actor.unwrap_or_else(|| self.actor.clone()), reason };
        let request =
            OperationRequest { operation, attribution, expected_deployment: by.expected_deployment };
        let Changed { lifecycle, number, changed } = self.ports.deployments.change(name, &request).await??;
        let projection = self.view(&lifecycle).await?;
        Ok(ChangeView { changed, deployment: number, projection })
    }

    async fn found(&self, name: &ProjectionName) -> Result<Lifecycle, ControlError> {
        let found = self.ports.deployments.lifecycle(name).await?;
        Ok(found.ok_or_else(|| Rejected::Missing(name.clone()))?)
    }

    async fn view(&self, lifecycle: &Lifecycle) -> Result<ProjectionView, StoreError> {
        let head = self.ports.log.high_water_mark().await?.head;
        let progress = self.ports.reports.progress().await?;
        self.view_among(lifecycle, &progress, head).await
    }

    async fn view_among(
        &self,
        lifecycle: &Lifecycle,
        progress: &[ProjectionProgress],
        head: Position,
    ) -> Result<ProjectionView, StoreError> {
        let workers =
            self.ports.coordination.view(&lifecycle.replica_set, self.stale_after).await?.alive().len();
        Ok(ProjectionView::new(lifecycle, progress, head, workers))
    }

    /// Deploys to a projection as it was found: the expected deployment, and the settings that are inherited.
    async fn deploy_to(
        &self,
        name: &ProjectionName,
        found: Option<&Lifecycle>,
        request: DeployRequest,
    ) -> Result<ChangeView, ControlError> {
        let serving = found.and_then(Lifecycle::serving).map(|serving| &serving.deployment);
        let settings = serving.map_or_else(Settings::default, |serving| serving.settings.clone());
        // One that was never deployed may be about to be removed: now it is not.
        if !self.ports.components.keep_component(request.component).await? {
            return Err(ControlError::NoComponent(request.component));
        }
        let bytes = self.component(request.component).await?;
        let component = self.ports.runtime.prepare(bytes.into()).await?;
        let deploy = lifecycle::Deploy {
            digest: request.component,
            descriptor: component.descriptor().clone(),
            settings: request.settings.over(settings),
            settings_from: serving.map(|serving| serving.number),
            mode: request.mode,
            promotion: request.promotion,
            // One that exists stays where it is.
            replica_set: request.replica_set.or_else(|| found.is_none().then(|| self.replica_set.clone())),
            force: request.force,
        };
        let latest = found.map_or(0, Lifecycle::latest);
        let by = By {
            actor: request.actor,
            reason: request.reason,
            expected_deployment: Some(request.expected_deployment.unwrap_or(latest)),
        };
        self.carry_out(name, Operation::Deploy(Box::new(deploy)), by).await
    }
}

#[async_trait]
impl Control for Local {
    async fn status(&self) -> Result<StatusView, ControlError> {
        Ok(StatusView::look(&self.ports, &self.replica_set, self.stale_after).await?)
    }

    async fn projections(&self) -> Result<Vec<ProjectionView>, ControlError> {
        let head = self.ports.log.high_water_mark().await?.head;
        let progress = self.ports.reports.progress().await?;
        let mut views = Vec::new();
        for name in self.ports.deployments.projections().await? {
            // One that has vanished meanwhile is not there.
            if let Some(lifecycle) = self.ports.deployments.lifecycle(&name).await? {
                views.push(self.view_among(&lifecycle, &progress, head).await?);
            }
        }
        Ok(views)
    }

    async fn projection(&self, name: &ProjectionName) -> Result<ProjectionView, ControlError> {
        let lifecycle = self.found(name).await?;
        Ok(self.view(&lifecycle).await?)
    }

    async fn operations(&self, name: &ProjectionName) -> Result<Vec<OperationView>, ControlError> {
        self.found(name).await?;
        Ok(self.ports.deployments.operations(name).await?.into_iter().map(OperationView::new).collect())
    }

    async fn components(&self) -> Result<Vec<ComponentView>, ControlError> {
        Ok(self.ports.components.components().await?.iter().map(ComponentView::new).collect())
    }

    async fn component(&self, digest: Digest) -> Result<Vec<u8>, ControlError> {
        let bytes =
            self.ports.components.component(digest).await?.ok_or(ControlError::NoComponent(digest))?;
        if Digest::of(&bytes) == digest {
            return Ok(bytes);
        }
        let source = format!("component {digest} is damaged: store it again").into();
        Err(StoreError::Failed { doing: "reading a component".to_owned(), source }.into())
    }

    async fn put_component(&self, bytes: Vec<u8>) -> Result<ComponentView, ControlError> {
        // Nothing that cannot run is ever stored, so that a stored component need not be checked.
        let digest = Digest::of(&bytes);
        if !self.ports.components.keep_component(digest).await?
            && self.ports.runtime.find(digest).await.is_none()
        {
            let _permit = self.checking.lock().await;
            self.ports.runtime.prepare(bytes.clone().into()).await?;
        }
        self.ports.components.put_component(digest, &bytes).await?;
        let stored = self.ports.components.components().await?;
        let found = stored.iter().find(|stored| stored.digest == digest).map(ComponentView::new);
        found.ok_or(ControlError::NoComponent(digest))
    }

    async fn deploy(
        &self,
        name: &ProjectionName,
        request: DeployRequest,
    ) -> Result<ChangeView, ControlError> {
        let found = self.ports.deployments.lifecycle(name).await?;
        self.deploy_to(name, found.as_ref(), request).await
    }

    async fn act(&self, name: &ProjectionName, action: Action, by: By) -> Result<ChangeView, ControlError> {
        let operation = match action {
            Action::Rebuild { promotion } => {
                let lifecycle = self.found(name).await?;
                let serving = lifecycle.serving().filter(|_| lifecycle.activity != Activity::Retired);
                let serving = serving.ok_or_else(|| Rejected::Retired(name.clone()))?;
                let By { actor, reason, expected_deployment } = by;
                let request = DeployRequest {
                    mode: Mode::Rebuild,
                    promotion,
                    force: true,
                    actor,
                    reason,
                    expected_deployment,
                    ..DeployRequest::of(serving.deployment.digest)
                };
                return self.deploy_to(name, Some(&lifecycle), request).await;
            }
            Action::Rollback { to } => Operation::Rollback { to },
            Action::Promote => Operation::Promote,
            Action::Cancel => Operation::Cancel,
            Action::Pause => Operation::Pause,
            Action::Resume => Operation::Resume,
            Action::Retire { drop } => Operation::Retire { drop },
            Action::AcceptLog { after } => Operation::AcceptLog { after: Position::new(after) },
        };
        self.carry_out(name, operation, by).await
    }

    async fn diff(&self, name: &ProjectionName, samples: usize) -> Result<DiffView, ControlError> {
        if samples > SAMPLES_MAX {
            let message = format!("at most {SAMPLES_MAX} documents of a collection are shown, not {samples}");
            return Err(ControlError::Invalid(message));
        }
        let lifecycle = self.found(name).await?;
        // Without one that serves it is retired, and its read models are gone.
        let serving = lifecycle.serving().ok_or_else(|| Rejected::Retired(name.clone()))?;
        let served = serving.deployment.read_model;
        let kept = lifecycle.history.iter().rev().find(|entry| {
            let read_model = entry.deployment.read_model;
            read_model != served && lifecycle.read_models.contains(&read_model)
        });
        let other = lifecycle.candidate().or(kept);
        let other = other.ok_or_else(|| ControlError::NothingToCompare(name.clone()))?;
        let models = [served, other.deployment.read_model];
        let Comparison { positions, caught_up, collections } =
            diff::compare(&self.ports, models, samples).await?;
        let verdict = if collections.iter().any(CollectionDiff::differs) {
            DiffVerdict::Different
        } else if caught_up || collections.iter().all(|one| one.in_motion == 0) {
            DiffVerdict::Identical
        } else {
            DiffVerdict::Undecided
        };
        let side = |entry: &Entry, position: Position| Side {
            deployment: entry.deployment.number,
            position: position.get(),
        };
        Ok(DiffView {
            projection: name.to_string(),
            serving: side(serving, positions[0]),
            other: side(other, positions[1]),
            collections,
            verdict,
        })
    }
}
