//! Watches up to where the log is complete, once for the whole process.
//!
//! A notification from the store wakes it early; the poll is the truth.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kennel_core::checkpoint::Mark;
use kennel_core::port::{Blocker, HighWaterMark, LogReader};
use kennel_core::position::Position;
use kennel_core::retry::Backoff;
use tokio::sync::Notify;

use crate::metrics::HighWaterMarkMetrics;
use crate::shutdown::Shutdown;
use crate::status::{Part, Status};

/// The high-water mark as it is published to the runners of a process. Clones share it.
///
/// It wakes waiting runners in the order in which they began to wait. tokio's `watch` wakes them in an order that it
/// draws itself, so that no seed could repeat a run.
#[derive(Clone, Debug, Default)]
pub struct PublishedMark(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Nothing before the first look: the end of an empty log is not the same.
    seen: Mutex<Option<Seen>>,
    moved: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    mark: Mark,
    incarnation: u64,
}

impl PublishedMark {
    /// Up to where the log is known to be complete: not at all before the first look.
    #[must_use]
    pub fn mark(&self) -> Mark {
        self.last().unwrap_or_default().mark
    }

    /// Which log that is: another number once the log was set back.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.last().unwrap_or_default().incarnation
    }

    /// Up to where the log is complete, or nothing before the first look.
    #[must_use]
    pub fn seen(&self) -> Option<Position> {
        self.last().map(|seen| seen.mark.position)
    }

    /// Resolves after the first look.
    pub async fn looked(&self) {
        loop {
            let moved = self.0.moved.notified();
            if self.last().is_some() {
                return;
            }
            moved.await;
        }
    }

    /// Resolves once the log is complete beyond `seen`, or is another.
    pub async fn beyond(&self, seen: Position, incarnation: u64) {
        loop {
            let moved = self.0.moved.notified();
            if self.mark().position > seen || self.incarnation() != incarnation {
                return;
            }
            moved.await;
        }
    }

    /// Publishes up to where the log was seen to be complete. That goes back only in a log that was set back.
    pub fn publish(&self, high_water_mark: &HighWaterMark) {
        let (mark, incarnation) = (high_water_mark.mark(), high_water_mark.incarnation);
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

/// The log that is watched, and where it is reported.
pub struct HighWaterMarkWatcher {
    pub log: Arc<dyn LogReader>,
    pub metrics: HighWaterMarkMetrics,
    pub status: Arc<Status>,
    /// The pause between looks grows from the first to the second while nothing happens.
    pub polls: (Duration, Duration),
}

impl std::fmt::Debug for HighWaterMarkWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HighWaterMarkWatcher").field("polls", &self.polls).finish_non_exhaustive()
    }
}

impl HighWaterMarkWatcher {
    /// Publishes the high-water mark until a stop is asked for.
    pub async fn watch(self, published: PublishedMark, mut stop: Shutdown) {
        let Self { log, metrics, status, polls: (poll_min, poll_max) } = self;
        let mut backoff = Backoff::new(poll_min, poll_max);
        let mut last = HighWaterMark::default();
        loop {
            let pause = match log.high_water_mark().await {
                Ok(high_water_mark) => {
                    status.clear(&Part::HighWaterMark);
                    metrics.observed(&last, &high_water_mark);
                    let moved = high_water_mark != last;
                    // Below the head something is about to change: look again soon.
                    if moved || high_water_mark.position < high_water_mark.head {
                        backoff.reset();
                    }
                    if moved || published.seen().is_none() {
                        report_blockers(&last, &high_water_mark);
                        if published.seen().is_some() && high_water_mark.incarnation != last.incarnation {
                            report_set_back(&last, &high_water_mark);
                            metrics.set_back();
                        }
                        published.publish(&high_water_mark);
                        last = high_water_mark;
                    }
                    backoff.next_pause()
                }
                Err(error) => {
                    tracing::warn!(
                        reason = crate::chain(&error),
                        "the event log cannot be followed; trying again"
                    );
                    status.block(Part::HighWaterMark, crate::chain(&error));
                    metrics.failed();
                    // When it can be followed again, the looks go on as rarely as they were.
                    backoff.next_pause();
                    poll_max
                }
            };
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = log.notification() => backoff.reset(),
                () = tokio::time::sleep(pause) => {}
            }
        }
        metrics.ended(&last);
    }
}

/// Another server answers, or the log was set back. Runners find out whether anything that was handled is missing from
/// it when they claim their checkpoints again.
fn report_set_back(before: &HighWaterMark, now: &HighWaterMark) {
    tracing::warn!(
        head_before = %before.head,
        head = %now.head,
        "the log was set back, or its server was started again: every checkpoint is compared with it"
    );
}

fn report_blockers(before: &HighWaterMark, now: &HighWaterMark) {
    for blocker in &now.blockers {
        let is_known = |known: &Blocker| (known.pid, &known.prepared) == (blocker.pid, &blocker.prepared);
        if !before.blockers.iter().any(is_known) {
            tracing::warn!(
                pid = blocker.pid,
                application = %blocker.application,
                prepared = blocker.prepared,
                open_seconds = blocker.open_seconds,
                advice = %blocker.advice,
                high_water_mark = %now.position,
                "a writer holds a transaction open: events above the high-water mark wait for it to end"
            );
        }
    }
}
