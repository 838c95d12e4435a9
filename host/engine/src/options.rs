//! How the engine works: numbers, and an observer of calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::retry::RetryPolicy;

use crate::memory::Memory;

/// Observes how long each handler call took.
pub trait CallObserver: Send + Sync {
    /// The calls of one batch, in order.
    fn calls(&self, projection: &ProjectionName, durations: &[Duration]);
}

/// How the engine works. The defaults are meant to be right.
#[derive(Clone)]
pub struct Options {
    pub replica_set: ReplicaSet,
    /// Number of workers in this process.
    pub workers: usize,
    /// The name of this machine, for operators who look at the workers.
    pub host: String,
    pub pid: u32,
    pub heartbeat_interval: Duration,
    /// How often the workers of the replica set are looked at, besides every notification of a change.
    pub coordination_interval: Duration,
    /// A worker whose last heartbeat is older than this is taken for dead.
    pub stale_after: Duration,
    /// How often the active deployments are looked at.
    pub catalog_interval: Duration,
    /// A component that cannot be loaded is tried again after `catalog_interval`, then after twice as long each
    /// time, up to this.
    pub load_pause_max: Duration,
    /// The pause between looks at the log's end grows from the first to the second while nothing
    /// happens.
    pub poll_min: Duration,
    pub poll_max: Duration,
    /// A batch is committed when its handlers have run this long, however many events are left.
    pub batch_duration_max: Duration,
    /// A checkpoint that moved only over unwanted events is committed this much later.
    pub idle_commit_delay: Duration,
    pub retry: RetryPolicy,
    /// How much of its time a worker gives to building read models beside those that serve, all of them together:
    /// above 0, at most 1.
    pub rebuild_share: f64,
    /// The memory that all batches of this process share, those of other engines included if they are given it, too.
    pub memory: Arc<Memory>,
    /// Overrides the batch size of every deployment.
    pub batch: Option<usize>,
    pub observer: Option<Arc<dyn CallObserver>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("replica_set", &self.replica_set)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The defaults for a replica set.
    #[must_use]
    pub fn new(replica_set: ReplicaSet) -> Self {
        Self {
            replica_set,
            workers: 1,
            host: String::new(),
            pid: std::process::id(),
            heartbeat_interval: limits::HEARTBEAT_INTERVAL,
            coordination_interval: Duration::from_secs(1),
            stale_after: limits::STALE_AFTER,
            catalog_interval: Duration::from_secs(1),
            load_pause_max: Duration::from_secs(300),
            poll_min: Duration::from_millis(10),
            poll_max: Duration::from_secs(1),
            batch_duration_max: Duration::from_millis(250),
            idle_commit_delay: Duration::from_millis(500),
            retry: RetryPolicy::default(),
            rebuild_share: limits::REBUILD_SHARE,
            memory: Arc::new(Memory::new(limits::WORK_MEMORY_BYTES_DEFAULT)),
            batch: None,
            observer: None,
        }
    }
}
