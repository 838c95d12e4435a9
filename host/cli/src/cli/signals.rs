//! SIGTERM and SIGINT, by which people and supervisors end a command.
//!
//! SIGHUP is left alone: `nohup` has the system ignore it, and listening would undo that.

use std::time::Duration;

use kennel_engine::ShutdownTrigger;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a process that did not end by itself: 128 + SIGTERM, as shells report it.
pub(super) const FORCED: u8 = 143;

/// The signals, from the moment at which this is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on signals no longer end the process by themselves.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// In the background, for the rest of the process's life: the first signal asks for a stop, the second ends
    /// the process at once, and so does the end of the grace period.
    pub(super) fn stop_then_end(mut self, trigger: ShutdownTrigger, grace: Duration) {
        tokio::spawn(async move {
            self.next().await;
            tracing::info!(grace_seconds = grace.as_secs(), "stopping: finishing the batches under way");
            trigger.stop();
            let reason = tokio::select! {
                () = self.next() => "a second signal",
                () = tokio::time::sleep(grace) => "the grace period is over",
            };
            tracing::warn!(reason, "ending at once; batches that were not committed will be run again");
            std::process::exit(FORCED.into());
        });
    }
}
