//! The metrics of the log's end: how far it is complete, and who keeps it from being so.

use std::collections::BTreeMap;

use kennel_core::port::{Blocker, Horizon};
use kennel_core::position::Position;
use prometheus::{IntGauge, IntGaugeVec};

use super::Register;

#[derive(Clone, Debug)]
pub(super) struct Vectors {
    position: IntGauge,
    pub(super) head: IntGauge,
    blocked: IntGaugeVec,
}

impl Vectors {
    pub(super) fn register(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            position: register.single_gauge(
                "kennel_horizon_position",
                "Up to this position the event log is complete, as this process sees it.",
            )?,
            head: register.single_gauge(
                "kennel_log_head_position",
                "The highest position in the event log, as this process sees it.",
            )?,
            blocked: register.gauge(
                "kennel_horizon_blocked_seconds",
                "Seconds since a writer began the transaction that keeps the log from being complete, by its \
                 process id at the database server. Gone when the writer has ended.",
                &["pid", "application"],
            )?,
        })
    }
}

/// Tells where the log ends.
#[derive(Clone, Debug, Default)]
pub struct HorizonMetrics(Option<Vectors>);

impl HorizonMetrics {
    pub(super) const fn new(vectors: Option<Vectors>) -> Self {
        Self(vectors)
    }

    /// The horizon was `before` and is `now`. The series of writers that have ended disappear.
    pub fn observed(&self, before: &Horizon, now: &Horizon) {
        let Some(vectors) = &self.0 else { return };
        vectors.position.set(gauge(now.position));
        vectors.head.set(gauge(now.head));
        let open = by_label(&now.blockers);
        for ended in by_label(&before.blockers).keys().filter(|known| !open.contains_key(*known)) {
            remove(&vectors.blocked, ended);
        }
        for ((pid, application), seconds) in &open {
            let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
            vectors.blocked.with_label_values(&[pid.as_str(), application]).set(seconds);
        }
    }

    /// Nobody looks any more: what is known of writers would only grow old.
    pub fn ended(&self, last: &Horizon) {
        let Some(vectors) = &self.0 else { return };
        by_label(&last.blockers).keys().for_each(|known| remove(&vectors.blocked, known));
    }
}

/// Labels, and the age of the oldest transaction that has them: those that are prepared have no pid.
fn by_label(blockers: &[Blocker]) -> BTreeMap<(String, &str), u64> {
    let mut ages = BTreeMap::new();
    for Blocker { pid, application, open_seconds } in blockers {
        let age = ages.entry((pid.to_string(), application.as_str())).or_insert(0);
        *age = (*open_seconds).max(*age);
    }
    ages
}

fn remove(blocked: &IntGaugeVec, (pid, application): &(String, &str)) {
    // An error means that the series never existed.
    let _ = blocked.remove_label_values(&[pid.as_str(), application]);
}

/// A position as the value of a gauge.
pub(super) fn gauge(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}
