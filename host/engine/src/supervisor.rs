//! Reconciles the runners that exist with those that should: one for every active deployment and every
//! partition that a worker of this process owns.
//!
//! Its only inputs are two pictures, the catalog and the lanes; each change makes it compare and act.
//! It decides nothing about generations and nothing about events.

use std::collections::BTreeMap;
use std::sync::Arc;

use kennel_core::lifecycle::Stage;
use kennel_core::membership::{Generation, WorkerId};
use kennel_core::partition::{self, HashRange};
use kennel_core::projection::{DeploymentId, ReadModelId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::batch::Loaded;
use crate::catalog::{self, Catalog};
use crate::connections;
use crate::coordinator::{Coordinator, Lanes};
use crate::entropy::Entropy;
use crate::env::ReadHabits;
use crate::fault::{self, Faults, Reporter, guard};
use crate::horizon;
use crate::metrics::{Components, ConnectionMetrics, HorizonMetrics, HostPart, Metrics, ReplicaSetMetrics};
use crate::options::{Options, Ports};
use crate::runner::{Ceiling, Ended, Runner};
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::status::Status;
use crate::steward::Steward;

/// The engine of one process.
#[derive(Debug)]
pub struct Engine {
    ports: Ports,
    options: Arc<Options>,
    metrics: ReplicaSetMetrics,
    horizon_metrics: HorizonMetrics,
    connection_metrics: ConnectionMetrics,
    status: Arc<Status>,
    entropy: Arc<Entropy>,
}

/// What makes a runner the one that it is: if any of this changes, another takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Post {
    worker: WorkerId,
    read_model: ReadModelId,
    deployment: DeploymentId,
    stage: Stage,
    generation: Generation,
    range: HashRange,
}

struct Running {
    task: Id,
    stop: ShutdownTrigger,
}

/// How the runners of a worker for a read model have fared.
#[derive(Default)]
struct Health {
    faults: Faults,
    /// None is started before.
    rests_until: Option<Instant>,
    /// The name under which the faults appear in the status.
    name: String,
}

/// The runners of this process, and what those that have ended leave to their successors.
#[derive(Default)]
struct Crew {
    tasks: JoinSet<(Ended, ReadHabits)>,
    running: BTreeMap<Post, Running>,
    habits: BTreeMap<(WorkerId, ReadModelId), ReadHabits>,
    health: BTreeMap<(WorkerId, ReadModelId), Health>,
    /// The one place that each worker has for building read models.
    rebuilds: BTreeMap<WorkerId, Arc<Semaphore>>,
}

enum Event {
    Catalog,
    Lanes,
    Ended(Result<(Id, (Ended, ReadHabits)), JoinError>),
    Rested,
    Stop,
}

impl Engine {
    /// An engine that has not begun.
    #[must_use]
    pub fn new(ports: Ports, options: Options, metrics: &Metrics, entropy: Entropy) -> Self {
        let horizon_metrics = metrics.horizon();
        let connection_metrics = metrics.connections();
        options.memory.measure(metrics.memory());
        let metrics = metrics.replica_set(&options.replica_set);
        let status = Arc::new(Status::starting());
        Self {
            ports,
            options: Arc::new(options),
            metrics,
            horizon_metrics,
            connection_metrics,
            status,
            entropy: Arc::new(entropy),
        }
    }

    /// What stands still, for `/readyz`.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// The metrics of its replica set.
    #[must_use]
    pub fn metrics(&self) -> ReplicaSetMetrics {
        self.metrics.clone()
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
        let reporter = Reporter { status: Arc::clone(&self.status), metrics: self.metrics.clone() };
        let watcher = || catalog::Watcher {
            registry: Arc::clone(&self.ports.registry),
            runtime: Arc::clone(&self.ports.runtime),
            replica_set: self.options.replica_set.clone(),
            host: self.options.host.clone(),
            interval: self.options.catalog_interval,
            load_pause_max: self.options.load_pause_max,
            status: Arc::clone(&self.status),
            metrics: self.metrics.clone(),
        };
        let log = || horizon::Watcher {
            events: Arc::clone(&self.ports.events),
            metrics: self.horizon_metrics.clone(),
            status: Arc::clone(&self.status),
            polls: (self.options.poll_min, self.options.poll_max),
        };
        let steward = || Steward {
            registry: Arc::clone(&self.ports.registry),
            horizon: horizon.clone(),
            metrics: self.metrics.clone(),
        };
        let connections = || connections::Watcher {
            coordination: Arc::clone(&self.ports.coordination),
            metrics: self.connection_metrics.clone(),
            status: Arc::clone(&self.status),
        };
        let guarded = |part| (&reporter, part, stop.clone());
        let (_, _, workers, _, _, _) = tokio::join!(
            guard(guarded(HostPart::Horizon), || log().watch(horizon.clone(), stop.clone())),
            guard(guarded(HostPart::Catalog), || watcher().watch(catalog_out.clone(), stop.clone())),
            guard(guarded(HostPart::Coordinator), || coordinator.run(&lanes_out, stop.clone())),
            guard(guarded(HostPart::Steward), || steward().serve(catalog.clone(), stop.clone())),
            guard(guarded(HostPart::Connections), || connections().watch(stop.clone())),
            guard(guarded(HostPart::Supervisor), || {
                self.supervise(
                    horizon.clone(),
                    catalog.clone(),
                    lanes.clone(),
                    Arc::clone(&look),
                    stop.clone(),
                )
            }),
        );
        coordinator.leave(&workers.unwrap_or_default()).await;
    }

    async fn supervise(
        &self,
        horizon: horizon::Feed,
        mut catalog: watch::Receiver<Option<Catalog>>,
        mut lanes: watch::Receiver<Lanes>,
        look: Arc<Notify>,
        mut stop: Shutdown,
    ) {
        let mut crew = Crew::default();
        let mut components = self.metrics.components();
        loop {
            let rest = crew.next_rest();
            let rested = async {
                match rest {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = stop.requested() => Event::Stop,
                Some(ended) = crew.tasks.join_next_with_id() => Event::Ended(ended),
                Ok(()) = lanes.changed() => Event::Lanes,
                Ok(()) = catalog.changed() => Event::Catalog,
                () = rested => Event::Rested,
                else => Event::Stop,
            };
            match event {
                Event::Stop => break,
                Event::Lanes | Event::Catalog | Event::Rested => {}
                Event::Ended(ended) => {
                    let (id, habits, rest) = match ended {
                        Ok((id, (ended, habits))) => (id, Some(habits), ended == Ended::Superseded),
                        Err(error) => {
                            let id = error.id();
                            self.broke(&mut crew, id, error);
                            (id, None, false)
                        }
                    };
                    if rest {
                        look.notify_one();
                        // It starts again with the next generation. Should the generation be the same (the
                        // claim raced), a moment's rest keeps this from spinning.
                        tokio::time::sleep(self.options.poll_min).await;
                    }
                    crew.gone(id, habits);
                }
            }
            // Whatever has woken this loop, it sees the latest catalog here, and not a second time.
            let latest = catalog.borrow_and_update().clone();
            Self::show(latest.as_ref(), &mut components);
            let wanted = self.wanted(&lanes.borrow_and_update(), latest.as_ref());
            self.reconcile(&wanted, &mut crew, &horizon);
        }
        for runner in crew.running.values() {
            runner.stop.stop();
        }
        while let Some(ended) = crew.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a runner broke while stopping");
            }
        }
    }

    /// A runner has panicked: nobody takes its place for a while.
    fn broke(&self, crew: &mut Crew, task: Id, error: JoinError) {
        let message = fault::message_of(error);
        let Some(post) = crew.post_of(task) else { return };
        let health = crew.health.entry((post.worker, post.read_model)).or_default();
        let reporter = Reporter { status: Arc::clone(&self.status), metrics: self.metrics.clone() };
        let pause = health.faults.happened(&reporter, HostPart::Runner, &health.name, &message);
        health.rests_until = Some(Instant::now() + pause);
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
                let post = Post {
                    worker,
                    read_model: deployment.read_model,
                    deployment: deployment.id,
                    stage: loaded.stage,
                    generation: lanes.generation,
                    range,
                };
                wanted.insert(post, loaded.clone());
            }
        }
        wanted
    }

    fn reconcile(&self, wanted: &BTreeMap<Post, Loaded>, crew: &mut Crew, horizon: &horizon::Feed) {
        for (post, runner) in &crew.running {
            if !wanted.contains_key(post) {
                runner.stop.stop();
            }
        }
        for (post, loaded) in wanted {
            let handed_over = |other: &Post| {
                other != post && other.worker == post.worker && other.read_model == post.read_model
            };
            // A worker does one thing at a time to a read model: its runner of the last generation, or of the
            // last deployment, commits its batch first.
            if crew.running.contains_key(post) || crew.running.keys().any(handed_over) {
                continue;
            }
            let health = crew.health.entry((post.worker, post.read_model)).or_default();
            if health.rests_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            health.rests_until = None;
            health.name = format!("projection {} on worker {}", loaded.deployment.projection, post.worker);
            let health = (health.faults.clone(), health.name.clone());
            let (stop, shutdown) = Shutdown::channel();
            let habits = crew.habits.remove(&(post.worker, post.read_model)).unwrap_or_default();
            let rebuilds = crew.rebuilds.entry(post.worker).or_insert_with(|| Arc::new(Semaphore::new(1)));
            let runner = Runner {
                ports: self.ports.clone(),
                options: Arc::clone(&self.options),
                loaded: loaded.clone(),
                generation: post.generation,
                range: post.range,
                horizon: horizon.clone(),
                metrics: self.metrics.deployment(&loaded.deployment.projection, loaded.stage),
                status: Arc::clone(&self.status),
                entropy: Arc::clone(&self.entropy),
                habits: habits.hand_over(),
                health,
                rebuilds: Arc::clone(rebuilds),
                ceiling: Ceiling::default(),
                stop: shutdown,
            };
            let task = crew.tasks.spawn(runner.run()).id();
            crew.running.insert(*post, Running { task, stop });
        }
        crew.rebuilds.retain(|worker, _| crew.running.keys().any(|post| post.worker == *worker));
        // What nobody has taken up by now, nobody will.
        let is_wanted = |worker: WorkerId, read_model: ReadModelId| {
            wanted.keys().any(|post| post.worker == worker && post.read_model == read_model)
        };
        crew.habits.retain(|(worker, read_model), _| is_wanted(*worker, *read_model));
        crew.health.retain(|(worker, read_model), health| {
            let stays = is_wanted(*worker, *read_model);
            if !stays {
                health.faults.over(&self.status, &health.name);
            }
            stays
        });
    }
}

impl Crew {
    fn post_of(&self, task: Id) -> Option<Post> {
        self.running.iter().find(|(_, runner)| runner.task == task).map(|(post, _)| *post)
    }

    /// When the next of those who rest may be started again.
    fn next_rest(&self) -> Option<Instant> {
        self.health.values().filter_map(|health| health.rests_until).min()
    }

    /// A runner has ended.
    fn gone(&mut self, task: Id, habits: Option<ReadHabits>) {
        let Some(post) = self.post_of(task) else { return };
        self.running.remove(&post);
        self.habits.extend(habits.map(|habits| ((post.worker, post.read_model), habits)));
    }
}
