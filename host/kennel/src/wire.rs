//! The only place that names concrete stores and runtimes: everything else sees ports.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_core::lifecycle::Rejected;
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::{Registry as _, Runtime};
use kennel_core::projection::Deployment;
use kennel_engine::{Entropy, Ports};
use kennel_runtime::{Compiler, RuntimeOptions, WasmRuntime};
use kennel_store::{ConnectOptions, Dialect, Mode};

pub use kennel_runtime::{RuntimeError, inspect};
pub(crate) use kennel_runtime::{ServeError, serve_compiler};
pub(crate) use kennel_store::ConnectError;
pub use kennel_store::{EventTables, RunLock, Scratch, Store, StoreUrl, TableName};

use crate::config::nearest;
use crate::exit::{Kind, ResultExt as _};

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
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self::at(url.parse().kind(Kind::Config)?))
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

    pub(crate) fn options(&self, mode: Mode) -> ConnectOptions {
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

/// Opens a store. A SQLite file that is missing is created.
pub async fn open(target: &Target) -> anyhow::Result<Store> {
    connect(target, Mode::ReadWrite).await
}

/// Opens a store that must be there already.
pub async fn open_existing(target: &Target) -> anyhow::Result<Store> {
    connect(target, Mode::Existing).await
}

/// Creates or updates the tables of a store, and has it announce appends if asked to.
pub async fn migrate(target: &Target, install_notify: bool) -> anyhow::Result<()> {
    let store = connect(target, Mode::Migrate).await?;
    store.migrate().await.kind(Kind::Store)?;
    if install_notify {
        store.install_notify().await.kind(Kind::Store)?;
    }
    Ok(())
}

async fn connect(target: &Target, mode: Mode) -> anyhow::Result<Store> {
    let connected = kennel_store::connect(&target.url, &target.options(mode)).await;
    let store = connected.map_err(|error| {
        let kind = if matches!(error, ConnectError::Taken(_)) { Kind::Taken } else { Kind::Store };
        kind.of(error)
    })?;
    if store.dialect() == Dialect::Sqlite {
        opened().push(store.clone());
    }
    Ok(store)
}

/// The SQLite files that this command has opened, to be closed at its end.
static OPENED: Mutex<Vec<Store>> = Mutex::new(Vec::new());

fn opened() -> MutexGuard<'static, Vec<Store>> {
    OPENED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes the stores that were opened. A command that ends without that leaves a log beside a SQLite file, which users
/// who copy or move the file may not think of.
pub(crate) async fn close_stores() {
    /// Another process may be using the file, and a task of this one a connection.
    const CLOSES_WITHIN: Duration = Duration::from_secs(5);
    let stores = std::mem::take(&mut *opened());
    for store in stores {
        let _ = tokio::time::timeout(CLOSES_WITHIN, store.close()).await;
    }
}

/// Handles the whole log by a hand-written loop, to compare with; returns the number of events.
pub async fn run_by_hand(url: &StoreUrl, batch: usize) -> anyhow::Result<u64> {
    Ok(kennel_store::limit::run(url, batch).await?)
}

/// The runtime of the `kennel` command: with a cache for compiled components in the user's cache folder, and with
/// this program as the compiler.
pub(crate) fn runtime() -> anyhow::Result<Arc<dyn Runtime>> {
    Ok(start_runtime(Some(this_program()))?)
}

/// As [`runtime`], with the error that a library reports. `compiler` is a `kennel` program; without one, components
/// are compiled in this process.
pub(crate) fn start_runtime(compiler: Option<PathBuf>) -> Result<Arc<dyn Runtime>, RuntimeError> {
    let compiler = compiler.map(|program| Compiler { program, arguments: vec![COMPILE.into()] });
    let options = RuntimeOptions { cache_dir: cache_dir(), compiler, ..RuntimeOptions::default() };
    Ok(Arc::new(WasmRuntime::new(options)?))
}

/// The subcommand in which [`serve_compiler`] runs.
const COMPILE: &str = "compile";

/// This program, to be started again. Only the `kennel` command may ask: any other is no compiler.
pub(crate) fn this_program() -> PathBuf {
    // On Linux this is the program that runs, even if its file has been replaced by another release meanwhile.
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return running.to_owned();
    }
    // Without either, whichever is found by its name: one of another build is not used.
    std::env::current_exe().unwrap_or_else(|_| "kennel".into())
}

fn cache_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    set("KENNEL_CACHE").or_else(|| Some(cache.join("kennel")))
}

/// The ports that the engine drives.
#[must_use]
pub fn ports(store: &Store, runtime: Arc<dyn Runtime>) -> Ports {
    Ports {
        events: Arc::new(store.clone()),
        read_model: Arc::new(store.clone()),
        registry: Arc::new(store.clone()),
        coordination: Arc::new(store.clone()),
        runtime,
    }
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

/// The active deployment of a projection; if there is none, an error that names those there are.
pub async fn find_deployment(store: &Store, projection: &ProjectionName) -> anyhow::Result<Deployment> {
    if let Some(deployment) = store.find(projection).await? {
        return Ok(deployment);
    }
    if store.lifecycle(projection).await?.is_some() {
        return Err(Kind::Missing.of(Rejected::Retired(projection.clone())));
    }
    let progress = store.progress().await?;
    let known: Vec<&str> = progress.iter().map(|progress| progress.deployment.projection.as_str()).collect();
    let hint = match nearest(projection.as_str(), &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => {
            "nothing is deployed yet: `kennel deploy NAME FILE.wasm` adds a projection".to_owned()
        }
        None => format!("there are: {}", known.join(", ")),
    };
    Err(Kind::Missing.error(format!("there is no projection `{projection}`; {hint}")))
}
