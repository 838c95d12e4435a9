//! The metrics of the engine. Names, types, labels and buckets are a public contract.
//!
//! Counters that many processes could count are counted once, by the process that did the thing. The
//! series of a replica set and of a projection exist at 0 as soon as the process knows of them, so that
//! `rate()` and `== 0` work from the start. With metrics off nothing is registered and the handles do
//! no work.

mod connections;
mod high_water_mark;
mod host;
mod memory;
mod progress;
mod projection;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kennel_core::lifecycle::Role;
use kennel_core::membership::{WorkerId, WorkerState};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::CodeSource;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

pub use connections::ConnectionMetrics;
pub use high_water_mark::HighWaterMarkMetrics;
pub use host::HostPart;
pub use memory::MemoryMetrics;
pub use progress::ProgressGauge;
pub use projection::{Components, ProjectionMetrics};

const PREFIX: &str = "pupsourcing_orchestrator_";

/// Buckets of `event_processing_duration_seconds`.
pub const PROCESSING_BUCKETS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Buckets of `coordination_duration_seconds`.
pub const COORDINATION_BUCKETS: [f64; 8] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Buckets of `heartbeat_latency_seconds`.
pub const HEARTBEAT_BUCKETS: [f64; 7] = [0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0];

/// All metrics, or none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Option<Arc<Vectors>>);

#[derive(Debug)]
struct Vectors {
    generations: IntCounterVec,
    workers_registered: IntCounterVec,
    partition_assignments: IntCounterVec,
    reconfigurations: IntCounterVec,
    stale_workers_cleaned: IntCounterVec,
    active_workers: IntGaugeVec,
    generation_partitions: IntGaugeVec,
    worker_state: IntGaugeVec,
    coordination_duration: HistogramVec,
    heartbeat_latency: HistogramVec,
    deployments: IntCounterVec,
    components_loaded: IntCounterVec,
    host_faults: IntCounterVec,
    projections: projection::Vectors,
    high_water_mark: high_water_mark::Vectors,
    connections: connections::Vectors,
    memory: memory::Vectors,
}

/// The outcome of an operation on a projection, or of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentOutcome {
    /// An operation changed something.
    Accepted,
    /// An operation found nothing to change.
    Unchanged,
    /// The projection did not allow an operation, or did not exist.
    Rejected,
    /// A component cannot run here, or cannot continue the serving one.
    Unsupported,
    /// A candidate was promoted: its cutover is complete.
    Promoted,
}

impl DeploymentOutcome {
    const ALL: [Self; 5] =
        [Self::Accepted, Self::Unchanged, Self::Rejected, Self::Unsupported, Self::Promoted];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Unsupported => "unsupported",
            Self::Promoted => "promoted",
        }
    }
}

/// Labels of a replica set's metrics.
const SET: [&str; 1] = ["replica_set"];
/// Labels of a projection's metrics.
const PROJECTION: [&str; 2] = ["replica_set", "projection"];

/// Makes metrics and registers them.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    /// A metric's full name: those that do not bear our own prefix belong to the contract.
    fn opts(name: &str, help: &str) -> Opts {
        let prefix = if name.starts_with("kennel_") { "" } else { PREFIX };
        Opts::new(format!("{prefix}{name}"), help)
    }

    fn counter(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let vector = IntCounterVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(vector.clone())).map(|()| vector)
    }

    fn gauge(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let vector = IntGaugeVec::new(Self::opts(name, help), labels)?;
        self.0.register(Box::new(vector.clone())).map(|()| vector)
    }

    fn single_gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::with_opts(Self::opts(name, help))?;
        self.0.register(Box::new(gauge.clone())).map(|()| gauge)
    }

    fn single_counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::with_opts(Self::opts(name, help))?;
        self.0.register(Box::new(counter.clone())).map(|()| counter)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let vector =
            HistogramVec::new(HistogramOpts::from(Self::opts(name, help)).buckets(buckets.to_vec()), labels)?;
        self.0.register(Box::new(vector.clone())).map(|()| vector)
    }
}

impl Metrics {
    /// Registers every metric with `registry`.
    ///
    /// # Errors
    /// If the registry holds a metric of one of these names already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let register = Register(registry);
        let high_water_mark = high_water_mark::Vectors::register(&register)?;
        Ok(Self(Some(Arc::new(Vectors {
            generations: register.counter("generations_total", "Generations created by this process.", &SET)?,
            workers_registered: register.counter(
                "workers_registered_total",
                "Workers that this process has registered.",
                &SET,
            )?,
            partition_assignments: register.counter(
                "partition_assignments_total",
                "Partitions assigned in generations that this process created.",
                &SET,
            )?,
            reconfigurations: register.counter(
                "reconfiguration_total",
                "Generations created by this process because workers joined or left.",
                &SET,
            )?,
            stale_workers_cleaned: register.counter(
                "stale_workers_cleaned_total",
                "Workers that this process removed because they were taken for dead.",
                &SET,
            )?,
            active_workers: register.gauge(
                "active_workers",
                "Workers of the replica set that are alive, as this process sees it; 0 when it could not look for longer than the \
                 stale timeout.",
                &SET,
            )?,
            generation_partitions: register.gauge(
                "current_generation_partitions",
                "Partitions of the current generation, as this process sees it.",
                &SET,
            )?,
            worker_state: register.gauge(
                "worker_state",
                "1 for the state that a worker of this process is in, 0 for the others.",
                &["replica_set", "worker_id", "state"],
            )?,
            coordination_duration: register.histogram(
                "coordination_duration_seconds",
                "Time from noticing that the workers have changed to having agreed on the new partitions, in seconds.",
                &SET,
                &COORDINATION_BUCKETS,
            )?,
            heartbeat_latency: register.histogram(
                "heartbeat_latency_seconds",
                "Time that recording a heartbeat took, in seconds.",
                &SET,
                &HEARTBEAT_BUCKETS,
            )?,
            components_loaded: Self::components_loaded(&register)?,
            host_faults: host::faults(&register)?,
            deployments: Self::deployments(&register)?,
            projections: projection::Vectors::register(
                &register,
                progress::ProgressGauges::register(&register, &high_water_mark)?,
            )?,
            high_water_mark,
            connections: connections::Vectors::register(&register)?,
            memory: memory::Vectors::register(&register)?,
        }))))
    }

    fn components_loaded(register: &Register<'_>) -> Result<IntCounterVec, prometheus::Error> {
        register.counter(
            "kennel_components_loaded_total",
            "Components that this process has loaded, by where their code came from: compiled, or cached from an \
             earlier compilation.",
            &["replica_set", "origin"],
        )
    }

    fn deployments(register: &Register<'_>) -> Result<IntCounterVec, prometheus::Error> {
        register.counter(
            "kennel_deployments_total",
            "What this process did with deployments: operations through its API by outcome, and candidates that it \
             promoted.",
            &["replica_set", "outcome"],
        )
    }

    /// The metrics of the log's end; their series exist from the moment of registering.
    #[must_use]
    pub fn high_water_mark(&self) -> HighWaterMarkMetrics {
        HighWaterMarkMetrics::new(self.0.as_ref().map(|vectors| vectors.high_water_mark.clone()))
    }

    /// The metrics of the connections to the store.
    #[must_use]
    pub fn connections(&self) -> ConnectionMetrics {
        ConnectionMetrics::new(self.0.as_ref().map(|vectors| vectors.connections.clone()))
    }

    /// The metrics of the memory that batches share.
    #[must_use]
    pub fn memory(&self) -> MemoryMetrics {
        MemoryMetrics::new(self.0.as_ref().map(|vectors| vectors.memory.clone()))
    }

    /// The handles of a replica set; its series exist from now on.
    #[must_use]
    pub fn replica_set(&self, replica_set: &ReplicaSet) -> ReplicaSetMetrics {
        let name = replica_set.as_str();
        ReplicaSetMetrics(self.0.as_ref().map(|vectors| {
            ReplicaSetHandles {
                replica_set: replica_set.clone(),
                host_faults: HostPart::ALL
                    .map(|part| vectors.host_faults.with_label_values(&[name, part.as_str()])),
                components_compiled: vectors.components_loaded.with_label_values(&[name, "compiled"]),
                components_cached: vectors.components_loaded.with_label_values(&[name, "cached"]),
                deployments: DeploymentOutcome::ALL
                    .map(|outcome| vectors.deployments.with_label_values(&[name, outcome.as_str()])),
                generations: vectors.generations.with_label_values(&[name]),
                workers_registered: vectors.workers_registered.with_label_values(&[name]),
                partition_assignments: vectors.partition_assignments.with_label_values(&[name]),
                reconfigurations: vectors.reconfigurations.with_label_values(&[name]),
                stale_workers_cleaned: vectors.stale_workers_cleaned.with_label_values(&[name]),
                active_workers: vectors.active_workers.with_label_values(&[name]),
                generation_partitions: vectors.generation_partitions.with_label_values(&[name]),
                coordination_duration: vectors.coordination_duration.with_label_values(&[name]),
                heartbeat_latency: vectors.heartbeat_latency.with_label_values(&[name]),
                vectors: Arc::clone(vectors),
            }
        }))
    }
}

/// The metrics of one replica set.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSetMetrics(Option<ReplicaSetHandles>);

#[derive(Clone, Debug)]
struct ReplicaSetHandles {
    replica_set: ReplicaSet,
    vectors: Arc<Vectors>,
    generations: IntCounter,
    workers_registered: IntCounter,
    partition_assignments: IntCounter,
    reconfigurations: IntCounter,
    stale_workers_cleaned: IntCounter,
    active_workers: IntGauge,
    generation_partitions: IntGauge,
    coordination_duration: Histogram,
    heartbeat_latency: Histogram,
    /// By the number of the outcome.
    deployments: [IntCounter; DeploymentOutcome::ALL.len()],
    components_compiled: IntCounter,
    components_cached: IntCounter,
    /// By the number of the part.
    host_faults: [IntCounter; HostPart::ALL.len()],
}

impl ReplicaSetMetrics {
    /// This process has registered a worker.
    pub fn worker_registered(&self) {
        if let Some(handles) = &self.0 {
            handles.workers_registered.inc();
        }
    }

    /// This process has created a generation.
    pub fn generation_created(&self, partitions: u32, reconfiguration: bool, stale_removed: u64) {
        if let Some(handles) = &self.0 {
            handles.generations.inc();
            handles.partition_assignments.inc_by(u64::from(partitions));
            handles.reconfigurations.inc_by(u64::from(reconfiguration));
            handles.stale_workers_cleaned.inc_by(stale_removed);
        }
    }

    /// What this process sees of the replica set.
    pub fn observed(&self, active_workers: usize, partitions: u32) {
        if let Some(handles) = &self.0 {
            handles.active_workers.set(i64::try_from(active_workers).unwrap_or(i64::MAX));
            handles.generation_partitions.set(i64::from(partitions));
        }
    }

    /// This process has not been able to look for long: as far as it knows, no worker works.
    pub fn lost_sight(&self) {
        if let Some(handles) = &self.0 {
            handles.active_workers.set(0);
        }
    }

    /// From noticing a change to working on the new partitions.
    pub fn coordinated(&self, took: Duration) {
        if let Some(handles) = &self.0 {
            handles.coordination_duration.observe(took.as_secs_f64());
        }
    }

    /// A heartbeat was recorded.
    pub fn heartbeat(&self, took: Duration) {
        if let Some(handles) = &self.0 {
            handles.heartbeat_latency.observe(took.as_secs_f64());
        }
    }

    /// A worker of this process is in this state now.
    pub fn worker_state(&self, worker: WorkerId, current: WorkerState) {
        let Some(handles) = &self.0 else { return };
        let worker = worker.to_string();
        for state in WorkerState::ALL {
            let labels = [handles.replica_set.as_str(), worker.as_str(), state.as_str()];
            handles.vectors.worker_state.with_label_values(&labels).set(i64::from(state == current));
        }
    }

    /// A worker of this process is gone: its series disappear.
    pub fn worker_gone(&self, worker: WorkerId) {
        let Some(handles) = &self.0 else { return };
        let worker = worker.to_string();
        for state in WorkerState::ALL {
            let labels = [handles.replica_set.as_str(), worker.as_str(), state.as_str()];
            // An error means that the series never existed.
            let _ = handles.vectors.worker_state.remove_label_values(&labels);
        }
    }

    /// The handles of a projection; its series exist from now on.
    #[must_use]
    pub fn projection(&self, projection: &ProjectionName) -> ProjectionMetrics {
        self.deployment(projection, Role::Serving)
    }

    /// The handles of a projection's deployment that serves or is the candidate.
    #[must_use]
    pub fn deployment(&self, projection: &ProjectionName, role: Role) -> ProjectionMetrics {
        ProjectionMetrics(self.0.as_ref().map(|handles| {
            let labels = [handles.replica_set.as_str(), projection.as_str()];
            handles.vectors.projections.handles(labels, role)
        }))
    }

    /// This process has dealt with an operation, or has completed a cutover.
    pub fn count_deployment(&self, outcome: DeploymentOutcome) {
        if let Some(handles) = &self.0 {
            handles.deployments[outcome as usize].inc();
        }
    }

    /// A part of this process has panicked.
    pub fn host_fault(&self, part: HostPart) {
        if let Some(handles) = &self.0 {
            handles.host_faults[part as usize].inc();
        }
    }

    /// This process has loaded a component, whose code came from there.
    pub fn component_loaded(&self, origin: CodeSource) {
        if let Some(handles) = &self.0 {
            match origin {
                CodeSource::Compiled => handles.components_compiled.inc(),
                CodeSource::Cached => handles.components_cached.inc(),
            }
        }
    }

    /// Reports which components are run.
    #[must_use]
    pub fn components(&self) -> Components {
        match &self.0 {
            Some(handles) => Components::of(&handles.vectors.projections, handles.replica_set.as_str()),
            None => Components::default(),
        }
    }
}
