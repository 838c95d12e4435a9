//! SIGTERM and SIGINT: the first asks for a stop, the second ends the process at once.

use std::time::Duration;

use kennel_engine::ShutdownTrigger;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a process that did not end by itself: 128 + SIGTERM, as shells report it.
const FORCED: i32 = 143;

/// Listens in the background for the rest of the process's life.
pub(super) fn listen(trigger: ShutdownTrigger, grace: Duration) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(grace_seconds = grace.as_secs(), "stopping: finishing the batches under way");
        trigger.stop();
        let reason = tokio::select! {
            _ = terminate.recv() => "a second signal",
            _ = interrupt.recv() => "a second signal",
            () = tokio::time::sleep(grace) => "the grace period is over",
        };
        tracing::warn!(reason, "ending at once; what was not committed will be run again");
        std::process::exit(FORCED);
    });
    Ok(())
}
