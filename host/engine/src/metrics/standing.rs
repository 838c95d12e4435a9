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
    /// None: it never had a position, since its component cannot be loaded.
    position: Option<Position>,
    halted: bool,
    since: Instant,
}

impl Line {
    fn new(labels: &[String; 2]) -> Self {
        Self { labels: labels.clone(), position: None, halted: false, since: Instant::now() }
    }
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
                "1 if a partition that this process owns stands still because of an event that fails, or if the component \
                 cannot be loaded here, else 0.",
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
            let line = entries.by_runner.entry(*runner).or_insert_with(|| Line::new(labels));
            line.position = Some(position);
        }
    }

    /// It stands still: an event fails for good, or the component cannot even be loaded.
    pub fn halted(&self) {
        if let Some(Entry { runner, labels, standings }) = &self.0 {
            standings.entries().by_runner.entry(*runner).or_insert_with(|| Line::new(labels)).halted = true;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.standings.entries().by_runner.remove(&self.runner);
    }
}

/// What the runners of one projection tell together.
#[derive(Default)]
struct Together {
    /// Where the one that is furthest behind stands, and since when it has been there to tell.
    behind: Option<(Position, Instant)>,
    halted: bool,
}

impl Together {
    fn add(&mut self, line: &Line) {
        self.halted |= line.halted;
        let told = line.position.map(|position| (position, line.since));
        self.behind = match (self.behind, told) {
            (Some(behind), Some(told)) => Some(behind.min(told)),
            (behind, told) => behind.or(told),
        };
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
        let mut together: BTreeMap<[&str; 2], Together> = BTreeMap::new();
        for line in entries.by_runner.values() {
            let [replica_set, projection] = &line.labels;
            together.entry([replica_set, projection]).or_default().add(line);
        }
        position.reset();
        lag.reset();
        lag_seconds.reset();
        halted.reset();
        let (now, mut growth) = (Instant::now(), log.growth());
        if let Some((least, _)) = together.values().filter_map(|together| together.behind).min() {
            growth.handled(least);
        }
        for (labels, together) in together {
            halted.with_label_values(&labels).set(i64::from(together.halted));
            let Some((at, since)) = together.behind else { continue };
            position.with_label_values(&labels).set(gauge(at));
            let behind = (log.head.get() - gauge(at)).max(0);
            lag.with_label_values(&labels).set(behind);
            // What everybody was through with is not remembered. A newcomer that has to catch up with it waits at
            // least since it came.
            let waits = match behind {
                0 => 0.0,
                _ => (now - growth.beyond(at).unwrap_or(since)).as_secs_f64(),
            };
            lag_seconds.with_label_values(&labels).set(waits);
        }
        [position.collect(), lag.collect(), lag_seconds.collect(), halted.collect()].concat()
    }
}
