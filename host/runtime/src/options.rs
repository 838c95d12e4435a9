//! What an embedder sets for a runtime, and why a runtime could not be made.

use std::path::PathBuf;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::port::BoxError;

/// The bounds under which guests run.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Where compiled code is kept between runs; without it every start compiles again. The folder is
    /// made if it is missing. It must not be writable for everybody, because what lies in it is run.
    pub cache_dir: Option<PathBuf>,
    /// Longest time that one handler call may run, in steps of [`TICK`]. Time in which the guest waits
    /// for the host does not count.
    pub call_deadline: Duration,
    /// Longest time that `describe` may run.
    pub describe_deadline: Duration,
    /// Most memory that one instance may use, all its memories together.
    pub memory_bytes_max: usize,
    /// Instances that may exist at once; who wants one more waits.
    pub instances_max: u32,
}

/// The grain in which guest time is measured, and the longest that a guest holds a thread.
pub const TICK: Duration = Duration::from_millis(10);

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            call_deadline: limits::CALL_DEADLINE,
            describe_deadline: limits::DESCRIBE_DEADLINE,
            memory_bytes_max: limits::GUEST_MEMORY_BYTES_MAX,
            instances_max: limits::GUEST_INSTANCES_MAX,
        }
    }
}

/// A runtime that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the WebAssembly engine cannot be set up on this machine")]
    Engine(#[source] BoxError),
    #[error("the thread that measures guest time cannot be started")]
    Ticker(#[source] std::io::Error),
}
