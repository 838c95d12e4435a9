//! Watches the active deployments of the replica set and gets their components ready to run.
//!
//! A component that cannot be loaded does not disturb the others; it is tried again, and the reason is
//! shown in the status.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{Component, Registry, Runtime};
use kennel_core::projection::Deployment;
use tokio::sync::watch;

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

impl Watcher {
    /// Publishes the catalog until a stop is asked for.
    pub async fn watch(self, publish: watch::Sender<Option<Catalog>>, mut stop: Shutdown) {
        let mut ready: HashMap<Digest, Arc<dyn Component>> = HashMap::new();
        let mut active: Option<Vec<Deployment>> = None;
        // Of components that cannot be loaded: their projections stand still, as the metrics tell.
        let mut unloadable: Vec<Standing> = Vec::new();
        loop {
            match self.registry.active(&self.replica_set).await {
                Ok(found) => {
                    self.status.clear(status::CATALOG);
                    let missing = found.iter().any(|deployment| !ready.contains_key(&deployment.digest));
                    if missing || active.as_ref() != Some(&found) {
                        for deployment in &found {
                            // The series exist from now on, which is all that is wanted here.
                            let _ = self.metrics.projection(&deployment.projection);
                        }
                        ready.retain(|digest, _| found.iter().any(|deployment| deployment.digest == *digest));
                        let catalog = self.load(&found, &mut ready, &mut unloadable).await;
                        publish.send_replace(Some(Arc::new(catalog)));
                        active = Some(found);
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        reason = crate::chain(&error),
                        "the deployments cannot be read; trying again"
                    );
                    self.status.block(status::CATALOG, crate::chain(&error));
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
        }
    }

    async fn load(
        &self,
        found: &[Deployment],
        ready: &mut HashMap<Digest, Arc<dyn Component>>,
        unloadable: &mut Vec<Standing>,
    ) -> Vec<Loaded> {
        let mut catalog = Vec::with_capacity(found.len());
        let mut refused = Vec::new();
        for deployment in found {
            let part = format!("projection {}", deployment.projection);
            let component = match ready.entry(deployment.digest) {
                Entry::Occupied(known) => Arc::clone(known.get()),
                Entry::Vacant(place) => match self.prepare(deployment.digest).await {
                    Ok(component) => {
                        self.status.clear(&part);
                        Arc::clone(place.insert(component))
                    }
                    Err(reason) => {
                        tracing::error!(projection = %deployment.projection, %reason, "the component cannot be loaded");
                        self.status.block(&part, reason);
                        let standing = self.metrics.projection(&deployment.projection).standing();
                        standing.halted();
                        refused.push(standing);
                        continue;
                    }
                },
            };
            catalog.push(Loaded { deployment: Arc::new(deployment.clone()), component });
        }
        *unloadable = refused;
        catalog
    }

    async fn prepare(&self, digest: Digest) -> Result<Arc<dyn Component>, String> {
        let bytes = match self.registry.component(digest).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(format!("the store has no component {digest}: deploy it again")),
            Err(error) => return Err(crate::chain(&error)),
        };
        if Digest::of(&bytes) != digest {
            return Err(format!("the stored component {digest} is damaged: deploy it again"));
        }
        self.runtime.prepare(bytes.into()).await.map_err(|refusal| refusal.to_string())
    }
}
