//! The operations on a store that this process has opened.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::grant;
use kennel_core::lifecycle::{
    self, Activity, Attribution, Entry, Lifecycle, Mode, OperationRequest, Promotion, Rejected,
};
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{Changed, Component, ProjectionProgress, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, Settings};
use kennel_engine::Ports;

use super::diff::Comparison;
use super::status::StatusView;
use super::view::{
    ChangeView, CollectionDiff, ComponentView, DiffVerdict, DiffView, OperationView, ProjectionView, Side,
};
use super::{Control, ControlError, Operation, Requester, diff};
use crate::wire;

/// Most documents of a collection that a comparison shows.
const SAMPLES_MAX: usize = 1000;

/// The operations on a store.
#[derive(Clone)]
pub struct Local {
    ports: Ports,
    /// Held while a component is checked before it is stored, which may mean to compile it: what this process has to load
    /// for itself waits for one of these at most.
    checking: Arc<tokio::sync::Mutex<()>>,
    /// The component that was prepared last, so that it is still ready when it is deployed, and when this process begins
    /// to run it. One that nothing holds would have to be loaded again each time, or compiled where no code is kept.
    latest: Arc<Mutex<Option<Arc<dyn Component>>>>,
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
        Self {
            ports,
            checking: Arc::default(),
            latest: Arc::default(),
            stale_after,
            replica_set,
            actor: wire::actor(),
        }
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

    /// The deployment of a projection that serves.
    pub(crate) async fn serving(&self, name: &ProjectionName) -> Result<Deployment, ControlError> {
        let found = self.ports.deployments.find(name).await?;
        Ok(found.ok_or_else(|| Rejected::Missing(name.clone()))?)
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

    /// The operation as a store carries it out, and the deployment that its actor expects if the request names none.
    async fn lowered(
        &self,
        name: &ProjectionName,
        operation: Operation,
    ) -> Result<(lifecycle::Operation, Option<u32>), ControlError> {
        let lowered = match operation {
            Operation::Deploy { component, mode, promotion, replica_set, settings, force } => {
                let found = self.ports.deployments.lifecycle(name).await?;
                let serving = found.as_ref().and_then(Lifecycle::serving).map(|serving| &serving.deployment);
                let inherited = serving.map_or_else(Settings::default, |serving| serving.settings.clone());
                let settings = settings.over(inherited);
                let deploy = lifecycle::Deploy {
                    digest: component,
                    descriptor: self.prepared(component, &settings).await?.descriptor().clone(),
                    settings,
                    settings_from: serving.map(|serving| serving.number),
                    mode,
                    promotion,
                    // One that exists stays where it is.
                    replica_set: replica_set.or_else(|| found.is_none().then(|| self.replica_set.clone())),
                    force,
                };
                let latest = found.as_ref().map_or(0, Lifecycle::latest);
                return Ok((lifecycle::Operation::Deploy(Box::new(deploy)), Some(latest)));
            }
            Operation::Rebuild { promotion } => {
                let found = self.found(name).await?;
                let deploy = self.rebuild(&found, promotion).await?;
                return Ok((lifecycle::Operation::Rebuild(Box::new(deploy)), Some(found.latest())));
            }
            Operation::Rollback { to } => lifecycle::Operation::Rollback { to },
            Operation::Promote => lifecycle::Operation::Promote,
            Operation::Cancel => lifecycle::Operation::Cancel,
            Operation::Pause => lifecycle::Operation::Pause,
            Operation::Resume => lifecycle::Operation::Resume,
            Operation::Retire { drop_read_model } => lifecycle::Operation::Retire { drop: drop_read_model },
            Operation::AcceptLog { after } => lifecycle::Operation::AcceptLog { after: Position::new(after) },
        };
        Ok((lowered, None))
    }

    /// The deployment that serves once more, with a read model of its own.
    async fn rebuild(
        &self,
        found: &Lifecycle,
        promotion: Promotion,
    ) -> Result<lifecycle::Deploy, ControlError> {
        let serving = found.serving().filter(|_| found.activity != Activity::Retired);
        let serving = serving.ok_or_else(|| Rejected::Retired(found.projection.clone()))?;
        let Deployment { number, digest, settings, .. } = &serving.deployment;
        Ok(lifecycle::Deploy {
            digest: *digest,
            descriptor: self.prepared(*digest, settings).await?.descriptor().clone(),
            settings: settings.clone(),
            settings_from: Some(*number),
            mode: Mode::Rebuild,
            promotion,
            replica_set: None,
            force: true,
        })
    }

    /// A component that the store holds, ready to run. The settings have to grant what it needs.
    async fn prepared(
        &self,
        digest: Digest,
        settings: &Settings,
    ) -> Result<Arc<dyn Component>, ControlError> {
        // One that was never deployed may be about to be removed: now it is not.
        if !self.ports.components.keep_component(digest).await? {
            return Err(ControlError::NoComponent(digest));
        }
        // Other hosts have only these bytes, also where this one has the code already.
        let bytes = self.component(digest).await?;
        let component = match self.ports.runtime.find(digest).await {
            Some(component) => component,
            None => self.ports.runtime.prepare(bytes.into()).await?,
        };
        grant::check(&settings.grants, &self.ports.runtime.grants(), component.needed_grants())?;
        self.keep_ready(&component);
        Ok(component)
    }

    /// Keeps a component ready until the next one.
    fn keep_ready(&self, component: &Arc<dyn Component>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(component));
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
        if !self.ports.components.keep_component(digest).await? {
            let component = match self.ports.runtime.find(digest).await {
                Some(component) => component,
                None => {
                    let _permit = self.checking.lock().await;
                    self.ports.runtime.prepare(bytes.clone().into()).await?
                }
            };
            self.keep_ready(&component);
        }
        self.ports.components.put_component(digest, &bytes).await?;
        let stored = self.ports.components.components().await?;
        let found = stored.iter().find(|stored| stored.digest == digest).map(ComponentView::new);
        found.ok_or(ControlError::NoComponent(digest))
    }

    async fn carry_out(
        &self,
        name: &ProjectionName,
        operation: Operation,
        requester: Requester,
    ) -> Result<ChangeView, ControlError> {
        requester.check()?;
        let (operation, latest) = self.lowered(name, operation).await?;
        let Requester { actor, reason, expected_deployment } = requester;
        let reason = reason.filter(|reason| !reason.is_empty());
        let attribution = Attribution { actor: actor.unwrap_or_else(|| self.actor.clone()), reason };
        let request =
            OperationRequest { operation, attribution, expected_deployment: expected_deployment.or(latest) };
        let Changed { lifecycle, number, changed } =
            self.ports.deployments.carry_out(name, &request).await??;
        let projection = self.view(&lifecycle).await?;
        Ok(ChangeView { changed, deployment: number, projection })
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
