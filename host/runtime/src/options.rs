//! What an embedder sets for a runtime, and why a runtime could not be made.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::port::BoxError;

/// The bounds under which guests run.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Where compiled code is kept between runs; without it every start compiles again. The folder is
    /// made if it is missing. On Unix it must belong to this process's user or to root and be writable for
    /// no other user, because what lies in it is run; another folder is not used, and a warning says so.
    pub cache_dir: Option<PathBuf>,
    /// Most compiled code that is kept there, in bytes; the least recently used is evicted.
    pub cache_bytes_max: u64,
    /// What compiles components; without it, and only then, this process does, and no bound holds while it does.
    pub compiler: Option<Compiler>,
    /// Most memory that the compiler may take for one component, in bytes; never more than half of what this
    /// machine or container has.
    pub compile_memory_bytes_max: u64,
    /// Longest time that the compiler may take for one component: by the clock, and of processor time in
    /// whole seconds.
    pub compile_time_max: Duration,
    /// Longest time that one handler call may run, in steps of [`TICK`]. Time in which the guest waits
    /// for the host does not count.
    pub call_deadline: Duration,
    /// Longest time that `describe` may run.
    pub describe_deadline: Duration,
    /// Most memory that one instance may use, all its memories together.
    pub memory_bytes_max: usize,
    /// Instances that may exist at once; a caller that wants one more waits.
    pub instances_max: u32,
}

/// A program that compiles components in a process of its own, which can be bounded as this one cannot: a
/// component that is made to exhaust a compiler exhausts that process alone.
///
/// It has to end in [`crate::serve_compiler`] and to be of the same build as this program: `kennel compile` of
/// the same version. While it cannot be used, for whatever reason, nothing is compiled: a component that has to be
/// fails with a message that says that it is the host's trouble, and may be tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// The program's path. It is run with an empty environment.
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// The grain in which guest time is measured, and the longest that a guest holds a thread.
pub const TICK: Duration = Duration::from_millis(10);

impl Default for RuntimeOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            cache_bytes_max: limits::COMPILED_CACHE_BYTES_MAX,
            compiler: None,
            compile_memory_bytes_max: limits::COMPILE_MEMORY_BYTES_MAX,
            compile_time_max: limits::COMPILE_TIME_MAX,
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
