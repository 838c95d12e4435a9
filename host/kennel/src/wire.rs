//! The only place that names concrete stores and runtimes: everything else sees ports.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::port::Runtime;
use kennel_engine::{Entropy, Ports};
use kennel_runtime::{Compiler, RuntimeOptions, WasmRuntime};
use kennel_store::{ConnectOptions, InvalidUrl, Mode};

pub use kennel_runtime::{RuntimeError, inspect};
pub use kennel_store::{EventTables, RunLock, Scratch, Store, StoreUrl, TableName};

/// The store that is used when nothing names one.
pub const DEFAULT_STORE: &str = "sqlite:kennel.db";

/// Which store to work on, and all that must be known to open it. Every way to open a store takes one, so
/// that none can forget a setting.
#[derive(Clone, Debug)]
pub struct Target {
    url: StoreUrl,
    tables: EventTables,
    stalled_after: Option<Duration>,
    connections: Option<u32>,
}

impl Target {
    /// As [`Self::at`], for a URL that is not parsed yet.
    pub fn new(url: &str) -> Result<Self, InvalidUrl> {
        Ok(Self::at(url.parse()?))
    }

    /// The store at `url`, with settings that are the default ones.
    #[must_use]
    pub fn at(url: StoreUrl) -> Self {
        Self { url, tables: EventTables::default(), stalled_after: None, connections: None }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// With the event log in these tables.
    #[must_use]
    pub fn tables(self, tables: EventTables) -> Self {
        Self { tables, ..self }
    }

    /// For workers that count as dead when they have been silent for `stale_after`.
    #[must_use]
    pub fn stale_after(self, stale_after: Duration) -> Self {
        Self { stalled_after: Some(stalled_after(stale_after)), ..self }
    }

    /// With at most so many connections to a PostgreSQL server; those that were given before if none are.
    #[must_use]
    pub fn connections(self, connections: Option<u32>) -> Self {
        Self { connections: connections.or(self.connections), ..self }
    }

    pub fn options(&self, mode: Mode) -> ConnectOptions {
        let default = ConnectOptions::default();
        let stalled_after = self.stalled_after.unwrap_or(default.stalled_after);
        let connections_max = self.connections.unwrap_or(default.connections_max);
        ConnectOptions { mode, tables: self.tables.clone(), stalled_after, connections_max, ..default }
    }
}

/// As the store's URL without a password.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A process that is suspended in the middle of a transaction keeps its row locks. The server takes them away
/// in half the time after which others take over its work, so that these need not wait for them.
fn stalled_after(stale_after: Duration) -> Duration {
    ConnectOptions::default().stalled_after.min(stale_after / 2)
}

/// Starts the runtime, with the cache in the user's cache folder. `compiler` is a `kennel` program; without one, components
/// are compiled in this process.
pub fn start_runtime(compiler: Option<PathBuf>) -> Result<Arc<dyn Runtime>, RuntimeError> {
    let compiler = compiler.map(|program| Compiler { program, arguments: vec![COMPILE.into()] });
    let options = RuntimeOptions { cache_dir: cache_dir(), compiler, ..RuntimeOptions::default() };
    Ok(Arc::new(WasmRuntime::new(options)?))
}

/// The subcommand of `kennel` in which the compiler serves.
const COMPILE: &str = "compile";

/// The folder for files that later commands use again.
#[must_use]
pub fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    set("KENNEL_CACHE").or_else(|| Some(cache.join("kennel")))
}

/// The ports that the engine drives.
#[must_use]
pub fn ports(store: &Store, runtime: Arc<dyn Runtime>) -> Ports {
    Ports::of(store.ports(), runtime)
}

/// Randomness for one run of the process.
#[must_use]
pub fn entropy() -> Entropy {
    // The hasher of the standard library is seeded by the operating system, which is all that is needed
    // for jitter and worker identities.
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    Entropy::from_seed(seed)
}

/// The memory for all batches of this process together, in bytes: as much as was given, else half of what the machine,
/// the container or the limits of this process leave.
#[must_use]
pub fn batch_memory(given: Option<usize>) -> usize {
    const MIB: usize = 1024 * 1024;
    if let Some(bytes) = given {
        return bytes;
    }
    let Some(total) = kennel_runtime::memory_total() else { return limits::WORK_MEMORY_BYTES_DEFAULT };
    let half = usize::try_from(total / 2).unwrap_or(usize::MAX);
    let least = limits::WORK_MEMORY_BYTES_MIN;
    if half < least {
        tracing::warn!(
            memory_mib = total / (MIB as u64),
            "this process has little memory: batches may take {} MiB together, more than half of it, and guests that \
             need much may have the system end the process; give it {} MiB or more",
            least / MIB,
            2 * least / MIB
        );
    }
    half.max(least)
}

/// How many cores this process may use.
#[must_use]
pub fn cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The actor, for the record: USER@HOST.
#[must_use]
pub fn actor() -> String {
    let user =
        std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{}", host())
}

/// The name of this machine.
#[must_use]
pub fn host() -> String {
    let name = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
