//! Reconciles the runners that exist with those that should: one for every active deployment and every
//! partition that a worker of this process owns.
//!
//! Its only inputs are two states, the catalog and the assignments; each change makes it compare and act. It decides
//! nothing about generations and nothing about events.

use std::collections::BTreeMap;
use std::sync::Arc;

use kennel_core::lifecycle::Role;
use kennel_core::membership::{Generation, WorkerId};
use kennel_core::partition::{self, HashRange};
use kennel_core::projection::{DeploymentId, ReadModelId};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::catalog::{self, Catalog};
use crate::connections;
use crate::coordinator::{Assignments, Coordinator};
use crate::cutover::CutoverController;
use crate::entropy::Entropy;
use crate::env::PrefetchPlan;
use crate::fault::{self, Faults, Reporter, guard};
use crate::high_water_mark;
use crate::loaded::Loaded;
use crate::metrics::{
    Components, ConnectionMetrics, HighWaterMarkMetrics, HostPart, Metrics, ReplicaSetMetrics,
};
use crate::options::Options;
use crate::ports::Ports;
use crate::runner::{Ended, Runner};
use crate::shutdown::{Shutdown, ShutdownTrigger};
use crate::status::{FaultyPart, Status};

/// The engine of one process.
#[derive(Debug)]
pub struct Engine {
    ports: Ports,
    options: Arc<Options>,
    metrics: ReplicaSetMetrics,
    high_water_mark_metrics: HighWaterMarkMetrics,
    connection_metrics: ConnectionMetrics,
    status: Arc<Status>,
    entropy: Arc<Entropy>,
}

/// The identity of a runner: if any of this changes, another runner replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    worker: WorkerId,
    read_model: ReadModelId,
    deployment: DeploymentId,
    role: Role,
    generation: Generation,
    range: HashRange,
}

struct Running {
    task: Id,
    stop: ShutdownTrigger,
    /// The part under which its faults are reported.
    part: FaultyPart,
}

/// The faults of the runners of a worker for a read model.
struct Health {
    faults: Faults,
    /// No runner is started before.
    rests_until: Option<Instant>,
    /// The part under which the faults are reported.
    part: FaultyPart,
}

impl Health {
    fn of(part: FaultyPart) -> Self {
        Self { faults: Faults::default(), rests_until: None, part }
    }
}

/// The runners of this process, and the state that those that have ended leave to their successors.
#[derive(Default)]
struct Runners {
    tasks: JoinSet<(Ended, PrefetchPlan)>,
    running: BTreeMap<Slot, Running>,
    prefetch: BTreeMap<(WorkerId, ReadModelId), PrefetchPlan>,
    health: BTreeMap<(WorkerId, ReadModelId), Health>,
    /// The one permit that each worker has for building read models.
    rebuilds: BTreeMap<WorkerId, Arc<Semaphore>>,
}

enum Event {
    Catalog,
    Assignments,
    Ended(Result<(Id, (Ended, PrefetchPlan)), JoinError>),
    Rested,
    Stop,
}

impl Engine {
    /// An engine that has not begun.
    #[must_use]
    pub fn new(ports: Ports, options: Options, metrics: &Metrics, entropy: Entropy) -> Self {
        let high_water_mark_metrics = metrics.high_water_mark();
        let connection_metrics = metrics.connections();
        options.memory.measure(metrics.memory());
        let metrics = metrics.replica_set(&options.replica_set);
        let status = Arc::new(Status::starting());
        Self {
            ports,
            options: Arc::new(options),
            metrics,
            high_water_mark_metrics,
            connection_metrics,
            status,
            entropy: Arc::new(entropy),
        }
    }

    /// The parts that are blocked, for `/readyz`.
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
        let high_water_mark = high_water_mark::PublishedMark::default();
        let (catalog_out, catalog) = watch::channel(None);
        let (assignments_out, assignments) = watch::channel(Assignments::default());
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
        let watcher = || catalog::CatalogWatcher {
            source: Arc::new(self.ports.clone()),
            reports: Arc::new(self.ports.clone()),
            runtime: Arc::clone(&self.ports.runtime),
            replica_set: self.options.replica_set.clone(),
            host: self.options.host.clone(),
            interval: self.options.catalog_interval,
            load_pause_max: self.options.load_pause_max,
            status: Arc::clone(&self.status),
            metrics: self.metrics.clone(),
        };
        let log = || high_water_mark::HighWaterMarkWatcher {
            log: Arc::clone(&self.ports.log),
            metrics: self.high_water_mark_metrics.clone(),
            status: Arc::clone(&self.status),
            polls: (self.options.poll_min, self.options.poll_max),
        };
        let controller = || CutoverController {
            cutover: Arc::clone(&self.ports.cutover),
            reports: Arc::new(self.ports.clone()),
            high_water_mark: high_water_mark.clone(),
            metrics: self.metrics.clone(),
        };
        let connections = || connections::ConnectionWatcher {
            coordination: Arc::clone(&self.ports.coordination),
            metrics: self.connection_metrics.clone(),
            status: Arc::clone(&self.status),
        };
        let guarded = |part| (&reporter, part, stop.clone());
        let (_, _, workers, _, _, _) = tokio::join!(
            guard(guarded(HostPart::HighWaterMark), || log().watch(high_water_mark.clone(), stop.clone())),
            guard(guarded(HostPart::Catalog), || watcher().watch(catalog_out.clone(), stop.clone())),
            guard(guarded(HostPart::Coordinator), || coordinator.run(&assignments_out, stop.clone())),
            guard(guarded(HostPart::CutoverController), || controller().serve(catalog.clone(), stop.clone())),
            guard(guarded(HostPart::Connections), || connections().watch(stop.clone())),
            guard(guarded(HostPart::Supervisor), || {
                self.supervise(
                    high_water_mark.clone(),
                    catalog.clone(),
                    assignments.clone(),
                    Arc::clone(&look),
                    stop.clone(),
                )
            }),
        );
        coordinator.leave(&workers.unwrap_or_default()).await;
    }

    async fn supervise(
        &self,
        high_water_mark: high_water_mark::PublishedMark,
        mut catalog: watch::Receiver<Option<Catalog>>,
        mut assignments: watch::Receiver<Assignments>,
        look: Arc<Notify>,
        mut stop: Shutdown,
    ) {
        let mut runners = Runners::default();
        let mut components = self.metrics.components();
        loop {
            let rest = runners.next_rest();
            let rested = async {
                match rest {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = stop.requested() => Event::Stop,
                Some(ended) = runners.tasks.join_next_with_id() => Event::Ended(ended),
                Ok(()) = assignments.changed() => Event::Assignments,
                Ok(()) = catalog.changed() => Event::Catalog,
                () = rested => Event::Rested,
                else => Event::Stop,
            };
            match event {
                Event::Stop => break,
                Event::Assignments | Event::Catalog | Event::Rested => {}
                Event::Ended(ended) => {
                    let (id, prefetch, rest) = match ended {
                        Ok((id, (ended, prefetch))) => (id, Some(prefetch), ended == Ended::Superseded),
                        Err(error) => {
                            let id = error.id();
                            self.broke(&mut runners, id, error);
                            (id, None, false)
                        }
                    };
                    if rest {
                        look.notify_one();
                        // It starts again with the next generation. Should the generation be the same (the
                        // claim raced), a moment's rest keeps this from spinning.
                        tokio::time::sleep(self.options.poll_min).await;
                    }
                    runners.gone(id, prefetch);
                }
            }
            // Whatever has woken this loop, it sees the latest catalog here, and not a second time.
            let latest = catalog.borrow_and_update().clone();
            Self::show(latest.as_ref(), &mut components);
            let wanted = self.wanted(&assignments.borrow_and_update(), latest.as_ref());
            self.reconcile(&wanted, &mut runners, &high_water_mark);
        }
        for runner in runners.running.values() {
            runner.stop.stop();
        }
        while let Some(ended) = runners.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a runner broke while stopping");
            }
        }
    }

    /// A runner has panicked: no other replaces it for a while. It may be one that is not wanted any more.
    fn broke(&self, runners: &mut Runners, task: Id, error: JoinError) {
        let message = fault::message_of(error);
        let Some((slot, running)) = runners.running.iter().find(|(_, running)| running.task == task) else {
            return;
        };
        let health = runners.health.entry((slot.worker, slot.read_model));
        let health = health.or_insert_with(|| Health::of(running.part.clone()));
        let reporter = Reporter { status: Arc::clone(&self.status), metrics: self.metrics.clone() };
        let pause = health.faults.happened(&reporter, &health.part, &message);
        health.rests_until = Some(Instant::now() + pause);
    }

    /// Has the metrics report which components are run here.
    fn show(catalog: Option<&Catalog>, components: &mut Components) {
        let loaded = || catalog.into_iter().flat_map(|catalog| catalog.iter());
        components.are(loaded().map(|Loaded { deployment, .. }| {
            (&deployment.projection, deployment.descriptor.version.as_str(), deployment.digest)
        }));
    }

    /// The runners that should be at work.
    fn wanted(&self, assignments: &Assignments, catalog: Option<&Catalog>) -> BTreeMap<Slot, Loaded> {
        let mut wanted = BTreeMap::new();
        for loaded in catalog.into_iter().flat_map(|catalog| catalog.iter()) {
            let deployment = &loaded.deployment;
            for &(worker, index) in &assignments.mine {
                let partitioning = deployment.descriptor.partitioning;
                let share =
                    partition::share(partitioning, &deployment.projection, index, assignments.partitions);
                let Some(range) = share else { continue };
                let slot = Slot {
                    worker,
                    read_model: deployment.read_model,
                    deployment: deployment.id,
                    role: loaded.role,
                    generation: assignments.generation,
                    range,
                };
                wanted.insert(slot, loaded.clone());
            }
        }
        wanted
    }

    fn reconcile(
        &self,
        wanted: &BTreeMap<Slot, Loaded>,
        runners: &mut Runners,
        high_water_mark: &high_water_mark::PublishedMark,
    ) {
        for (slot, runner) in &runners.running {
            if !wanted.contains_key(slot) {
                runner.stop.stop();
            }
        }
        for (slot, loaded) in wanted {
            let is_predecessor = |other: &Slot| {
                other != slot && other.worker == slot.worker && other.read_model == slot.read_model
            };
            // A worker does one thing at a time to a read model: its runner of the last generation, or of the
            // last deployment, commits its batch first.
            if runners.running.contains_key(slot) || runners.running.keys().any(is_predecessor) {
                continue;
            }
            let projection = loaded.deployment.projection.clone();
            let part = FaultyPart::Runner { projection, worker: slot.worker };
            let health = runners.health.entry((slot.worker, slot.read_model));
            let health = health.or_insert_with(|| Health::of(part.clone()));
            if health.rests_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            health.rests_until = None;
            let health = (health.faults.clone(), health.part.clone());
            let (stop, shutdown) = Shutdown::channel();
            let prefetch = runners.prefetch.remove(&(slot.worker, slot.read_model)).unwrap_or_default();
            let rebuilds = runners.rebuilds.entry(slot.worker).or_insert_with(|| Arc::new(Semaphore::new(1)));
            let runner = Runner {
                ports: self.ports.clone(),
                options: Arc::clone(&self.options),
                loaded: loaded.clone(),
                generation: slot.generation,
                range: slot.range,
                high_water_mark: high_water_mark.clone(),
                metrics: self.metrics.deployment(&loaded.deployment.projection, loaded.role),
                status: Arc::clone(&self.status),
                entropy: Arc::clone(&self.entropy),
                prefetch: prefetch.for_successor(),
                health,
                rebuilds: Arc::clone(rebuilds),
                stop: shutdown,
            };
            let task = runners.tasks.spawn(runner.run()).id();
            runners.running.insert(*slot, Running { task, stop, part });
        }
        runners.rebuilds.retain(|worker, _| runners.running.keys().any(|slot| slot.worker == *worker));
        // State that no runner has taken up by now is not needed any more.
        let is_wanted = |worker: WorkerId, read_model: ReadModelId| {
            wanted.keys().any(|slot| slot.worker == worker && slot.read_model == read_model)
        };
        runners.prefetch.retain(|(worker, read_model), _| is_wanted(*worker, *read_model));
        runners.health.retain(|(worker, read_model), health| {
            let stays = is_wanted(*worker, *read_model);
            if !stays {
                health.faults.over(&self.status, &health.part);
            }
            stays
        });
    }
}

impl Runners {
    fn slot_of(&self, task: Id) -> Option<Slot> {
        self.running.iter().find(|(_, runner)| runner.task == task).map(|(slot, _)| *slot)
    }

    /// When the next of the resting runners may be started again.
    fn next_rest(&self) -> Option<Instant> {
        self.health.values().filter_map(|health| health.rests_until).min()
    }

    /// A runner has ended.
    fn gone(&mut self, task: Id, prefetch: Option<PrefetchPlan>) {
        let Some(slot) = self.slot_of(task) else { return };
        self.running.remove(&slot);
        self.prefetch.extend(prefetch.map(|prefetch| ((slot.worker, slot.read_model), prefetch)));
    }
}
