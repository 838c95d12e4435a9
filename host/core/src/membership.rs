//! Workers and generations: which workers are in, and which answer to that question is current.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::named::named;

/// The number of one agreed answer to "which workers are in, and who owns what". Only ever replaced by
/// the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// Before the first generation.
    pub const NONE: Self = Self(0);

    /// The generation with this number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The only generation that may follow this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a worker. A worker that comes back is a new worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub Uuid);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

named! {
    /// What a worker is doing.
    WorkerState, "a state of workers" {
        Initializing = "initializing",
        Coordinating = "coordinating",
        Processing = "processing",
        Stopping = "stopping",
    }
}

/// A registered worker, as the store sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub id: WorkerId,
    pub host: String,
    pub pid: u32,
    pub state: WorkerState,
    /// Time since the last heartbeat, by the database's clock.
    pub heartbeat_age: Duration,
    /// Whether the store takes the worker for alive: a fresh heartbeat and, where the store knows, an open connection.
    pub alive: bool,
}

named! {
    /// Why a generation was made.
    Cause, "a cause of generations" {
        /// There was none.
        First = "first",
        /// Workers joined.
        Joined = "joined",
        /// Workers left or died.
        Left = "left",
        /// Both.
        Changed = "changed",
    }
}

/// An agreed assignment: `owners[k]` owns partition `k` of `owners.len()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    pub generation: Generation,
    pub owners: Vec<WorkerId>,
}

impl Assignment {
    /// Number of partitions, which is the number of workers that were active.
    #[must_use]
    pub fn partitions(&self) -> u32 {
        u32::try_from(self.owners.len()).unwrap_or(u32::MAX)
    }

    /// The partition that `worker` owns.
    #[must_use]
    pub fn partition_of(&self, worker: WorkerId) -> Option<u32> {
        let index = self.owners.iter().position(|owner| *owner == worker)?;
        u32::try_from(index).ok()
    }
}
