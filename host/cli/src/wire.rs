//! Opens stores and starts the runtime as the `kennel` command does: errors have an exit code, and the program itself is the
//! compiler.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_core::lifecycle::Rejected;
use kennel_core::name::ProjectionName;
use kennel_core::port::Runtime;
use kennel_core::projection::Deployment;
use kennel_store::{Dialect, Mode};

pub use kennel::wire::*;
pub(crate) use kennel_runtime::{ServeError, serve_compiler};
pub(crate) use kennel_store::ConnectError;

use crate::exit::{ExitKind, ResultExt as _};
use crate::nearest::nearest;

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
    store.migrate().await.kind(ExitKind::Store)?;
    if install_notify {
        store.install_notify().await.kind(ExitKind::Store)?;
    }
    Ok(())
}

async fn connect(target: &Target, mode: Mode) -> anyhow::Result<Store> {
    let connected = kennel_store::connect(target.url(), &target.options(mode)).await;
    let store = connected.map_err(|error| {
        let kind = if matches!(error, ConnectError::Taken(_)) { ExitKind::Conflict } else { ExitKind::Store };
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

/// The active deployment of a projection; if there is none, an error that names those there are.
pub async fn find_deployment(store: &Store, projection: &ProjectionName) -> anyhow::Result<Deployment> {
    if let Some(deployment) = store.find(projection).await? {
        return Ok(deployment);
    }
    if store.lifecycle(projection).await?.is_some() {
        return Err(ExitKind::Missing.of(Rejected::Retired(projection.clone())));
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
    Err(ExitKind::Missing.error(format!("there is no projection `{projection}`; {hint}")))
}
