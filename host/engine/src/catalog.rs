//! Watches the deployments of the replica set and gets their components ready to run.
//!
//! Components are loaded in the background, each by itself: whichever is ready runs, and until the one of a new
//! deployment is ready, the deployment before it goes on. Those whose code was kept need not wait for those that have
//! to be compiled. One that cannot be loaded disturbs nobody; it is tried again, less and less often, and the reason
//! is shown in the status; of one that is only being built, in that of its deployment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::{Lifecycle, Origin, Stage};
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Component, Registry, Runtime, StoreError};
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::batch::Loaded;
use crate::metrics::{ReplicaSetMetrics, Standing};
use crate::shutdown::Shutdown;
use crate::status::{self, Status};

/// What the process should run, by name of the projection.
pub type Catalog = Arc<Vec<Loaded>>;

/// Components that are loaded at once: each is held in memory whole meanwhile. One of them can be fetched while
/// another is compiled.
const LOADED_AT_ONCE: usize = 2;

/// Keeps the catalog up to date.
pub struct Watcher {
    pub registry: Arc<dyn Registry>,
    pub runtime: Arc<dyn Runtime>,
    pub replica_set: ReplicaSet,
    /// The machine, as people know it.
    pub host: String,
    pub interval: Duration,
    /// A component that cannot be loaded is tried again after `interval`, then after twice as long each time, up
    /// to this.
    pub load_pause_max: Duration,
    pub status: Arc<Status>,
    pub metrics: ReplicaSetMetrics,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("replica_set", &self.replica_set).finish_non_exhaustive()
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
    Refused(String),
}

/// A component that could not be loaded, and when to try again.
struct Refused {
    reason: String,
    /// How long it is left alone; no time at all for one that is to be tried as if it were new.
    pause: Duration,
    again: Instant,
}

/// How a component is being made ready.
struct UnderWay {
    task: AbortHandle,
    /// Whether it is fetched and compiled, and not only looked for.
    loads: bool,
}

/// What is known of components and deployments.
#[derive(Default)]
struct Shelf {
    /// As the store told last, and the revision at which it did.
    wanted: Vec<(Deployment, Stage)>,
    revision: Option<u64>,
    /// Those whose read models have served before and are being brought up to date.
    returning: BTreeSet<DeploymentId>,
    ready: HashMap<Digest, Arc<dyn Component>>,
    loading: JoinSet<Prepared>,
    under_way: HashMap<Digest, UnderWay>,
    /// Those whose code was looked for.
    sought: BTreeSet<Digest>,
    refused: HashMap<Digest, Refused>,
    /// What runs now, by read model: it goes on while its successor is being loaded.
    running: BTreeMap<ReadModelId, Loaded>,
    /// Of projections that stand still because nothing can be loaded for them, as the metrics tell.
    unloadable: Vec<Standing>,
    /// The parts that the status shows as standing still because of what is said here.
    blocked: BTreeSet<String>,
    /// What the store was told to be in the way of deployments that are being built, if anything, and when it is tried again.
    hindered: BTreeMap<DeploymentId, Option<(String, Instant)>>,
    published: bool,
}

impl Watcher {
    /// Publishes the catalog until a stop is asked for.
    pub async fn watch(self, publish: watch::Sender<Option<Catalog>>, mut stop: Shutdown) {
        let mut shelf = Shelf::default();
        self.status.block(status::CATALOG, "the deployments have not been read yet");
        loop {
            let looked = self.look(&mut shelf).await;
            self.load_missing(&mut shelf);
            self.publish(&mut shelf, &publish);
            self.tell_obstacles(&mut shelf).await;
            match looked {
                // Not before the status tells what is missing of that which should run.
                Ok(()) => self.status.clear(status::CATALOG),
                Err(error) => {
                    let reason = crate::chain(&error);
                    tracing::warn!(%reason, "the deployments cannot be read; trying again");
                    self.status.block(status::CATALOG, reason);
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                Some(ended) = shelf.loading.join_next_with_id() => self.loaded(&mut shelf, ended),
                () = self.registry.changed() => {}
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    /// Asks the store what should run, if anything has changed since it was asked last.
    async fn look(&self, shelf: &mut Shelf) -> Result<(), StoreError> {
        // Read before the deployments: a change in between is seen at the next look.
        let revision = self.registry.revision().await?;
        if shelf.revision == Some(revision) {
            return Ok(());
        }
        let wanted = self.registry.active(&self.replica_set).await?;
        let mut returning = BTreeSet::new();
        for (deployment, _) in wanted.iter().filter(|(_, stage)| *stage == Stage::Building) {
            let life = self.registry.lifecycle(&deployment.projection).await?;
            let candidate = life.as_ref().and_then(Lifecycle::candidate);
            let returns = candidate.filter(|candidate| candidate.origin == Origin::Rollback);
            returning.extend(returns.map(|candidate| candidate.deployment.id));
        }
        shelf.returning = returning;
        let before = std::mem::replace(&mut shelf.wanted, wanted);
        let before: BTreeSet<DeploymentId> = before.iter().map(|(deployment, _)| deployment.id).collect();
        shelf.revision = Some(revision);
        for (deployment, _) in &shelf.wanted {
            // The series exist from now on, which is all that is wanted here.
            let _ = self.metrics.projection(&deployment.projection);
            // Somebody wants it anew, and is waiting for what becomes of it.
            if !before.contains(&deployment.id)
                && let Some(refused) = shelf.refused.get_mut(&deployment.digest)
            {
                (refused.pause, refused.again) = (Duration::ZERO, Instant::now());
            }
        }
        let wanted =
            |digest: &Digest| shelf.wanted.iter().any(|(deployment, _)| deployment.digest == *digest);
        shelf.ready.retain(|digest, _| wanted(digest));
        shelf.refused.retain(|digest, _| wanted(digest));
        // Nobody waits any longer for what these would be loaded for.
        shelf.under_way.retain(|digest, loading| {
            wanted(digest) || {
                loading.task.abort();
                false
            }
        });
        shelf.sought.retain(|digest| wanted(digest));
        Ok(())
    }

    /// Begins to load what is neither ready nor being loaded: first what was not refused yet, and what serves.
    fn load_missing(&self, shelf: &mut Shelf) {
        let now = Instant::now();
        let due = |digest: &Digest| {
            let waits = shelf.refused.get(digest).is_some_and(|refused| now < refused.again);
            !waits && !shelf.ready.contains_key(digest) && !shelf.under_way.contains_key(digest)
        };
        let mut missing: Vec<(bool, bool, Digest)> = Vec::new();
        for (Deployment { digest, .. }, stage) in &shelf.wanted {
            if due(digest) && !missing.iter().any(|(_, _, known)| known == digest) {
                missing.push((shelf.refused.contains_key(digest), *stage != Stage::Live, *digest));
            }
        }
        missing.sort_by_key(|(refused, building, _)| (*refused, *building));
        let (sought, absent): (Vec<_>, Vec<_>) =
            missing.into_iter().map(|(_, _, digest)| digest).partition(|digest| shelf.sought.insert(*digest));
        for digest in sought {
            let runtime = Arc::clone(&self.runtime);
            let find = async move { (digest, runtime.find(digest).await.ok_or(Unloaded::Absent)) };
            shelf.under_way.insert(digest, UnderWay { task: shelf.loading.spawn(find), loads: false });
        }
        let loads = shelf.under_way.values().filter(|one| one.loads).count();
        for digest in absent.into_iter().take(LOADED_AT_ONCE.saturating_sub(loads)) {
            let (registry, runtime) = (Arc::clone(&self.registry), Arc::clone(&self.runtime));
            let load = async move { (digest, prepare(&*registry, &*runtime, digest).await) };
            shelf.under_way.insert(digest, UnderWay { task: shelf.loading.spawn(load), loads: true });
        }
    }

    /// A component was loaded, or could not be.
    fn loaded(&self, shelf: &mut Shelf, ended: Result<(Id, Prepared), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let loading = shelf.under_way.iter().find(|(_, loading)| loading.task.id() == id);
        // What was given up has no place any more.
        let Some(digest) = loading.map(|(digest, _)| *digest) else { return };
        shelf.under_way.remove(&digest);
        let prepared = match ended {
            Ok((_, (_, prepared))) => prepared,
            Err(error) => Err(Unloaded::Refused(format!("loading it broke: {error}"))),
        };
        let before = shelf.refused.remove(&digest);
        let (reason, pause) = match prepared {
            Ok(component) => {
                self.metrics.component_loaded(component.origin());
                shelf.ready.insert(digest, component);
                return;
            }
            Err(Unloaded::Absent) => return,
            Err(Unloaded::Away(reason)) => (reason, self.interval),
            Err(Unloaded::Refused(reason)) => {
                let pause = before.as_ref().map_or(Duration::ZERO, |before| before.pause);
                (reason, (pause * 2).clamp(self.interval, self.load_pause_max.max(self.interval)))
            }
        };
        let again_in = pause.as_secs_f64();
        if before.is_some_and(|before| before.reason == reason && !before.pause.is_zero()) {
            tracing::debug!(component = %digest, reason, again_in, "a component cannot be loaded still");
        } else {
            tracing::error!(component = %digest, reason, again_in, "a component cannot be loaded; trying again");
        }
        shelf.refused.insert(digest, Refused { reason, pause, again: Instant::now() + pause });
    }

    /// Publishes what is ready to run; where it is not, what ran before. What is neither keeps nobody waiting.
    fn publish(&self, shelf: &mut Shelf, publish: &watch::Sender<Option<Catalog>>) {
        if shelf.revision.is_none() {
            return;
        }
        let mut running = BTreeMap::new();
        let mut unloadable = Vec::new();
        let mut blocked = BTreeMap::new();
        for (deployment, stage) in &shelf.wanted {
            let (projection, live) = (&deployment.projection, *stage == Stage::Live);
            if let Some(component) = shelf.ready.get(&deployment.digest) {
                let returning = shelf.returning.contains(&deployment.id);
                let (deployment, component) = (Arc::new(deployment.clone()), Arc::clone(component));
                running.insert(
                    deployment.read_model,
                    Loaded { deployment, stage: *stage, returning, component },
                );
                continue;
            }
            let before = shelf.running.get(&deployment.read_model);
            if let Some(Refused { reason, .. }) = shelf.refused.get(&deployment.digest) {
                let standing = self.metrics.deployment(projection, *stage).standing();
                standing.halted(true);
                unloadable.push(standing);
                if live {
                    blocked.insert(format!("projection {projection}"), reason.clone());
                }
            } else if live && before.is_none() {
                // Under another name: it does not stand still, it begins.
                let reason = "its component is being loaded".to_owned();
                blocked.insert(format!("start of {projection}"), reason);
            }
            let before = before.map(|before| Loaded { stage: *stage, ..before.clone() });
            running.extend(before.map(|before| (deployment.read_model, before)));
        }
        shelf.unloadable = unloadable;
        self.tell(shelf, blocked);
        let same = shelf.published
            && running.len() == shelf.running.len()
            && running.values().zip(shelf.running.values()).all(|(new, old)| new.same_as(old));
        if same {
            return;
        }
        for (read_model, new) in &running {
            let deployment = &new.deployment;
            if shelf.running.get(read_model).is_none_or(|old| old.deployment.id != deployment.id) {
                let (projection, number) = (&deployment.projection, deployment.number);
                let component = deployment.digest.short();
                tracing::info!(%projection, deployment = number, component, stage = %new.stage, "running a deployment");
            }
        }
        shelf.running = running;
        shelf.published = true;
        publish.send_replace(Some(Arc::new(shelf.running.values().cloned().collect())));
    }

    /// Has the store know what is not built because this process cannot load it: whoever waits for it is elsewhere. With
    /// every attempt it is told again, and when it is over: it may have been told by a process before this one.
    async fn tell_obstacles(&self, shelf: &mut Shelf) {
        let building = shelf.wanted.iter().filter(|(_, stage)| *stage == Stage::Building);
        let known = building.filter_map(|(Deployment { id, digest, .. }, _)| {
            let refused = shelf.refused.get(digest).map(|refused| (refused.reason.clone(), refused.again));
            (refused.is_some() || shelf.ready.contains_key(digest)).then_some((*id, refused))
        });
        let known: BTreeMap<DeploymentId, Option<(String, Instant)>> = known.collect();
        shelf.hindered.retain(|id, _| known.contains_key(id));
        for (id, refused) in known {
            if shelf.hindered.get(&id) == Some(&refused) {
                continue;
            }
            let obstacle = refused
                .as_ref()
                .map(|(reason, _)| format!("{} cannot load its component: {reason}", self.host));
            match self.registry.hinder(id, &self.host, obstacle.as_deref()).await {
                Ok(()) => drop(shelf.hindered.insert(id, refused)),
                // The next look tries again.
                Err(error) => tracing::debug!(reason = crate::chain(&error), "an obstacle was not recorded"),
            }
        }
    }

    /// Shows in the status what stands still, and no longer what does not, or is not to be run any more.
    fn tell(&self, shelf: &mut Shelf, blocked: BTreeMap<String, String>) {
        for gone in shelf.blocked.iter().filter(|part| !blocked.contains_key(*part)) {
            self.status.clear(gone);
        }
        shelf.blocked = blocked.keys().cloned().collect();
        for (part, reason) in blocked {
            self.status.block(&part, reason);
        }
    }
}

async fn prepare(
    registry: &dyn Registry,
    runtime: &dyn Runtime,
    digest: Digest,
) -> Result<Arc<dyn Component>, Unloaded> {
    let stored = registry.component(digest).await.map_err(|error| Unloaded::Away(crate::chain(&error)))?;
    let Some(bytes) = stored else {
        return Err(Unloaded::Refused(format!("the store has no component {digest}: deploy it again")));
    };
    if Digest::of(&bytes) != digest {
        return Err(Unloaded::Refused(format!("the stored component {digest} is damaged: deploy it again")));
    }
    let prepared = runtime.prepare(bytes.into()).await;
    prepared.map_err(|refusal| Unloaded::Refused(refusal.to_string()))
}
