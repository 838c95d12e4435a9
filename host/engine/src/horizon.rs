//! Watches up to where the log is complete, once for the whole process.
//!
//! A hint from the store wakes it early; the poll is the truth.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kennel_core::checkpoint::Mark;
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
    /// Nothing before anybody has looked: the end of an empty log is not the same.
    seen: Mutex<Option<Seen>>,
    moved: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    mark: Mark,
    incarnation: u64,
}

impl Feed {
    /// Up to where the log is known to be complete: not at all while nobody has looked.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.last().unwrap_or_default().mark
    }

    /// Which log that is: another number once the log was set back.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.last().unwrap_or_default().incarnation
    }

    /// Up to where the log is complete, or nothing while nobody has looked.
    #[must_use]
    pub fn seen(&self) -> Option<Position> {
        self.last().map(|seen| seen.mark.position)
    }

    /// Resolves once somebody has looked.
    pub async fn looked(&self) {
        loop {
            let moved = self.0.moved.notified();
            if self.last().is_some() {
                return;
            }
            moved.await;
        }
    }

    /// Resolves once the log is complete beyond `seen`, or is not the one that it was.
    pub async fn beyond(&self, seen: Position, incarnation: u64) {
        loop {
            let moved = self.0.moved.notified();
            if self.mark().position > seen || self.incarnation() != incarnation {
                return;
            }
            moved.await;
        }
    }

    /// Tells everybody up to where the log was seen to be complete. That goes back only in a log that was set back.
    pub fn publish(&self, horizon: &Horizon) {
        let (mark, incarnation) = (horizon.mark(), horizon.incarnation);
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none_or(|seen| seen.incarnation != incarnation || seen.mark.position < mark.position) {
            *seen = Some(Seen { mark, incarnation });
        }
        drop(seen);
        self.0.moved.notify_waiters();
    }

    fn last(&self) -> Option<Seen> {
        *self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
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
                        if feed.seen().is_some() && horizon.incarnation != last.incarnation {
                            report_set_back(&last, &horizon);
                            metrics.set_back();
                        }
                        feed.publish(&horizon);
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

/// Another server answers, or the log was set back. Whether anything that was handled is missing from it, runners find out
/// when they claim their checkpoints again.
fn report_set_back(before: &Horizon, now: &Horizon) {
    tracing::warn!(
        head_before = %before.head,
        head = %now.head,
        "the log was set back, or its server was started again: every checkpoint is compared with it"
    );
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
