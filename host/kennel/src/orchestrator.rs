//! Kennel inside another program: everything that `kennel run` does, without its command line.
//!
//! It neither parses configuration nor handles signals nor serves HTTP: the program that embeds it does
//! what it needs of these, with the crate `kennel_server` at hand.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::limits;
use kennel_core::name::{InvalidName, ProjectionName, ReplicaSet};
use kennel_core::port::StoreError;
use kennel_core::projection::Settings;
use kennel_engine::metrics::ReplicaSetMetrics;
use kennel_engine::{Engine, Memory, Metrics, Options, Part, Shutdown, Status};
use kennel_store::{ConnectError, ConnectOptions, InvalidUrl, Mode, RunLock, RunLockError, Store, StoreLost};
use prometheus::Registry;

use crate::activate;
use crate::control::ControlError;
use crate::control::local::Local;
use crate::wire::{self, Target};

/// How long the work may take to end when there is no store any more.
const LOST_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Runs the projections of a replica set inside this program.
///
/// ```no_run
/// # async fn example() -> Result<(), kennel::OrchestratorError> {
/// let orchestrator = kennel::Orchestrator::builder()
///     .store("postgres://me@localhost/shop")
///     .projection_file("order-summary", "order_summary.wasm")
///     .build()
///     .await?;
/// orchestrator.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
/// # Ok(()) }
/// ```
pub struct Orchestrator {
    store: Store,
    engine: Engine,
    control: Local,
    lock: RunLock,
}

impl std::fmt::Debug for Orchestrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orchestrator")
            .field("store", &self.store)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// An orchestrator that could not be built, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum OrchestratorError {
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Another process runs the SQLite file.
    #[error(transparent)]
    Taken(#[from] RunLockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A SQLite file was removed or replaced while it was run.
    #[error(transparent)]
    Lost(#[from] StoreLost),
    #[error("cannot read the component {path}")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the projection `{projection}` cannot be activated")]
    Activate {
        projection: ProjectionName,
        #[source]
        source: ControlError,
    },
    #[error("the metrics cannot be registered: the registry holds metrics of these names already")]
    Metrics(#[source] prometheus::Error),
    #[error("this machine cannot run WebAssembly components")]
    Runtime(#[source] wire::RuntimeError),
    #[error(
        "a worker would be taken for dead after {stale_after:?} without a heartbeat, and sends one every \
         {heartbeat_interval:?}: make `stale_after` at least twice `heartbeat_interval`"
    )]
    Intervals { heartbeat_interval: Duration, stale_after: Duration },
    #[error("a process that runs projections needs at least {least} connections, not {given}")]
    Connections { given: u32, least: u32 },
}

/// Where metrics go.
#[derive(Debug)]
enum Measured {
    /// To prometheus' default registry.
    ByDefault,
    In(Registry),
    With(Metrics),
    Not,
}

#[derive(Debug)]
enum Component {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// What an orchestrator is made of. The defaults are those of `kennel run`.
#[derive(Debug)]
pub struct Builder {
    store: String,
    target: Option<Target>,
    replica_set: String,
    projections: Vec<(String, Component, Settings)>,
    workers: usize,
    batch: Option<usize>,
    heartbeat_interval: Duration,
    stale_after: Duration,
    rebuild_share: f64,
    connections: Option<u32>,
    memory: Option<usize>,
    measured: Measured,
    compiler: Option<PathBuf>,
}

impl Orchestrator {
    /// An orchestrator of the replica set `main` on `sqlite:kennel.db`, unless configured otherwise.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            store: wire::DEFAULT_STORE.to_owned(),
            target: None,
            replica_set: ReplicaSet::default().into(),
            projections: Vec::new(),
            workers: wire::cores().get(),
            batch: None,
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            stale_after: limits::STALE_AFTER,
            rebuild_share: limits::REBUILD_SHARE,
            connections: None,
            memory: None,
            measured: Measured::ByDefault,
            compiler: None,
        }
    }

    /// The store, to append events to and to read documents from.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The parts that are blocked, for readiness probes.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        self.engine.status()
    }

    /// The operations on projections, on the store of this orchestrator and with its runtime.
    #[must_use]
    pub fn control(&self) -> Local {
        self.control.clone()
    }

    /// The metrics of its replica set.
    #[must_use]
    pub fn metrics(&self) -> ReplicaSetMetrics {
        self.engine.metrics()
    }

    /// Works until `shutdown` resolves; then every worker finishes its batch, commits it and leaves the
    /// replica set. Dropping the future instead loses nothing, but the others have to notice it.
    ///
    /// # Errors
    /// If the SQLite file was removed or replaced meanwhile: nothing is written any more then, neither to the old file
    /// nor to the new one.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), OrchestratorError> {
        let (trigger, stop) = Shutdown::channel();
        let status = self.engine.status();
        let (store, lock) = (self.store, self.lock);
        let mut working = std::pin::pin!(self.engine.run(stop));
        let mut shutdown = std::pin::pin!(shutdown);
        let (mut asked, mut ended) = (false, false);
        let lost = loop {
            tokio::select! {
                () = &mut working, if !ended => {
                    if !store.is_lost() {
                        drop(lock);
                        return Ok(());
                    }
                    ended = true;
                }
                () = &mut shutdown, if !asked => {
                    asked = true;
                    trigger.stop();
                }
                lost = store.lost() => break lost,
            }
        };
        status.block(Part::Store, lost.to_string());
        tracing::error!(reason = %lost, "the files of the store are gone; ending");
        trigger.stop();
        if !ended {
            // Calls under way come to their end; nothing can be committed.
            let _ = tokio::time::timeout(LOST_ENDS_WITHIN, working).await;
        }
        drop(lock);
        Err(lost.into())
    }
}

impl Builder {
    /// The store: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[must_use]
    pub fn store(mut self, url: impl Into<String>) -> Self {
        self.store = url.into();
        self
    }

    /// The store with all its settings.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The replica set whose projections to run.
    #[must_use]
    pub fn replica_set(mut self, name: impl Into<String>) -> Self {
        self.replica_set = name.into();
        self
    }

    /// Deploys a component under a name, unless that name has it already. Where another serves, it goes on where
    /// that stands with the new code. Projections that the store holds are run in any case.
    #[must_use]
    pub fn projection(mut self, name: impl Into<String>, component: impl Into<Vec<u8>>) -> Self {
        self.projections.push((name.into(), Component::Bytes(component.into()), Settings::default()));
        self
    }

    /// As [`Self::projection`], from a file.
    #[must_use]
    pub fn projection_file(mut self, name: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        self.projections.push((name.into(), Component::File(file.into()), Settings::default()));
        self
    }

    /// The settings of the projection that was named last, should it not have been deployed before.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        if let Some(last) = self.projections.last_mut() {
            last.2 = settings;
        }
        self
    }

    /// Workers in this process; by default one for each core.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Most events handled and committed together, for all projections.
    #[must_use]
    pub fn batch_size(mut self, events: usize) -> Self {
        self.batch = Some(events);
        self
    }

    /// How often a worker says that it is alive.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// The age of its last heartbeat at which a worker is taken for dead. All processes of a replica set
    /// should agree on it.
    #[must_use]
    pub fn stale_after(mut self, age: Duration) -> Self {
        self.stale_after = age;
        self
    }

    /// How much of its time a worker gives to building a read model beside the one that serves: above 0, at most
    /// 1; by default half of it.
    #[must_use]
    pub fn rebuild_share(mut self, share: f64) -> Self {
        self.rebuild_share = share;
        self
    }

    /// Most connections to a PostgreSQL server; by default 6. One shows that the process is alive, one hears of new
    /// events, and the others do the work.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Memory that all batches may take together, guests and documents, in bytes; by default half of what the machine,
    /// the container or the limits of this process leave. Less than [`limits::WORK_MEMORY_BYTES_MIN`] counts as that.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Whether anything is measured; without it no metric is registered and none is kept.
    #[must_use]
    pub fn metrics_enabled(mut self, enabled: bool) -> Self {
        self.measured = match self.measured {
            kept if enabled && !matches!(kept, Measured::Not) => kept,
            _ if enabled => Measured::ByDefault,
            _ => Measured::Not,
        };
        self
    }

    /// Registers the metrics with this registry instead of prometheus' default one.
    #[must_use]
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.measured = Measured::In(registry.clone());
        self
    }

    /// Uses metrics that are registered already: for several orchestrators that share a registry. They should
    /// share a store as well: a registry has one place for the end of the log.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.measured = Measured::With(metrics.clone());
        self
    }

    /// A `kennel` binary that compiles components in a process of its own, where a component that is made to exhaust
    /// a compiler exhausts nothing else. It has to be of the same version and build as this library; with one that
    /// cannot be used, nothing is compiled. If none is named, this process compiles, without bounds.
    #[must_use]
    pub fn compiler(mut self, program: impl Into<PathBuf>) -> Self {
        self.compiler = Some(program.into());
        self
    }

    /// Opens the store, registers the metrics and activates the projections. Work begins with
    /// [`Orchestrator::run`].
    ///
    /// # Errors
    /// If the store cannot be opened or is run by another process, if a component cannot be activated, or if
    /// a name or an interval makes no sense.
    pub async fn build(self) -> Result<Orchestrator, OrchestratorError> {
        let (heartbeat_interval, stale_after) = (self.heartbeat_interval, self.stale_after);
        if stale_after < heartbeat_interval * 2 {
            return Err(OrchestratorError::Intervals { heartbeat_interval, stale_after });
        }
        let replica_set: ReplicaSet = self.replica_set.parse()?;
        let target = match self.target {
            Some(target) => target,
            None => Target::at(self.store.parse()?).stale_after(stale_after),
        };
        let url = target.url().clone();
        if let Some(given) = self.connections.filter(|given| *given < limits::CONNECTIONS_MIN) {
            return Err(OrchestratorError::Connections { given, least: limits::CONNECTIONS_MIN });
        }
        let options = target.connections(self.connections);
        let options = ConnectOptions { runs_projections: true, ..options.options(Mode::ReadWrite) };
        let store = kennel_store::connect(&url, &options).await?;
        let lock = store.acquire_run_lock()?;
        store.forget_former_workers(&lock).await?;
        let runtime = wire::start_runtime(self.compiler).map_err(OrchestratorError::Runtime)?;
        let ports = wire::ports(&store, runtime);
        let control = Local::new(ports.clone()).stale_after(stale_after).replica_set(replica_set.clone());
        for (name, component, settings) in self.projections {
            ensure(&store, &control, &replica_set, name.parse()?, component, settings).await?;
        }
        let metrics = self.measured.metrics().map_err(OrchestratorError::Metrics)?;
        let options = Options {
            workers: self.workers,
            host: wire::host(),
            batch: self.batch,
            heartbeat_interval,
            stale_after,
            rebuild_share: self.rebuild_share,
            memory: Arc::new(Memory::new(wire::batch_memory(self.memory))),
            ..Options::new(replica_set)
        };
        let engine = Engine::new(ports, options, &metrics, wire::entropy());
        Ok(Orchestrator { store, engine, control, lock })
    }
}

impl Measured {
    fn metrics(self) -> Result<Metrics, prometheus::Error> {
        /// Those of the default registry, which all orchestrators of a process share.
        static BY_DEFAULT: Mutex<Option<Metrics>> = Mutex::new(None);
        match self {
            Self::ByDefault => {
                let mut shared = BY_DEFAULT.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(metrics) = shared.as_ref() {
                    return Ok(metrics.clone());
                }
                let metrics = Metrics::register(prometheus::default_registry())?;
                Ok(shared.insert(metrics).clone())
            }
            Self::In(registry) => Metrics::register(&registry),
            Self::With(metrics) => Ok(metrics),
            Self::Not => Ok(Metrics::default()),
        }
    }
}

/// Deploys a component unless its name has it already.
async fn ensure(
    store: &Store,
    control: &Local,
    replica_set: &ReplicaSet,
    projection: ProjectionName,
    component: Component,
    settings: Settings,
) -> Result<(), OrchestratorError> {
    let bytes = match component {
        Component::Bytes(bytes) => bytes,
        Component::File(file) => std::fs::read(&file)
            .map_err(|source| OrchestratorError::File { path: file.display().to_string(), source })?,
    };
    match store.find(&projection).await? {
        Some(existing) if existing.digest == Digest::of(&bytes) && existing.replica_set == *replica_set => {
            Ok(())
        }
        _ => {
            let activated = activate::activate(control, bytes, &projection, replica_set, settings).await;
            activated.map(|_| ()).map_err(|source| OrchestratorError::Activate { projection, source })
        }
    }
}
