//! The only place that names concrete stores and runtimes: everything else sees ports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::name::ProjectionName;
use kennel_core::port::{Registry as _, Runtime};
use kennel_core::projection::Deployment;
use kennel_engine::{Entropy, Ports};
use kennel_runtime::{RuntimeOptions, WasmRuntime};
use kennel_store::{ConnectOptions, Mode, StoreUrl};

pub use kennel_runtime::inspect;
pub use kennel_store::{RunLock, Store};

use crate::config::nearest;
use crate::exit::{Kind, ResultExt as _};

/// Opens a store. A SQLite file that is missing is created.
pub async fn open(url: &str) -> anyhow::Result<Store> {
    connect(url, in_mode(Mode::ReadWrite)).await
}

/// Opens a store to run projections on. Should this process be frozen in the middle of a transaction, that
/// must not hold up the others for longer than they wait before they take its workers for dead.
pub async fn open_to_run(url: &str, stale_after: Duration) -> anyhow::Result<Store> {
    let defaults = ConnectOptions::default();
    let idle_transaction_max = defaults.idle_transaction_max.min(stale_after / 2);
    connect(url, ConnectOptions { idle_transaction_max, ..defaults }).await
}

/// Opens a store that must be there already.
pub async fn open_existing(url: &str) -> anyhow::Result<Store> {
    connect(url, in_mode(Mode::Existing)).await
}

/// Creates or updates the tables of a store, and has it announce appends if asked to.
pub async fn migrate(url: &str, install_notify: bool) -> anyhow::Result<()> {
    let store = connect(url, in_mode(Mode::Migrate)).await?;
    store.migrate().await.kind(Kind::Store)?;
    if install_notify {
        store.install_notify().await.kind(Kind::Store)?;
    }
    Ok(())
}

/// A store's URL without a password.
pub fn shown(url: &str) -> anyhow::Result<StoreUrl> {
    url.parse().kind(Kind::Config)
}

fn in_mode(mode: Mode) -> ConnectOptions {
    ConnectOptions { mode, ..ConnectOptions::default() }
}

async fn connect(url: &str, options: ConnectOptions) -> anyhow::Result<Store> {
    let url: StoreUrl = url.parse().kind(Kind::Config)?;
    kennel_store::connect(&url, &options).await.kind(Kind::Store)
}

/// A runtime with a cache for compiled components in the user's cache folder.
pub fn runtime() -> anyhow::Result<Arc<dyn Runtime>> {
    let options = RuntimeOptions { cache_dir: cache_dir(), ..RuntimeOptions::default() };
    Ok(Arc::new(WasmRuntime::new(options)?))
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

/// Who is at work, for the record: USER@HOST.
#[must_use]
pub fn author() -> String {
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
