//! The operations on a store that this process has opened.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{self, Activity, Command, Declined, Entry, Lifecycle, Mode, Request, Signature};
use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    Changed, Coordination as _, EventSource as _, ProjectionProgress, Registry as _, Runtime, StoreError,
};
use kennel_core::position::Position;
use kennel_core::projection::Settings;
use tokio::sync::Mutex;

use super::diff::Comparison;
use super::status::StatusView;
use super::view::{
    ChangeView, CollectionDiff, ComponentView, DiffView, OrderView, ProjectionView, Side, Verdict,
};
use super::{Action, By, Control, ControlError, DeployOrder, diff};
use crate::wire::{self, Store};

/// Most documents of a collection that a comparison shows.
const SAMPLES_MAX: usize = 1000;

/// The operations on a store.
#[derive(Clone)]
pub struct Local {
    store: Store,
    /// Checks components.
    runtime: Arc<dyn Runtime>,
    /// Held while a component is checked before it is stored, which may mean to compile it: what this process has to load
    /// for itself waits for one of these at most.
    checking: Arc<Mutex<()>>,
    stale_after: Duration,
    /// Told of even if nothing is deployed to it, and where new projections go.
    replica_set: ReplicaSet,
    /// Who gives orders that do not say it.
    author: String,
}

impl std::fmt::Debug for Local {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Local {
    /// Operations on `store` by this process's user.
    #[must_use]
    pub fn new(store: Store, runtime: Arc<dyn Runtime>) -> Self {
        let (stale_after, replica_set) = (limits::STALE_AFTER, ReplicaSet::default());
        Self { store, runtime, checking: Arc::default(), stale_after, replica_set, author: wire::author() }
    }

    /// Names whoever gives orders that do not say it.
    #[must_use]
    pub fn author(self, author: impl Into<String>) -> Self {
        Self { author: author.into(), ..self }
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

    async fn request(
        &self,
        name: &ProjectionName,
        command: Command,
        by: By,
    ) -> Result<ChangeView, ControlError> {
        by.check()?;
        let note = by.note.filter(|note| !note.is_empty());
        let signature = Signature { author: by.author.unwrap_or_else(|| self.author.clone()), note };
        let request = Request { command, signature, seen: by.seen };
        let Changed { lifecycle, number, changed } = self.store.change(name, &request).await??;
        let projection = self.view(&lifecycle).await?;
        Ok(ChangeView { changed, deployment: number, projection })
    }

    async fn found(&self, name: &ProjectionName) -> Result<Lifecycle, ControlError> {
        let found = self.store.lifecycle(name).await?;
        Ok(found.ok_or_else(|| Declined::Missing(name.clone()))?)
    }

    async fn view(&self, lifecycle: &Lifecycle) -> Result<ProjectionView, StoreError> {
        let head = self.store.horizon().await?.head;
        let progress = self.store.progress().await?;
        self.view_among(lifecycle, &progress, head).await
    }

    async fn view_among(
        &self,
        lifecycle: &Lifecycle,
        progress: &[ProjectionProgress],
        head: Position,
    ) -> Result<ProjectionView, StoreError> {
        let workers = self.store.view(&lifecycle.replica_set, self.stale_after).await?.alive().len();
        Ok(ProjectionView::new(lifecycle, progress, head, workers))
    }

    /// Deploys to a projection as it was found: what its author has seen, and whose settings it inherits.
    async fn deploy_to(
        &self,
        name: &ProjectionName,
        found: Option<&Lifecycle>,
        order: DeployOrder,
    ) -> Result<ChangeView, ControlError> {
        let live = found.and_then(Lifecycle::live).map(|live| &live.deployment);
        let settings = live.map_or_else(Settings::default, |live| live.settings.clone());
        // One that was never deployed may be about to be removed: now it is not.
        if !self.store.keep_component(order.component).await? {
            return Err(ControlError::NoComponent(order.component));
        }
        let bytes = self.component(order.component).await?;
        let component = self.runtime.prepare(bytes.into()).await?;
        let deploy = lifecycle::Deploy {
            digest: order.component,
            descriptor: component.descriptor().clone(),
            settings: order.settings.over(settings),
            settings_of: live.map(|live| live.number),
            mode: order.mode,
            switch: order.switch,
            // One that exists stays where it is.
            replica_set: order.replica_set.or_else(|| found.is_none().then(|| self.replica_set.clone())),
            again: order.again,
        };
        let latest = found.map_or(0, Lifecycle::latest);
        let by = By { author: order.author, note: order.note, seen: Some(order.seen.unwrap_or(latest)) };
        self.request(name, Command::Deploy(Box::new(deploy)), by).await
    }
}

#[async_trait]
impl Control for Local {
    async fn status(&self) -> Result<StatusView, ControlError> {
        Ok(StatusView::look(&self.store, &self.replica_set, self.stale_after).await?)
    }

    async fn projections(&self) -> Result<Vec<ProjectionView>, ControlError> {
        let head = self.store.horizon().await?.head;
        let progress = self.store.progress().await?;
        let mut views = Vec::new();
        for name in self.store.projections().await? {
            // One that has vanished meanwhile is not there.
            if let Some(lifecycle) = self.store.lifecycle(&name).await? {
                views.push(self.view_among(&lifecycle, &progress, head).await?);
            }
        }
        Ok(views)
    }

    async fn projection(&self, name: &ProjectionName) -> Result<ProjectionView, ControlError> {
        let lifecycle = self.found(name).await?;
        Ok(self.view(&lifecycle).await?)
    }

    async fn orders(&self, name: &ProjectionName) -> Result<Vec<OrderView>, ControlError> {
        self.found(name).await?;
        Ok(self.store.orders(name).await?.into_iter().map(OrderView::new).collect())
    }

    async fn components(&self) -> Result<Vec<ComponentView>, ControlError> {
        Ok(self.store.components().await?.iter().map(ComponentView::new).collect())
    }

    async fn component(&self, digest: Digest) -> Result<Vec<u8>, ControlError> {
        let bytes = self.store.component(digest).await?.ok_or(ControlError::NoComponent(digest))?;
        if Digest::of(&bytes) == digest {
            return Ok(bytes);
        }
        let source = format!("component {digest} is damaged: store it again").into();
        Err(StoreError::Failed { doing: "reading a component".to_owned(), source }.into())
    }

    async fn put_component(&self, bytes: Vec<u8>) -> Result<ComponentView, ControlError> {
        // Nothing that cannot run is ever stored, so that what is stored already need not be checked.
        let digest = Digest::of(&bytes);
        if !self.store.keep_component(digest).await? && self.runtime.find(digest).await.is_none() {
            let _turn = self.checking.lock().await;
            self.runtime.prepare(bytes.clone().into()).await?;
        }
        self.store.put_component(digest, &bytes).await?;
        let stored = self.store.components().await?;
        let found = stored.iter().find(|stored| stored.digest == digest).map(ComponentView::new);
        found.ok_or(ControlError::NoComponent(digest))
    }

    async fn deploy(&self, name: &ProjectionName, order: DeployOrder) -> Result<ChangeView, ControlError> {
        let found = self.store.lifecycle(name).await?;
        self.deploy_to(name, found.as_ref(), order).await
    }

    async fn act(&self, name: &ProjectionName, action: Action, by: By) -> Result<ChangeView, ControlError> {
        let command = match action {
            Action::Rebuild { switch } => {
                let lifecycle = self.found(name).await?;
                let live = lifecycle.live().filter(|_| lifecycle.activity != Activity::Retired);
                let live = live.ok_or_else(|| Declined::Retired(name.clone()))?;
                let By { author, note, seen } = by;
                let order = DeployOrder {
                    mode: Mode::Rebuild,
                    switch,
                    again: true,
                    author,
                    note,
                    seen,
                    ..DeployOrder::of(live.deployment.digest)
                };
                return self.deploy_to(name, Some(&lifecycle), order).await;
            }
            Action::Rollback { to } => Command::Rollback { to },
            Action::Switch => Command::Switch,
            Action::Cancel => Command::Cancel,
            Action::Pause => Command::Pause,
            Action::Resume => Command::Resume,
            Action::Retire { drop } => Command::Retire { drop },
            Action::AcceptLog { after } => Command::AcceptLog { after: Position::new(after) },
        };
        self.request(name, command, by).await
    }

    async fn diff(&self, name: &ProjectionName, samples: usize) -> Result<DiffView, ControlError> {
        if samples > SAMPLES_MAX {
            let message = format!("at most {SAMPLES_MAX} documents of a collection are shown, not {samples}");
            return Err(ControlError::Invalid(message));
        }
        let lifecycle = self.found(name).await?;
        // Without one that serves it is retired, and its read models are gone.
        let live = lifecycle.live().ok_or_else(|| Declined::Retired(name.clone()))?;
        let serving = live.deployment.read_model;
        let kept = lifecycle.history.iter().rev().find(|entry| {
            let read_model = entry.deployment.read_model;
            read_model != serving && lifecycle.read_models.contains(&read_model)
        });
        let other = lifecycle.candidate().or(kept);
        let other = other.ok_or_else(|| ControlError::NothingToCompare(name.clone()))?;
        let models = [serving, other.deployment.read_model];
        let Comparison { positions, level, collections } =
            diff::compare(&self.store, models, samples).await?;
        let verdict = if collections.iter().any(CollectionDiff::differs) {
            Verdict::Different
        } else if level || collections.iter().all(|one| one.in_motion == 0) {
            Verdict::Identical
        } else {
            Verdict::Undecided
        };
        let side = |entry: &Entry, position: Position| Side {
            deployment: entry.deployment.number,
            position: position.get(),
        };
        Ok(DiffView {
            projection: name.to_string(),
            serving: side(live, positions[0]),
            other: side(other, positions[1]),
            collections,
            verdict,
        })
    }
}
