//! The engine: reads events, runs handlers, commits read models together with checkpoints, and shares
//! the work with other workers. It drives the ports of `kennel-core` and knows no database and no wasm.
//!
//! ```text
//! high-water mark ─► position up to which the log is complete ─┐
//! catalog ─► deployments, compiled and ready ──────────────────┼─► supervisor ─► runners, one for each
//! coordinator ─► generation and partitions of this process ────┘                 deployment and partition
//! ```
//!
//! | module | duty |
//! | --- | --- |
//! | [`supervisor`] | reconciles the runners that exist with those that should |
//! | [`runner`] | one deployment on one partition: claim, read, execute, commit, again |
//! | [`env`](mod@env) | the environment of a guest: the write set over the stored read model |
//! | [`memory`] | the memory that all batches of a process share |
//! | [`coordinator`] | registers workers, keeps them alive, agrees on generations |
//! | [`connections`] | watches the connections to the store, so that no statement waits unseen |
//! | [`high_water_mark`], [`catalog`] | watch the log's end and the active deployments |
//! | [`loaded`] | a component that is ready to run for a deployment |
//! | [`status`] | the parts of this process that are blocked, and why |
//! | [`cutover`] | cuts over to candidates that have caught up, removes read models no longer needed |
//! | [`ports`] | what the catalog and the cutover controller need of a store, and no more |
//! | [`metrics`] | the public metrics of the engine |
//! | [`shutdown`], [`entropy`] | how to stop; the source of randomness |
//!
//! Invariants: time comes from tokio's clock and randomness from [`entropy::Entropy`], so that a test can run the
//! engine on a virtual clock and a seed. Every durable write of a runner carries its generation. A wake-up carries no
//! data: the task that is woken looks for itself.

pub mod catalog;
pub mod connections;
pub mod coordinator;
pub mod cutover;
pub mod entropy;
pub mod env;
pub mod fault;
pub mod high_water_mark;
pub mod loaded;
pub mod memory;
pub mod metrics;
pub mod options;
pub mod ports;
pub mod runner;
pub mod shutdown;
pub mod status;
pub mod supervisor;

pub use entropy::Entropy;
pub use memory::Memory;
pub use metrics::Metrics;
pub use options::{CallObserver, Options};
pub use ports::Ports;
pub use shutdown::{Shutdown, ShutdownTrigger};
pub use status::{Part, Status};
pub use supervisor::Engine;

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
