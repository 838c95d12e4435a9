//! The reference store: what every store has to do, in plain maps under one lock. For tests and for
//! simulation, so it reads no clock but tokio's, which a test can stop and turn, and draws no random
//! numbers. Nothing survives it.

mod coordination;
mod events;
mod log_set_back;
mod read_model;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_core::change::Stored;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::Condition;
use kennel_core::digest::Digest;
use kennel_core::event::Event;
use kennel_core::failure::EventFailure;
use kennel_core::lifecycle::{Lifecycle, OperationRecord, ReadModelStatus};
use kennel_core::membership::{WorkerId, WorkerState};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{GenerationRecord, NewWorker, ProjectionState};
use kennel_core::position::Position;
use kennel_core::projection::{DeploymentId, ReadModelId};
use tokio::time::Instant;
use uuid::Uuid;

pub use events::PendingAppend;

use crate::notifications::Notifications;

/// A store in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    born: Instant,
    notifications: Notifications,
    /// Given when a projection changes.
    deployments: Notifications,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<Position, Event>,
    heads: BTreeMap<(String, String, String), i64>,
    ids: BTreeSet<Uuid>,
    /// Positions that were drawn by writers which have not committed: see
    /// [`MemoryStore::begin_append`].
    open: BTreeSet<Position>,
    last_position: Position,
    /// How often the log was set back.
    incarnation: u64,
    /// With the time at which each was stored.
    components: BTreeMap<Digest, (Duration, Vec<u8>)>,
    projections: BTreeMap<ProjectionName, Lifecycle>,
    operations: BTreeMap<ProjectionName, Vec<OperationRecord>>,
    reports: BTreeMap<DeploymentId, Report>,
    /// Those that were removed are gone from here.
    read_models: BTreeMap<ReadModelId, Built>,
    revision: u64,
    last_id: i64,
    replica_sets: BTreeMap<ReplicaSet, Vec<GenerationRecord>>,
    workers: BTreeMap<WorkerId, Worker>,
}

/// What workers last reported about a deployment.
#[derive(Debug)]
struct Report {
    state: ProjectionState,
    last_failure: Option<EventFailure>,
    /// By source.
    conditions: BTreeMap<String, SeenCondition>,
}

/// A condition, as its source reported it.
#[derive(Debug)]
struct SeenCondition {
    condition: Condition,
    since: Duration,
    reported_at: Duration,
}

#[derive(Debug)]
struct Built {
    projection: ProjectionName,
    status: ReadModelStatus,
    checkpoints: Vec<Checkpoint>,
    collections: BTreeMap<String, BTreeMap<String, Stored>>,
    dead_letters: BTreeMap<Position, EventFailure>,
}

#[derive(Debug)]
struct Worker {
    registered: NewWorker,
    state: WorkerState,
    heartbeat: Duration,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            born: Instant::now(),
            notifications: Notifications::default(),
            deployments: Notifications::default(),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The state. No call holds it while it waits for anything, so every call is atomic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the store was made: its clock.
    fn now(&self) -> Duration {
        self.inner.born.elapsed()
    }
}
