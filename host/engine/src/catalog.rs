//! Watches the deployments of the replica set and gets their components ready to run.
//!
//! Components are loaded in the background, each by itself: whichever is ready runs, and until the one of a new
//! deployment is ready, the deployment before it goes on. Those whose code was kept need not wait for those that have
//! to be compiled. One that cannot be loaded disturbs no other; it is tried again, less and less often, and the reason
//! is shown in the status; for a candidate, in that of its deployment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Lifecycle, Origin, Role};
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Component, ComponentStore, DeploymentStore, Runtime, StatusReports, StoreError};
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_core::retry::Backoff;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::loaded::Loaded;
use crate::metrics::{ProgressGauge, ReplicaSetMetrics};
use crate::shutdown::Shutdown;
use crate::status::{Part, Status};

/// The deployments that the process should run, by name of the projection.
pub type Catalog = Arc<Vec<Loaded>>;

/// Components that are loaded at once: each is held in memory whole meanwhile. One of them can be fetched while
/// another is compiled.
const LOADED_AT_ONCE: usize = 2;

/// Keeps the catalog up to date.
pub struct CatalogWatcher {
    pub components: Arc<dyn ComponentStore>,
    pub deployments: Arc<dyn DeploymentStore>,
    pub reports: Arc<dyn StatusReports>,
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
type Prepared = (Digest, Result<Arc<dyn Component>, Unloaded>);

/// Why a component could not be loaded.
enum Unloaded {
    /// Its code was not kept: it has to be fetched and compiled.
    Absent,
    /// The store does not answer: it will, and asking costs little.
    Away(String),
    /// Trying again has the same outcome most likely, and may cost a compilation.
    Failed(String),
}

/// A component that could not be loaded, and when to try again.
struct LoadFailure {
    reason: String,
    /// The pauses between tries; fresh for one that is to be tried as if it were new.
    backoff: Backoff,
    again: Instant,
}

/// How a component is being made ready.
struct UnderWay {
    task: AbortHandle,
    /// Whether it is fetched and compiled, and not only looked for.
    loads: bool,
}

/// The known components and deployments: the component cache.
#[derive(Default)]
struct Components {
    /// As the store reported last, and the revision at which it did.
    wanted: Vec<(Deployment, Role)>,
    revision: Option<u64>,
    /// Those whose read models have served before and are being brought up to date.
    returning: BTreeSet<DeploymentId>,
    ready: HashMap<Digest, Arc<dyn Component>>,
    loading: JoinSet<Prepared>,
    under_way: HashMap<Digest, UnderWay>,
    /// Those whose code was looked for.
    sought: BTreeSet<Digest>,
    failed: HashMap<Digest, LoadFailure>,
    /// The running deployments, by read model: each goes on while its successor is being loaded.
    running: BTreeMap<ReadModelId, Loaded>,
    /// Of projections that are halted because nothing can be loaded for them, as the metrics report.
    unloadable: Vec<ProgressGauge>,
    /// The parts that the status shows as blocked because of components.
    blocked: BTreeSet<Part>,
    /// The conditions of candidates that were reported to the store, if any, and when each is tried again.
    reported: BTreeMap<DeploymentId, Option<(String, Instant)>>,
    published: bool,
}

impl CatalogWatcher {
    /// Publishes the catalog until a stop is asked for.
    pub async fn watch(self, publish: watch::Sender<Option<Catalog>>, mut stop: Shutdown) {
        let mut components = Components::default();
        self.status.block(Part::Catalog, "the deployments have not been read yet");
        loop {
            let looked = self.look(&mut components).await;
            self.load_missing(&mut components);
            self.publish(&mut components, &publish);
            self.report_conditions(&mut components).await;
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
                Some(ended) = components.loading.join_next_with_id() => self.loaded(&mut components, ended),
                () = self.deployments.changed() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Asks the store which deployments should run, if anything has changed since it was asked last.
    async fn look(&self, components: &mut Components) -> Result<(), StoreError> {
        // Read before the deployments: a change in between is seen at the next look.
        let revision = self.deployments.revision().await?;
        if components.revision == Some(revision) {
            return Ok(());
        }
        let wanted = self.deployments.active(&self.replica_set).await?;
        let mut returning = BTreeSet::new();
        for (deployment, _) in wanted.iter().filter(|(_, role)| *role == Role::Candidate) {
            let life = self.deployments.lifecycle(&deployment.projection).await?;
            let candidate = life.as_ref().and_then(Lifecycle::candidate);
            let returns = candidate.filter(|candidate| candidate.origin == Origin::Rollback);
            returning.extend(returns.map(|candidate| candidate.deployment.id));
        }
        components.returning = returning;
        let before = std::mem::replace(&mut components.wanted, wanted);
        let before: BTreeSet<DeploymentId> = before.iter().map(|(deployment, _)| deployment.id).collect();
        components.revision = Some(revision);
        for (deployment, _) in &components.wanted {
            // This only makes the series exist from now on.
            let _ = self.metrics.projection(&deployment.projection);
            // It was deployed anew, and its actor waits for the outcome.
            if !before.contains(&deployment.id)
                && let Some(failed) = components.failed.get_mut(&deployment.digest)
            {
                failed.backoff.reset();
                failed.again = Instant::now();
            }
        }
        let wanted =
            |digest: &Digest| components.wanted.iter().any(|(deployment, _)| deployment.digest == *digest);
        components.ready.retain(|digest, _| wanted(digest));
        components.failed.retain(|digest, _| wanted(digest));
        // No deployment needs these any longer.
        components.under_way.retain(|digest, loading| {
            wanted(digest) || {
                loading.task.abort();
                false
            }
        });
        components.sought.retain(|digest| wanted(digest));
        Ok(())
    }

    /// Begins to load components that are neither ready nor being loaded: first those that have not failed yet, and
    /// those that serve.
    fn load_missing(&self, components: &mut Components) {
        let now = Instant::now();
        let due = |digest: &Digest| {
            let waits = components.failed.get(digest).is_some_and(|failed| now < failed.again);
            !waits && !components.ready.contains_key(digest) && !components.under_way.contains_key(digest)
        };
        let mut missing: Vec<(bool, bool, Digest)> = Vec::new();
        for (Deployment { digest, .. }, role) in &components.wanted {
            if due(digest) && !missing.iter().any(|(_, _, known)| known == digest) {
                missing.push((components.failed.contains_key(digest), *role != Role::Serving, *digest));
            }
        }
        missing.sort_by_key(|(failed, candidate, _)| (*failed, *candidate));
        let (sought, absent): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .map(|(_, _, digest)| digest)
            .partition(|digest| components.sought.insert(*digest));
        for digest in sought {
            let runtime = Arc::clone(&self.runtime);
            let find = async move { (digest, runtime.find(digest).await.ok_or(Unloaded::Absent)) };
            components
                .under_way
                .insert(digest, UnderWay { task: components.loading.spawn(find), loads: false });
        }
        let loads = components.under_way.values().filter(|one| one.loads).count();
        for digest in absent.into_iter().take(LOADED_AT_ONCE.saturating_sub(loads)) {
            let (store, runtime) = (Arc::clone(&self.components), Arc::clone(&self.runtime));
            let load = async move { (digest, prepare(&*store, &*runtime, digest).await) };
            components
                .under_way
                .insert(digest, UnderWay { task: components.loading.spawn(load), loads: true });
        }
    }

    /// A component was loaded, or could not be.
    fn loaded(&self, components: &mut Components, ended: Result<(Id, Prepared), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let loading = components.under_way.iter().find(|(_, loading)| loading.task.id() == id);
        // A load that was cancelled has no entry any more.
        let Some(digest) = loading.map(|(digest, _)| *digest) else { return };
        components.under_way.remove(&digest);
        let prepared = match ended {
            Ok((_, (_, prepared))) => prepared,
            Err(error) => Err(Unloaded::Failed(format!("loading it broke: {error}"))),
        };
        let before = components.failed.remove(&digest);
        let fresh = || Backoff::new(self.interval, self.load_pause_max);
        let (reason, mut backoff) = match prepared {
            Ok(component) => {
                self.metrics.component_loaded(component.origin());
                components.ready.insert(digest, component);
                return;
            }
            Err(Unloaded::Absent) => return,
            Err(Unloaded::Away(reason)) => (reason, fresh()),
            Err(Unloaded::Failed(reason)) => {
                (reason, before.as_ref().map_or_else(fresh, |before| before.backoff))
            }
        };
        let pause = backoff.next_pause();
        let again_in = pause.as_secs_f64();
        if before.is_some_and(|before| before.reason == reason && !before.backoff.is_fresh()) {
            tracing::debug!(component = %digest, reason, again_in, "a component cannot be loaded still");
        } else {
            tracing::error!(component = %digest, reason, again_in, "a component cannot be loaded; trying again");
        }
        components.failed.insert(digest, LoadFailure { reason, backoff, again: Instant::now() + pause });
    }

    /// Publishes the deployments that are ready to run; where one is not, the one that ran before. One that is neither
    /// keeps no other waiting.
    fn publish(&self, components: &mut Components, publish: &watch::Sender<Option<Catalog>>) {
        if components.revision.is_none() {
            return;
        }
        let mut running = BTreeMap::new();
        let mut unloadable = Vec::new();
        let mut blocked = BTreeMap::new();
        for (deployment, role) in &components.wanted {
            let (projection, serving) = (&deployment.projection, *role == Role::Serving);
            if let Some(component) = components.ready.get(&deployment.digest) {
                let returning = components.returning.contains(&deployment.id);
                let (deployment, component) = (Arc::new(deployment.clone()), Arc::clone(component));
                running
                    .insert(deployment.read_model, Loaded { deployment, role: *role, returning, component });
                continue;
            }
            let before = components.running.get(&deployment.read_model);
            if let Some(LoadFailure { reason, .. }) = components.failed.get(&deployment.digest) {
                let progress_gauge = self.metrics.deployment(projection, *role).progress_gauge();
                progress_gauge.halted(true);
                unloadable.push(progress_gauge);
                if serving {
                    blocked.insert(Part::Projection(projection.clone()), reason.clone());
                }
            } else if serving && before.is_none() {
                // Under another name: it is not halted, it begins.
                let reason = "its component is being loaded".to_owned();
                blocked.insert(Part::Start(projection.clone()), reason);
            }
            let before = before.map(|before| Loaded { role: *role, ..before.clone() });
            running.extend(before.map(|before| (deployment.read_model, before)));
        }
        components.unloadable = unloadable;
        self.report(components, blocked);
        let same = components.published
            && running.len() == components.running.len()
            && running.values().zip(components.running.values()).all(|(new, old)| new.same_as(old));
        if same {
            return;
        }
        for (read_model, new) in &running {
            let deployment = &new.deployment;
            if components.running.get(read_model).is_none_or(|old| old.deployment.id != deployment.id) {
                let (projection, number) = (&deployment.projection, deployment.number);
                let component = deployment.digest.short();
                tracing::info!(%projection, deployment = number, component, role = %new.role, "running a deployment");
            }
        }
        components.running = running;
        components.published = true;
        publish.send_replace(Some(Arc::new(components.running.values().cloned().collect())));
    }

    /// Reports to the store the candidates that are not built because this process cannot load them: the operators
    /// who wait for them do not look here. A condition is reported again with every attempt, and removed when it is
    /// over: a process before this one may have reported it.
    async fn report_conditions(&self, components: &mut Components) {
        let candidates = components.wanted.iter().filter(|(_, role)| *role == Role::Candidate);
        let known = candidates.filter_map(|(Deployment { id, digest, .. }, _)| {
            let failed = components.failed.get(digest).map(|failed| (failed.reason.clone(), failed.again));
            (failed.is_some() || components.ready.contains_key(digest)).then_some((*id, failed))
        });
        let known: BTreeMap<DeploymentId, Option<(String, Instant)>> = known.collect();
        components.reported.retain(|id, _| known.contains_key(id));
        for (id, failed) in known {
            if components.reported.get(&id) == Some(&failed) {
                continue;
            }
            let condition = failed.as_ref().map(|(reason, _)| Condition {
                reason: ConditionReason::ComponentNotLoaded,
                message: format!("{} cannot load its component: {reason}", self.host),
            });
            match self.reports.report_condition(id, &self.host, condition.as_ref()).await {
                Ok(()) => drop(components.reported.insert(id, failed)),
                // The next look tries again.
                Err(error) => tracing::debug!(reason = crate::chain(&error), "a condition was not recorded"),
            }
        }
    }

    /// Shows in the status the parts that are blocked, and no longer those that are not, or are not to be run any more.
    fn report(&self, components: &mut Components, blocked: BTreeMap<Part, String>) {
        for gone in components.blocked.iter().filter(|part| !blocked.contains_key(*part)) {
            self.status.clear(gone);
        }
        components.blocked = blocked.keys().cloned().collect();
        for (part, reason) in blocked {
            self.status.block(part, reason);
        }
    }
}

async fn prepare(
    store: &dyn ComponentStore,
    runtime: &dyn Runtime,
    digest: Digest,
) -> Result<Arc<dyn Component>, Unloaded> {
    let stored = store.component(digest).await.map_err(|error| Unloaded::Away(crate::chain(&error)))?;
    let Some(bytes) = stored else {
        return Err(Unloaded::Failed(format!("the store has no component {digest}: deploy it again")));
    };
    if Digest::of(&bytes) != digest {
        return Err(Unloaded::Failed(format!("the stored component {digest} is damaged: deploy it again")));
    }
    let prepared = runtime.prepare(bytes.into()).await;
    prepared.map_err(|error| Unloaded::Failed(error.to_string()))
}
