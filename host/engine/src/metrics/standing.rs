//! How far the runners of this process are, as a few series for each projection.
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
use prometheus::{GaugeVec, IntGaugeVec};
use tokio::time::Instant;

use super::horizon::{self, gauge};
use super::{PROJECTION, Register};

/// The register of all runners of a process.
#[derive(Debug)]
pub(super) struct Standings {
    log: horizon::Vectors,
    position: IntGaugeVec,
    lag: IntGaugeVec,
    lag_seconds: GaugeVec,
    halted: IntGaugeVec,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_runner: BTreeMap<u64, Line>,
}

/// What a runner tells of itself.
#[derive(Debug)]
struct Line {
    labels: [String; 2],
    position: Position,
    halted: bool,
}

impl Standings {
    /// `log` tells how far the log goes.
    pub(super) fn register(
        register: &Register<'_>,
        log: &horizon::Vectors,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let vector = |name, help| IntGaugeVec::new(Register::opts(name, help), &PROJECTION);
        let standings = Arc::new(Self {
            log: log.clone(),
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
            lag_seconds: GaugeVec::new(
                Register::opts(
                    "kennel_projection_lag_seconds",
                    "Seconds since this process first saw an event that has not taken effect yet in the partitions \
                     that it owns; 0 when it is through. The projection's own lag is the largest that any process \
                     tells.",
                ),
                &PROJECTION,
            )?,
            halted: vector(
                "kennel_projection_halted",
                "1 if a partition that this process owns stands still because of an event that fails, else 0.",
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
            let line = || Line { labels: labels.clone(), position, halted: false };
            entries.by_runner.entry(*runner).or_insert_with(line).position = position;
        }
    }

    /// An event fails for good, and the runner stands still.
    pub fn halted(&self) {
        if let Some(Entry { runner, standings, .. }) = &self.0
            && let Some(line) = standings.entries().by_runner.get_mut(runner)
        {
            line.halted = true;
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
        let Standings { position, lag, lag_seconds, halted, .. } = &*self.0;
        [position.desc(), lag.desc(), lag_seconds.desc(), halted.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Standings { log, position, lag, lag_seconds, halted, .. } = &*self.0;
        // Held to the end, so that two who ask at once do not reset each other's series.
        let entries = self.0.entries();
        let mut together: BTreeMap<[&str; 2], (Position, bool)> = BTreeMap::new();
        for Line { labels: [replica_set, projection], position, halted } in entries.by_runner.values() {
            let (least, any) = together.entry([replica_set, projection]).or_insert((*position, false));
            *least = (*least).min(*position);
            *any |= halted;
        }
        position.reset();
        lag.reset();
        lag_seconds.reset();
        halted.reset();
        let (now, mut growth) = (Instant::now(), log.growth());
        if let Some((least, _)) = together.values().min() {
            growth.handled(*least);
        }
        for (labels, (at, is_halted)) in together {
            position.with_label_values(&labels).set(gauge(at));
            lag.with_label_values(&labels).set((log.head.get() - gauge(at)).max(0));
            let waits = growth.beyond(at).map_or(0.0, |seen| (now - seen).as_secs_f64());
            lag_seconds.with_label_values(&labels).set(waits);
            halted.with_label_values(&labels).set(i64::from(is_halted));
        }
        [position.collect(), lag.collect(), lag_seconds.collect(), halted.collect()].concat()
    }
}
