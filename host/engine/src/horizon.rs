//! Watches up to where the log is complete, once for the whole process.
//!
//! A hint from the store wakes it early; the poll is the truth.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::port::{EventSource, Horizon};
use tokio::sync::watch;

use crate::shutdown::Shutdown;
use crate::status::{self, Status};

/// Publishes the horizon until a stop is asked for.
pub async fn watch(
    events: Arc<dyn EventSource>,
    publish: watch::Sender<Horizon>,
    status: Arc<Status>,
    (poll_min, poll_max): (Duration, Duration),
    mut stop: Shutdown,
) {
    let mut pause = poll_min;
    loop {
        match events.horizon().await {
            Ok(horizon) => {
                status.clear(status::HORIZON);
                let moved = horizon != *publish.borrow();
                // Below the head something is about to change: look again soon.
                pause = if moved || horizon.position < horizon.head {
                    poll_min
                } else {
                    (pause * 2).min(poll_max)
                };
                if moved {
                    report_blockers(&publish.borrow(), &horizon);
                    publish.send_replace(horizon);
                }
            }
            Err(error) => {
                tracing::warn!(reason = crate::chain(&error), "the event log cannot be read; trying again");
                status.block(status::HORIZON, crate::chain(&error));
                pause = poll_max;
            }
        }
        tokio::select! {
            () = stop.requested() => return,
            () = events.hint() => pause = poll_min,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn report_blockers(before: &Horizon, now: &Horizon) {
    for blocker in &now.blockers {
        if !before.blockers.iter().any(|known| known.pid == blocker.pid) {
            tracing::warn!(
                pid = blocker.pid,
                application = %blocker.application,
                open_seconds = blocker.open_seconds,
                horizon = %now.position,
                "a writer holds a transaction open: events above the horizon wait for it to end"
            );
        }
    }
}
