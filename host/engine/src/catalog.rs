//! Watches the deployments of the replica set and gets their components ready to run.
//!
//! Components are loaded in the background, each by itself: whichever is ready runs, and until the one of a new
//! deployment is ready, the deployment before it goes on. Those whose code was kept need not wait for those that have
//! to be compiled. One that cannot be loaded disturbs no other; it is tried again, less and less often, and the reason
//! is shown in the status; for a candidate, in that of its deployment.
//!
//! What to load and what to run is decided in `known`; this file only does it.

mod known;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::digest::Digest;
use kennel_core::lifecycle::Role;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Component, Runtime, StoreError};
use kennel_core::projection::DeploymentId;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::loaded::Loaded;
use crate::metrics::{ProgressGauge, ReplicaSetMetrics};
use crate::ports::{ConditionReports, DeploymentSource};
use crate::shutdown::Shutdown;
use crate::status::{Part, Status};
use known::{Failure, Known, LoadCondition, Unloaded, Way};

/// The deployments that the process should run, by name of the projection.
pub type Catalog = Arc<Vec<Loaded>>;

/// Keeps the catalog up to date.
pub struct CatalogWatcher {
    pub source: Arc<dyn DeploymentSource>,
    pub reports: Arc<dyn ConditionReports>,
    pub runtime: Arc<dyn Runtime>,
    pub replica_set: ReplicaSet,
    /// The name of this machine.
    pub host: String,
    pub interval: Duration,
    /// A component that cannot be loaded is tried again after `interval`, then after twice as long each time, up
    /// to this.
    pub load_pause_max: Duration,
    pub status: Arc<Status>,
    pub metrics: ReplicaSetMetrics,
}

impl std::fmt::Debug for CatalogWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogWatcher").field("replica_set", &self.replica_set).finish_non_exhaustive()
    }
}

/// A component that was loaded, or why it could not be.
type Prepared = Result<Arc<dyn Component>, Unloaded>;

/// The state of a watcher.
#[derive(Default)]
struct Work {
    known: Known,
    loading: JoinSet<Prepared>,
    tasks: HashMap<Digest, AbortHandle>,
    /// Of projections that are halted because nothing can be loaded for them, as the metrics report.
    unloadable: Vec<ProgressGauge>,
    /// The parts that the status shows as blocked because of components.
    blocked: BTreeSet<Part>,
    /// What was reported to the store of each candidate.
    reported: BTreeMap<DeploymentId, LoadCondition>,
}

impl CatalogWatcher {
    /// Publishes the catalog until a stop is asked for.
    pub async fn watch(self, publish: watch::Sender<Option<Catalog>>, mut stop: Shutdown) {
        let mut work = Work::default();
        self.status.block(Part::Catalog, "the deployments have not been read yet");
        loop {
            let looked = self.look(&mut work).await;
            self.load_missing(&mut work);
            self.publish(&mut work, &publish);
            self.report_conditions(&mut work).await;
            match looked {
                // Not before the status shows the deployments that should run and cannot.
                Ok(()) => self.status.clear(&Part::Catalog),
                Err(error) => {
                    let reason = crate::chain(&error);
                    tracing::warn!(%reason, "the deployments cannot be read; trying again");
                    self.status.block(Part::Catalog, reason);
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                Some(ended) = work.loading.join_next_with_id() => self.loaded(&mut work, ended),
                () = self.source.projections_changed() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Asks the store which deployments should run, if anything has changed since it was asked last.
    async fn look(&self, work: &mut Work) -> Result<(), StoreError> {
        // Read before the deployments: a change in between is seen at the next look.
        let revision = self.source.revision().await?;
        if work.known.is_current(revision) {
            return Ok(());
        }
        let wanted = self.source.active(&self.replica_set).await?;
        let mut returning = BTreeSet::new();
        for (deployment, _) in wanted.iter().filter(|(_, role)| *role == Role::Candidate) {
            returning.extend(self.source.returning(&deployment.projection).await?);
        }
        for (deployment, _) in &wanted {
            // This only makes the series exist from now on.
            let _ = self.metrics.projection(&deployment.projection);
        }
        for gone in work.known.adopt(revision, wanted, returning, Instant::now()) {
            if let Some(task) = work.tasks.remove(&gone) {
                task.abort();
            }
        }
        Ok(())
    }

    /// Begins to load components that are neither ready nor being loaded.
    fn load_missing(&self, work: &mut Work) {
        for (digest, way) in work.known.begin_missing(Instant::now()) {
            let (source, runtime) = (Arc::clone(&self.source), Arc::clone(&self.runtime));
            let task = work.loading.spawn(async move {
                match way {
                    Way::Find => runtime.find(digest).await.ok_or(Unloaded::Absent),
                    Way::Load => prepare(&*source, &*runtime, digest).await,
                }
            });
            work.tasks.insert(digest, task);
        }
    }

    /// A component was loaded, or could not be.
    fn loaded(&self, work: &mut Work, ended: Result<(Id, Prepared), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        // A load that was cancelled has no entry any more.
        let Some(digest) = work.tasks.iter().find(|(_, task)| task.id() == id).map(|(digest, _)| *digest)
        else {
            return;
        };
        work.tasks.remove(&digest);
        let prepared = match ended {
            Ok((_, prepared)) => prepared,
            Err(error) => Err(Unloaded::Failed(format!("loading it broke: {error}"))),
        };
        if let Ok(component) = &prepared {
            self.metrics.component_loaded(component.origin());
        }
        let pauses = (self.interval, self.load_pause_max);
        let failure = work.known.finish(digest, prepared, pauses, Instant::now());
        let Some(Failure { reason, again_in, is_news }) = failure else { return };
        let again_in = again_in.as_secs_f64();
        if is_news {
            tracing::error!(component = %digest, reason, again_in, "a component cannot be loaded; trying again");
        } else {
            tracing::debug!(component = %digest, reason, again_in, "a component cannot be loaded still");
        }
    }

    /// Publishes the deployments that are ready to run, and shows those that cannot run.
    fn publish(&self, work: &mut Work, publish: &watch::Sender<Option<Catalog>>) {
        let Some(runnable) = work.known.runnable() else { return };
        let halted = runnable.unloadable.into_iter().map(|(projection, role)| {
            let progress_gauge = self.metrics.deployment(&projection, role).progress_gauge();
            progress_gauge.halted(true);
            progress_gauge
        });
        work.unloadable = halted.collect();
        self.report(work, runnable.blocked);
        let Some(new) = work.known.run(runnable.running) else { return };
        for Loaded { deployment, role, .. } in new {
            let (projection, number) = (&deployment.projection, deployment.number);
            let component = deployment.digest.short();
            tracing::info!(%projection, deployment = number, component, %role, "running a deployment");
        }
        publish.send_replace(Some(Arc::new(work.known.running())));
    }

    /// Reports to the store the deployments that this process cannot load: the operators who wait for them do not look
    /// here. A condition is reported again with every attempt, and removed when it is
    /// over: a process before this one may have reported it.
    async fn report_conditions(&self, work: &mut Work) {
        let conditions = work.known.load_conditions();
        work.reported.retain(|id, _| conditions.contains_key(id));
        for (id, failed) in conditions {
            if work.reported.get(&id) == Some(&failed) {
                continue;
            }
            let condition = failed.as_ref().map(|(reason, _)| Condition {
                reason: ConditionReason::ComponentNotLoaded,
                message: format!("{} cannot load its component: {reason}", self.host),
            });
            match self.reports.report_condition(id, &self.host, condition.as_ref()).await {
                Ok(()) => drop(work.reported.insert(id, failed)),
                // The next look tries again.
                Err(error) => tracing::debug!(reason = crate::chain(&error), "a condition was not recorded"),
            }
        }
    }

    /// Shows in the status the parts that are blocked, and no longer those that are not, or are not to be run any more.
    fn report(&self, work: &mut Work, blocked: BTreeMap<Part, String>) {
        for gone in work.blocked.iter().filter(|part| !blocked.contains_key(*part)) {
            self.status.clear(gone);
        }
        work.blocked = blocked.keys().cloned().collect();
        for (part, reason) in blocked {
            self.status.block(part, reason);
        }
    }
}

async fn prepare(source: &dyn DeploymentSource, runtime: &dyn Runtime, digest: Digest) -> Prepared {
    let stored = source.component(digest).await.map_err(|error| Unloaded::Away(crate::chain(&error)))?;
    let Some(bytes) = stored else {
        return Err(Unloaded::Failed(format!("the store has no component {digest}: deploy it again")));
    };
    if Digest::of(&bytes) != digest {
        return Err(Unloaded::Failed(format!("the stored component {digest} is damaged: deploy it again")));
    }
    let prepared = runtime.prepare(bytes.into()).await;
    prepared.map_err(|error| Unloaded::Failed(error.to_string()))
}
