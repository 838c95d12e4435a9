//! Watches the deployments of the replica set and gets their components ready to run.
//!
//! Components are loaded in the background, each by itself: until the one of a new deployment is ready, the
//! deployment before it goes on. One that cannot be loaded disturbs nobody; it is tried again, and the reason
//! is shown in the status.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::lifecycle::Stage;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Component, Registry, Runtime, StoreError};
use kennel_core::projection::{Deployment, ReadModelId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batch::Loaded;
use crate::metrics::{ReplicaSetMetrics, Standing};
use crate::shutdown::Shutdown;
use crate::status::{self, Status};

/// What the process should run, by name of the projection.
pub type Catalog = Arc<Vec<Loaded>>;

/// Keeps the catalog up to date.
pub struct Watcher {
    pub registry: Arc<dyn Registry>,
    pub runtime: Arc<dyn Runtime>,
    pub replica_set: ReplicaSet,
    pub interval: Duration,
    pub status: Arc<Status>,
    pub metrics: ReplicaSetMetrics,
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("replica_set", &self.replica_set).finish_non_exhaustive()
    }
}

/// A component that was loaded, or why it could not be.
type Prepared = (Digest, Result<Arc<dyn Component>, String>);

/// What is known of components and deployments.
#[derive(Default)]
struct Shelf {
    /// As the store told last, and the revision at which it did.
    wanted: Vec<(Deployment, Stage)>,
    revision: Option<u64>,
    ready: HashMap<Digest, Arc<dyn Component>>,
    loading: JoinSet<Prepared>,
    under_way: Vec<Digest>,
    /// Why a component could not be loaded, and when to try again.
    refused: HashMap<Digest, (String, Instant)>,
    /// What runs now, by read model: it goes on while its successor is being loaded.
    running: BTreeMap<ReadModelId, Loaded>,
    /// Of projections that stand still because nothing can be loaded for them, as the metrics tell.
    unloadable: Vec<Standing>,
    published: bool,
}

impl Watcher {
    /// Publishes the catalog until a stop is asked for.
    pub async fn watch(self, publish: watch::Sender<Option<Catalog>>, mut stop: Shutdown) {
        let mut shelf = Shelf::default();
        loop {
            match self.look(&mut shelf).await {
                Ok(()) => self.status.clear(status::CATALOG),
                Err(error) => {
                    let reason = crate::chain(&error);
                    tracing::warn!(%reason, "the deployments cannot be read; trying again");
                    self.status.block(status::CATALOG, reason);
                }
            }
            self.load_missing(&mut shelf);
            self.publish(&mut shelf, &publish);
            tokio::select! {
                biased;
                () = stop.requested() => return,
                Some(prepared) = shelf.loading.join_next() => {
                    match prepared {
                        Ok(prepared) => self.loaded(&mut shelf, prepared),
                        Err(error) => {
                            tracing::error!(%error, "loading a component broke; trying again");
                            // Whichever it was: what is under way all the same is not done twice.
                            shelf.under_way.clear();
                        }
                    }
                }
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
        shelf.wanted = self.registry.active(&self.replica_set).await?;
        shelf.revision = Some(revision);
        for (deployment, _) in &shelf.wanted {
            // The series exist from now on, which is all that is wanted here.
            let _ = self.metrics.projection(&deployment.projection);
        }
        let wanted =
            |digest: &Digest| shelf.wanted.iter().any(|(deployment, _)| deployment.digest == *digest);
        shelf.ready.retain(|digest, _| wanted(digest));
        shelf.refused.retain(|digest, _| wanted(digest));
        Ok(())
    }

    /// Begins to load what is neither ready nor being loaded.
    fn load_missing(&self, shelf: &mut Shelf) {
        let now = Instant::now();
        for (deployment, _) in &shelf.wanted {
            let digest = deployment.digest;
            let wait = shelf.refused.get(&digest).is_some_and(|(_, again)| now < *again);
            if wait || shelf.ready.contains_key(&digest) || shelf.under_way.contains(&digest) {
                continue;
            }
            shelf.under_way.push(digest);
            let (registry, runtime) = (Arc::clone(&self.registry), Arc::clone(&self.runtime));
            shelf.loading.spawn(async move { (digest, prepare(&*registry, &*runtime, digest).await) });
        }
    }

    fn loaded(&self, shelf: &mut Shelf, (digest, prepared): Prepared) {
        shelf.under_way.retain(|loading| *loading != digest);
        match prepared {
            Ok(component) => {
                self.metrics.component_loaded(component.origin());
                shelf.refused.remove(&digest);
                shelf.ready.insert(digest, component);
            }
            Err(reason) => {
                tracing::error!(component = %digest, %reason, "a component cannot be loaded; trying again");
                shelf.refused.insert(digest, (reason, Instant::now() + self.interval));
            }
        }
    }

    /// Publishes what is ready to run; where it is not, what ran before.
    fn publish(&self, shelf: &mut Shelf, publish: &watch::Sender<Option<Catalog>>) {
        let mut running = BTreeMap::new();
        let mut unloadable = Vec::new();
        let mut settled = true;
        for (deployment, stage) in &shelf.wanted {
            let part = format!("projection {}", deployment.projection);
            let loaded = match shelf.ready.get(&deployment.digest) {
                Some(component) => {
                    if *stage == Stage::Live {
                        self.status.clear(&part);
                    }
                    let (deployment, component) = (Arc::new(deployment.clone()), Arc::clone(component));
                    Some(Loaded { deployment, stage: *stage, component })
                }
                None => {
                    let before = shelf.running.get(&deployment.read_model).cloned();
                    match shelf.refused.get(&deployment.digest) {
                        Some((reason, _)) => {
                            let standing = self.metrics.deployment(&deployment.projection, *stage).standing();
                            standing.halted();
                            unloadable.push(standing);
                            if *stage == Stage::Live {
                                self.status.block(&part, reason.clone());
                            }
                        }
                        None => settled &= before.is_some(),
                    }
                    before.map(|before| Loaded { stage: *stage, ..before })
                }
            };
            running.extend(loaded.map(|loaded| (deployment.read_model, loaded)));
        }
        shelf.unloadable = unloadable;
        let same = shelf.published
            && running.len() == shelf.running.len()
            && running.values().zip(shelf.running.values()).all(|(new, old)| new.same_as(old));
        for (read_model, new) in &running {
            let deployment = &new.deployment;
            if shelf.running.get(read_model).is_none_or(|old| old.deployment.id != deployment.id) {
                let (projection, number) = (&deployment.projection, deployment.number);
                let component = deployment.digest.short();
                tracing::info!(%projection, deployment = number, component, stage = %new.stage, "running a deployment");
            }
        }
        shelf.running = running;
        // The first catalog tells what there is as a whole, as far as it can be loaded.
        if same || shelf.revision.is_none() || !(settled || shelf.published) {
            return;
        }
        shelf.published = true;
        publish.send_replace(Some(Arc::new(shelf.running.values().cloned().collect())));
    }
}

async fn prepare(
    registry: &dyn Registry,
    runtime: &dyn Runtime,
    digest: Digest,
) -> Result<Arc<dyn Component>, String> {
    let bytes = match registry.component(digest).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(format!("the store has no component {digest}: deploy it again")),
        Err(error) => return Err(crate::chain(&error)),
    };
    if Digest::of(&bytes) != digest {
        return Err(format!("the stored component {digest} is damaged: deploy it again"));
    }
    runtime.prepare(bytes.into()).await.map_err(|refusal| refusal.to_string())
}
