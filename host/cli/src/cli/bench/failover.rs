//! How long it takes until the survivor of two processes does the work of one that was killed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use kennel_core::projection::Deployment;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::report::Times;
use super::{Setup, load};
use crate::cli::output;
use crate::exit::ExitKind;
use crate::wire::StoreUrl;

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Aggregates that are written to at once: enough for every part of the hash space to have some.
const AGGREGATES: u64 = 256;
/// What takes longer does not happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// Numbers of these events, which no other measurement uses.
const FIRST: u64 = 1 << 41;

/// Kills one of two processes and appends; the time is that from the kill until everything is handled.
/// Nothing to measure on SQLite, which one process runs.
pub(super) async fn measure(kills: usize, setup: &Setup) -> anyhow::Result<Option<Times>> {
    if kills == 0 || matches!(setup.target.url(), StoreUrl::Sqlite(_)) {
        return Ok(None);
    }
    let deployment = setup.deploy("bench-failover", None).await?;
    let bar = output::progress("kills", Some(kills as u64));
    let mut numbers = FIRST..;
    let mut survivor = start(setup, &deployment)?;
    let mut times = Vec::new();
    for _ in 0..kills {
        let mut victim = start(setup, &deployment)?;
        agreed(setup, &deployment).await?;
        append(setup, &mut numbers).await?;
        handled(setup, &deployment).await?;
        let began = Instant::now();
        victim.start_kill()?;
        append(setup, &mut numbers).await?;
        handled(setup, &deployment).await?;
        times.push(began.elapsed());
        victim.wait().await?;
        bar.inc(1);
    }
    survivor.kill().await?;
    bar.finish();
    Ok(Some(Times::of(times)))
}

fn start(setup: &Setup, deployment: &Deployment) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    // Nothing that is configured here for the given store is meant for the one that is measured.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KENNEL_") && name != "KENNEL_CACHE" {
            command.env_remove(name);
        }
    }
    command
        .current_dir(std::env::temp_dir())
        .args(["run", "--workers", "1", "--listen", "127.0.0.1:0", "--replica-set"])
        .arg(deployment.replica_set.as_str())
        .env("KENNEL_STORE", setup.target.url().with_password())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command.spawn().context("cannot start a process to kill")
}

/// Waits until two workers share the work.
async fn agreed(setup: &Setup, deployment: &Deployment) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let view = setup.store.view(&deployment.replica_set, kennel_core::limits::STALE_AFTER).await?;
        let alive = view.alive();
        let owners = &view.assignment.owners;
        if alive.len() == 2 && owners.len() == 2 && owners.iter().all(|owner| alive.contains(owner)) {
            return Ok(());
        }
        wait(began, "two processes did not come to share the work").await?;
    }
}

async fn append(setup: &Setup, numbers: &mut std::ops::RangeFrom<u64>) -> anyhow::Result<()> {
    let events: Vec<_> = numbers
        .by_ref()
        .take(usize::try_from(AGGREGATES)?)
        .map(|number| load::event(number, format!("failover-{}", number % AGGREGATES)))
        .collect();
    setup.store.append(&events).await?;
    Ok(())
}

/// Waits until the whole log is handled.
async fn handled(setup: &Setup, deployment: &Deployment) -> anyhow::Result<()> {
    let began = Instant::now();
    let head = setup.store.high_water_mark().await?.head;
    while super::catch_up::position(setup, deployment).await? < head {
        wait(began, "the log was not handled").await?;
    }
    Ok(())
}

async fn wait(began: Instant, in_vain: &str) -> anyhow::Result<()> {
    if began.elapsed() > PATIENCE {
        let patience = PATIENCE.as_secs();
        return Err(ExitKind::Halted.error(format!("{in_vain} within {patience} s")));
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}
