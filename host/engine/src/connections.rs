//! Watches the connections of this process to its store, so that no statement waits for one unseen.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::port::{ConnectionUsage, Coordination};

use crate::metrics::ConnectionMetrics;
use crate::shutdown::Shutdown;
use crate::status::{Part, Status};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A statement that waits for longer is reported.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// The connections that are watched, and where they are reported.
pub struct ConnectionWatcher {
    pub coordination: Arc<dyn Coordination>,
    pub metrics: ConnectionMetrics,
    pub status: Arc<Status>,
}

impl std::fmt::Debug for ConnectionWatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionWatcher").finish_non_exhaustive()
    }
}

impl ConnectionWatcher {
    /// Watches until a stop is asked for.
    pub async fn watch(self, mut stop: Shutdown) {
        let mut reported = false;
        let mut last = ConnectionUsage::default();
        while let Some(usage) = self.coordination.connections() {
            self.metrics.observed(&last, &usage);
            if usage.longest_wait > WAIT_MAX {
                let reason = message(&usage);
                if !reported {
                    tracing::warn!(reason, "statements wait for a connection to the store");
                }
                self.status.block(Part::Connections, reason);
                reported = true;
            } else if reported {
                tracing::info!("statements do not wait for a connection any more");
                self.status.clear(&Part::Connections);
                reported = false;
            }
            last = usage;
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

fn message(usage: &ConnectionUsage) -> String {
    let ConnectionUsage { max, open, waiting, longest_wait, denial, .. } = usage;
    let seconds = longest_wait.as_secs();
    let of = match denial {
        Some(message) => format!("{open} of {max} are open, and the server gives no more ({message})"),
        None => format!("all {open} are in use"),
    };
    format!(
        "{waiting} statements wait for a connection to the store, the first for {seconds} s: {of}; raise `connections` \
         in [run], or see what the database is busy with"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_reported_with_its_cause_and_the_remedy() {
        let usage = ConnectionUsage {
            max: 4,
            open: 2,
            in_use: 2,
            waiting: 3,
            longest_wait: Duration::from_millis(2_700),
            ..ConnectionUsage::default()
        };
        let waits = message(&usage);
        assert!(waits.starts_with(
            "3 statements wait for a connection to the store, the first for 2 s: all 2 are in use"
        ));
        let denied =
            ConnectionUsage { denial: Some("too many connections for role \"k\"".to_owned()), ..usage };
        assert!(
            message(&denied).contains("2 of 4 are open, and the server gives no more (too many connections")
        );
    }
}
