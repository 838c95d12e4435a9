//! Reconciles the runners that exist with those that should: one for every active deployment and every
//! partition that a worker of this process owns.
//!
//! Its only inputs are two pictures, the catalog and the lanes; each change makes it compare and act.
//! It decides nothing about generations and nothing about events.

use std::collections::BTreeMap;
use std::sync::Arc;

use kennel_core::membership::{Generation, WorkerId};
use kennel_core::partition::{self, HashRange};
use kennel_core::projection::DeploymentId;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::batch::Loaded;
use crate::catalog::{self, Catalog};
use crate::coordinator::{Coordinator, Lanes};
use crate::entropy::Entropy;
use crate::horizon;
use crate::metrics::{Components, HorizonMetrics, Metrics, ReplicaSetMetrics};
use crate::options::{Options, Ports};
use crate::runner::{Ended, Runner};
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::status::Status;

/// The engine of one process.
#[derive(Debug)]
pub struct Engine {
    ports: Ports,
    options: Arc<Options>,
    metrics: ReplicaSetMetrics,
    horizon_metrics: HorizonMetrics,
    status: Arc<Status>,
    entropy: Arc<Entropy>,
}

/// What makes a runner the one that it is: if any of this changes, another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Post {
    worker: WorkerId,
    deployment: DeploymentId,
    generation: Generation,
    range: HashRange,
}

struct Running {
    task: Id,
    stop: ShutdownTrigger,
}

enum Event {
    Catalog,
    Lanes,
    Ended(Result<(Id, Ended), JoinError>),
    Stop,
}

impl Engine {
    /// An engine that has not begun.
    #[must_use]
    pub fn new(ports: Ports, options: Options, metrics: &Metrics, entropy: Entropy) -> Self {
        let horizon_metrics = metrics.horizon();
        let metrics = metrics.replica_set(&options.replica_set);
        let status = Arc::new(Status::starting());
        Self {
            ports,
            options: Arc::new(options),
            metrics,
            horizon_metrics,
            status,
            entropy: Arc::new(entropy),
        }
    }

    /// What stands still, for `/readyz`.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Works until a stop is asked for; then every runner finishes its batch, commits it, and the
    /// workers leave the replica set.
    pub async fn run(self, stop: Shutdown) {
        let horizon = horizon::Feed::default();
        let (catalog_out, catalog) = watch::channel(None);
        let (lanes_out, lanes) = watch::channel(Lanes::default());
        let look = Arc::new(Notify::new());
        let coordinator = Coordinator {
            coordination: Arc::clone(&self.ports.coordination),
            options: (*self.options).clone(),
            metrics: self.metrics.clone(),
            status: Arc::clone(&self.status),
            entropy: Arc::clone(&self.entropy),
            look: Arc::clone(&look),
        };
        let watcher = catalog::Watcher {
            registry: Arc::clone(&self.ports.registry),
            runtime: Arc::clone(&self.ports.runtime),
            replica_set: self.options.replica_set.clone(),
            interval: self.options.catalog_interval,
            status: Arc::clone(&self.status),
            metrics: self.metrics.clone(),
        };
        let log = horizon::Watcher {
            events: Arc::clone(&self.ports.events),
            metrics: self.horizon_metrics.clone(),
            status: Arc::clone(&self.status),
            polls: (self.options.poll_min, self.options.poll_max),
        };
        let ((), (), workers, ()) = tokio::join!(
            log.watch(horizon.clone(), stop.clone()),
            watcher.watch(catalog_out, stop.clone()),
            coordinator.run(&lanes_out, stop.clone()),
            self.supervise(horizon, catalog, lanes, look, stop),
        );
        coordinator.leave(&workers).await;
    }

    async fn supervise(
        &self,
        horizon: horizon::Feed,
        mut catalog: watch::Receiver<Option<Catalog>>,
        mut lanes: watch::Receiver<Lanes>,
        look: Arc<Notify>,
        mut stop: Shutdown,
    ) {
        let mut tasks: JoinSet<Ended> = JoinSet::new();
        let mut running: BTreeMap<Post, Running> = BTreeMap::new();
        let mut components = self.metrics.components();
        loop {
            let event = tokio::select! {
                biased;
                () = stop.requested() => Event::Stop,
                Some(ended) = tasks.join_next_with_id() => Event::Ended(ended),
                Ok(()) = lanes.changed() => Event::Lanes,
                Ok(()) = catalog.changed() => Event::Catalog,
                else => Event::Stop,
            };
            match event {
                Event::Stop => break,
                Event::Lanes => {}
                Event::Catalog => Self::show(catalog.borrow().as_ref(), &mut components),
                Event::Ended(ended) => {
                    let id = match ended {
                        Ok((id, Ended::Stopped)) => id,
                        Ok((id, Ended::Superseded)) => {
                            look.notify_one();
                            id
                        }
                        Err(error) => {
                            tracing::error!(%error, "a runner broke; it will be started again");
                            look.notify_one();
                            error.id()
                        }
                    };
                    running.retain(|_, runner| runner.task != id);
                    // A runner that was superseded starts again with the next generation. Should the
                    // generation be the same (the claim raced), a moment's rest keeps this from spinning.
                    tokio::time::sleep(self.options.poll_min).await;
                }
            }
            let wanted = self.wanted(&lanes.borrow_and_update(), catalog.borrow_and_update().as_ref());
            self.reconcile(&wanted, &mut running, &mut tasks, &horizon);
        }
        for runner in running.values() {
            runner.stop.stop();
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a runner broke while stopping");
            }
        }
    }

    /// Has the metrics tell which components are run here.
    fn show(catalog: Option<&Catalog>, components: &mut Components) {
        let loaded = || catalog.into_iter().flat_map(|catalog| catalog.iter());
        components.are(loaded().map(|Loaded { deployment, .. }| {
            (&deployment.projection, deployment.descriptor.version.as_str(), deployment.digest)
        }));
    }

    /// Who should be at work.
    fn wanted(&self, lanes: &Lanes, catalog: Option<&Catalog>) -> BTreeMap<Post, Loaded> {
        let mut wanted = BTreeMap::new();
        for loaded in catalog.into_iter().flat_map(|catalog| catalog.iter()) {
            let deployment = &loaded.deployment;
            for &(worker, index) in &lanes.mine {
                let partitioning = deployment.descriptor.partitioning;
                let share = partition::share(partitioning, &deployment.projection, index, lanes.partitions);
                let Some(range) = share else { continue };
                let post = Post { worker, deployment: deployment.id, generation: lanes.generation, range };
                wanted.insert(post, loaded.clone());
            }
        }
        wanted
    }

    fn reconcile(
        &self,
        wanted: &BTreeMap<Post, Loaded>,
        running: &mut BTreeMap<Post, Running>,
        tasks: &mut JoinSet<Ended>,
        horizon: &horizon::Feed,
    ) {
        for (post, runner) in running.iter() {
            if !wanted.contains_key(post) {
                runner.stop.stop();
            }
        }
        for (post, loaded) in wanted {
            let handed_over = |other: &Post| {
                other != post && other.worker == post.worker && other.deployment == post.deployment
            };
            // A worker handles one thing at a time: its runner of the last generation ends first.
            if running.contains_key(post) || running.keys().any(handed_over) {
                continue;
            }
            let (stop, shutdown) = Shutdown::channel();
            let runner = Runner {
                ports: self.ports.clone(),
                options: Arc::clone(&self.options),
                loaded: loaded.clone(),
                generation: post.generation,
                range: post.range,
                horizon: horizon.clone(),
                metrics: self.metrics.projection(&loaded.deployment.projection),
                status: Arc::clone(&self.status),
                entropy: Arc::clone(&self.entropy),
                stop: shutdown,
            };
            let task = tasks.spawn(runner.run()).id();
            running.insert(*post, Running { task, stop });
        }
    }
}
