//! Faults of the host itself: a part of it that panics. It is reported in the status and in the metrics, and begun
//! again after a pause that doubles each time, until it works.
//!
//! A panic is a bug, never an answer to an event or a guest. It has to stay where it is and to be seen.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use kennel_core::retry;
use tokio::task::JoinError;

use crate::metrics::{HostPart, ReplicaSetMetrics};
use crate::shutdown::Shutdown;
use crate::status::{FaultyPart, Part, Status};

/// The pause after the first fault, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A part that has run for so long since it was begun again, and for as long as it rested before, works.
const WORKS_AFTER: Duration = Duration::from_secs(1);

/// How a part of the host has fared. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<AtomicU32>);

/// Where faults are reported.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    pub(crate) status: Arc<Status>,
    pub(crate) metrics: ReplicaSetMetrics,
}

impl Faults {
    /// The part has done its work: the fault before is over.
    pub(crate) fn over(&self, status: &Status, part: &FaultyPart) {
        if self.0.load(Ordering::Relaxed) > 0 && self.0.swap(0, Ordering::Relaxed) > 0 {
            status.clear(&Part::Fault(part.clone()));
        }
    }

    /// The part has panicked: reports it, and returns how long to leave the part alone.
    pub(crate) fn happened(&self, reporter: &Reporter, part: &FaultyPart, message: &str) -> Duration {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        let pause = retry::doubled(PAUSE_FIRST, PAUSE_MAX, before);
        reporter.metrics.host_fault(part.host_part());
        tracing::error!(
            %part,
            faults = before + 1,
            reason = message,
            "a fault of the host: this part of it panicked, and begins again in {} ms; please report it as a bug",
            pause.as_millis()
        );
        let reason = format!(
            "a fault of the host, number {}: it panicked with `{message}` and begins again after {} s; this is a bug of \
             Kennel: please report it, with the log",
            before + 1,
            pause.as_secs_f64()
        );
        reporter.status.block(Part::Fault(part.clone()), reason);
        pause
    }
}

/// The message of a task's panic.
pub(crate) fn message_of(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => message(&*panic),
        Err(error) => error.to_string(),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    let message = message.unwrap_or_else(|| "(no message)".to_owned());
    kennel_core::limits::cut(&message, kennel_core::limits::ERROR_BYTES_MAX).to_owned()
}

/// Runs a part of the host to its end, and begins it anew when it panics. `None` if a stop was asked for while it
/// rested.
pub(crate) async fn guard<T, F: Future<Output = T>>(
    (reporter, part, mut stop): (&Reporter, HostPart, Shutdown),
    mut begin: impl FnMut() -> F,
) -> Option<T> {
    let (faults, part) = (Faults::default(), FaultyPart::Host(part));
    let mut rested: Option<Duration> = None;
    loop {
        let mut working = AssertUnwindSafe(Box::pin(begin())).catch_unwind();
        let ended = match rested {
            None => working.await,
            Some(pause) => tokio::select! {
                biased;
                ended = &mut working => ended,
                () = tokio::time::sleep(pause.max(WORKS_AFTER)) => {
                    faults.over(&reporter.status, &part);
                    working.await
                }
            },
        };
        let panic = match ended {
            Ok(done) => {
                faults.over(&reporter.status, &part);
                return Some(done);
            }
            Err(panic) => panic,
        };
        let pause = faults.happened(reporter, &part, &message(&*panic));
        rested = Some(pause);
        tokio::select! {
            biased;
            () = stop.requested() => return None,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
