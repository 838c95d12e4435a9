//! Watches up to where the log is complete, once for the whole process.
//!
//! A hint from the store wakes it early; the poll is the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kennel_core::port::{Blocker, EventSource, Horizon};
use kennel_core::position::Position;
use tokio::sync::Notify;

use crate::metrics::HorizonMetrics;
use crate::shutdown::Shutdown;
use crate::status::{self, Status};

/// Tells the runners of a process where the horizon is. Clones share it.
///
/// It wakes those who wait in the order in which they began to. tokio's `watch` wakes them in an order
/// that it draws itself, so that no seed could repeat a run.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    position: AtomicU64,
    /// Whether `position` was seen: the end of an empty log is the same as that of one nobody has looked at.
    seen: AtomicBool,
    moved: Notify,
}

impl Feed {
    /// Up to where the log is known to be complete: not at all while nobody has looked.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.0.position.load(Ordering::SeqCst))
    }

    /// The same, or nothing while nobody has looked.
    #[must_use]
    pub fn seen(&self) -> Option<Position> {
        self.0.seen.load(Ordering::SeqCst).then(|| self.position())
    }

    /// Resolves once the horizon is above `seen`.
    pub async fn above(&self, seen: Position) {
        loop {
            let moved = self.0.moved.notified();
            if self.position() > seen {
                return;
            }
            moved.await;
        }
    }

    /// Tells everybody that the log was seen to be complete up to here. The horizon never goes back.
    pub fn publish(&self, position: Position) {
        self.0.position.fetch_max(position.get(), Ordering::SeqCst);
        self.0.seen.store(true, Ordering::SeqCst);
        self.0.moved.notify_waiters();
    }
}

/// The log that is watched, and whom to tell.
pub struct Watcher {
    pub events: Arc<dyn EventSource>,
    pub metrics: HorizonMetrics,
    pub status: Arc<Status>,
    /// The pause between looks grows from the first to the second while nothing happens.
    pub polls: (Duration, Duration),
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("polls", &self.polls).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Publishes the horizon until a stop is asked for.
    pub async fn watch(self, feed: Feed, mut stop: Shutdown) {
        let Self { events, metrics, status, polls: (poll_min, poll_max) } = self;
        let mut pause = poll_min;
        let mut last = Horizon::default();
        loop {
            match events.horizon().await {
                Ok(horizon) => {
                    status.clear(status::HORIZON);
                    metrics.observed(&last, &horizon);
                    let moved = horizon != last;
                    // Below the head something is about to change: look again soon.
                    pause = if moved || horizon.position < horizon.head {
                        poll_min
                    } else {
                        (pause * 2).min(poll_max)
                    };
                    if moved || feed.seen().is_none() {
                        report_blockers(&last, &horizon);
                        feed.publish(horizon.position);
                        last = horizon;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        reason = crate::chain(&error),
                        "the event log cannot be followed; trying again"
                    );
                    status.block(status::HORIZON, crate::chain(&error));
                    metrics.failed();
                    pause = poll_max;
                }
            }
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = events.hint() => pause = poll_min,
                () = tokio::time::sleep(pause) => {}
            }
        }
        metrics.ended(&last);
    }
}

fn report_blockers(before: &Horizon, now: &Horizon) {
    for blocker in &now.blockers {
        let is_known = |known: &Blocker| (known.pid, &known.prepared) == (blocker.pid, &blocker.prepared);
        if !before.blockers.iter().any(is_known) {
            tracing::warn!(
                pid = blocker.pid,
                application = %blocker.application,
                prepared = blocker.prepared,
                open_seconds = blocker.open_seconds,
                advice = %blocker.advice,
                horizon = %now.position,
                "a writer holds a transaction open: events above the horizon wait for it to end"
            );
        }
    }
}
