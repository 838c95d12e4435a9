//! The metrics of the log's end: how far it is complete, and which writers block it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_core::port::{Blocker, HighWaterMark};
use kennel_core::position::Position;
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use tokio::time::Instant;

use super::Register;

/// Growths of the log that are remembered.
const GROWTHS_MAX: u32 = 4096;
/// Growths that follow each other faster are remembered as one.
const SPACING_MIN: Duration = Duration::from_millis(10);

/// When the log grew, as this process saw it: it gives since when the event after a position waits.
///
/// The longer the wait, the coarser the memory: to within a thousandth of it.
#[derive(Debug)]
pub(super) struct Growth {
    /// The log went beyond the head before at this time, up to this head.
    seen: VecDeque<(Instant, Position)>,
    head: Position,
    /// Of what lies below, nothing is remembered.
    forgotten: Position,
    spacing: Duration,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            seen: VecDeque::new(),
            head: Position::START,
            forgotten: Position::START,
            spacing: SPACING_MIN,
        }
    }
}

impl Growth {
    pub(super) fn saw(&mut self, now: Instant, head: Position) {
        if head <= self.head {
            return;
        }
        self.head = head;
        if let Some((at, known)) = self.seen.back_mut()
            && now - *at < self.spacing
        {
            *known = head;
            return;
        }
        if self.seen.len() >= GROWTHS_MAX as usize {
            let seen = Vec::from(std::mem::take(&mut self.seen));
            // As coarse from now on as the rest.
            self.spacing = (now - seen[0].0) / (GROWTHS_MAX / 2);
            self.seen = seen.chunks(2).map(|pair| (pair[0].0, pair[pair.len() - 1].1)).collect();
        }
        self.seen.push_back((now, head));
    }

    /// Positions below `position` are not asked about any more.
    pub(super) fn handled(&mut self, position: Position) {
        while let Some((_, head)) = self.seen.front().filter(|(_, head)| *head <= position) {
            self.forgotten = *head;
            self.seen.pop_front();
        }
        if self.seen.is_empty() {
            self.spacing = SPACING_MIN;
        }
    }

    /// When the log was first seen to go beyond `position`, if it did and that is remembered.
    pub(super) fn beyond(&self, position: Position) -> Option<Instant> {
        if position < self.forgotten {
            return None;
        }
        let first = self.seen.partition_point(|(_, head)| *head <= position);
        self.seen.get(first).map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Vectors {
    position: IntGauge,
    pub(super) head: IntGauge,
    blocked: IntGaugeVec,
    incarnations: IntCounter,
    age_unknown: IntGaugeVec,
    unreadable: IntGauge,
    growth: Arc<Mutex<Growth>>,
}

impl Vectors {
    pub(super) fn register(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            position: register.single_gauge(
                "kennel_high_water_mark_position",
                "Up to this position the event log is complete, as this process sees it.",
            )?,
            head: register.single_gauge(
                "kennel_log_head_position",
                "The highest position in the event log, as this process sees it.",
            )?,
            blocked: register.gauge(
                "kennel_high_water_mark_blocked_seconds",
                "Seconds since a writer began the transaction that keeps the log from being complete, by its \
                 process id at the database server. Gone when the writer has ended.",
                &["pid", "application"],
            )?,
            incarnations: register.single_counter(
                "kennel_log_incarnations_total",
                "Times that this process saw another event log than before: it was set back, by a restore or a failover, \
                 or its server was started again. Every checkpoint is compared with it then.",
            )?,
            age_unknown: register.gauge(
                "kennel_high_water_mark_blocked_age_unknown",
                "1 for a writer that keeps the log from being complete and whose age the database does not report. Gone \
                 when the writer has ended.",
                &["pid", "application"],
            )?,
            unreadable: register.single_gauge(
                "kennel_log_unreadable",
                "1 while the event log cannot be followed, because the store is away or events would be missed: \
                 /readyz says why. Position and lag do not move then.",
            )?,
            growth: Arc::default(),
        })
    }

    /// Removes the series that a writer whose age is known, or is not, does not have.
    fn remove_other(&self, labels: &[&str], is_known: bool) {
        let other = if is_known { &self.age_unknown } else { &self.blocked };
        // An error means that the series never existed.
        let _ = other.remove_label_values(labels);
    }

    /// Removes the series of a writer.
    fn remove(&self, (pid, application): &(String, &str)) {
        for vector in [&self.blocked, &self.age_unknown] {
            // An error means that the series never existed.
            let _ = vector.remove_label_values(&[pid.as_str(), application]);
        }
    }

    pub(super) fn growth(&self) -> MutexGuard<'_, Growth> {
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports where the log ends.
#[derive(Clone, Debug, Default)]
pub struct HighWaterMarkMetrics(Option<Vectors>);

impl HighWaterMarkMetrics {
    pub(super) const fn new(vectors: Option<Vectors>) -> Self {
        Self(vectors)
    }

    /// The high-water mark was `before` and is `now`. The series of writers that have ended disappear.
    pub fn observed(&self, before: &HighWaterMark, now: &HighWaterMark) {
        let Some(vectors) = &self.0 else { return };
        vectors.unreadable.set(0);
        vectors.position.set(gauge(now.position));
        vectors.head.set(gauge(now.head));
        vectors.growth().saw(Instant::now(), now.head);
        let open = by_label(&now.blockers);
        for ended in by_label(&before.blockers).keys().filter(|known| !open.contains_key(*known)) {
            vectors.remove(ended);
        }
        for (writer, age) in &open {
            let labels = [writer.0.as_str(), writer.1];
            // The answer of the database may change: each writer has one of the two series.
            vectors.remove_other(&labels, age.is_some());
            match age {
                Some(seconds) => {
                    let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
                    vectors.blocked.with_label_values(&labels).set(seconds);
                }
                None => vectors.age_unknown.with_label_values(&labels).set(1),
            }
        }
    }

    /// The log is another than before.
    pub fn set_back(&self) {
        let Some(vectors) = &self.0 else { return };
        vectors.incarnations.inc();
        *vectors.growth() = Growth::default();
    }

    /// The log could not be looked at, or events would be missed.
    pub fn failed(&self) {
        let Some(vectors) = &self.0 else { return };
        vectors.unreadable.set(1);
    }

    /// The log is no longer watched: the series of writers would only grow old.
    pub fn ended(&self, last: &HighWaterMark) {
        let Some(vectors) = &self.0 else { return };
        by_label(&last.blockers).keys().for_each(|known| vectors.remove(known));
    }
}

/// Labels, and the age of the oldest transaction that has them, if it is known: those that are prepared have no pid.
fn by_label(blockers: &[Blocker]) -> BTreeMap<(String, &str), Option<u64>> {
    let mut ages = BTreeMap::new();
    for Blocker { pid, application, open_seconds, .. } in blockers {
        let pid = pid.map(|pid| pid.to_string()).unwrap_or_default();
        let age = ages.entry((pid, application.as_str())).or_insert(None);
        *age = (*open_seconds).max(*age);
    }
    ages
}

/// A position as the value of a gauge.
pub(super) fn gauge(position: Position) -> i64 {
    i64::try_from(position.get()).unwrap_or(i64::MAX)
}
