//! How far the runners of this process are, as one pair of series for each projection.
//!
//! Several runners share a series and come and go with the generations, so the series are made when
//! they are asked for, from whoever stands in the register then. A projection of which this process
//! runs no part has none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::position::Position;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec};

use super::horizon::gauge;
use super::{PROJECTION, Register};

/// The register of all runners of a process.
#[derive(Debug)]
pub(super) struct Standings {
    head: IntGauge,
    position: IntGaugeVec,
    lag: IntGaugeVec,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_runner: BTreeMap<u64, ([String; 2], Position)>,
}

impl Standings {
    /// `head` tells the highest position of the log.
    pub(super) fn register(register: &Register<'_>, head: IntGauge) -> Result<Arc<Self>, prometheus::Error> {
        let vector = |name, help| IntGaugeVec::new(Register::opts(name, help), &PROJECTION);
        let standings = Arc::new(Self {
            head,
            position: vector(
                "kennel_projection_position",
                "Every event up to this position has taken effect in the partitions that this process owns. The \
                 projection's own position is the least that any process tells. Gone when this process owns none.",
            )?,
            lag: vector(
                "kennel_projection_lag_events",
                "Positions between kennel_projection_position and the head of the log: at most so many events are \
                 waiting. The projection's own lag is the largest that any process tells.",
            )?,
            entries: Mutex::default(),
        });
        register.0.register(Box::new(Collects(Arc::clone(&standings))))?;
        Ok(standings)
    }

    pub(super) fn enter(self: &Arc<Self>, labels: [String; 2]) -> Standing {
        let mut entries = self.entries();
        entries.next += 1;
        Standing(Some(Entry { runner: entries.next, labels, standings: Arc::clone(self) }))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One runner's line in the register: made when it first tells its position, gone when this is dropped.
#[derive(Debug, Default)]
pub struct Standing(Option<Entry>);

struct Entry {
    runner: u64,
    labels: [String; 2],
    standings: Arc<Standings>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("runner", &self.runner).field("labels", &self.labels).finish()
    }
}

impl Standing {
    /// Everything that the runner owns has been handled up to here.
    pub fn at(&self, position: Position) {
        if let Some(Entry { runner, labels, standings }) = &self.0 {
            let mut entries = standings.entries();
            entries.by_runner.entry(*runner).or_insert_with(|| (labels.clone(), position)).1 = position;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.standings.entries().by_runner.remove(&self.runner);
    }
}

struct Collects(Arc<Standings>);

impl Collector for Collects {
    fn desc(&self) -> Vec<&Desc> {
        self.0.position.desc().into_iter().chain(self.0.lag.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Standings { head, position, lag, .. } = &*self.0;
        // Held to the end, so that two who ask at once do not reset each other's series.
        let entries = self.0.entries();
        let mut furthest_behind: BTreeMap<[&str; 2], Position> = BTreeMap::new();
        for ([replica_set, projection], at) in entries.by_runner.values() {
            let least = furthest_behind.entry([replica_set, projection]).or_insert(*at);
            *least = (*least).min(*at);
        }
        position.reset();
        lag.reset();
        for (labels, at) in furthest_behind {
            position.with_label_values(&labels).set(gauge(at));
            lag.with_label_values(&labels).set((head.get() - gauge(at)).max(0));
        }
        position.collect().into_iter().chain(lag.collect()).collect()
    }
}
