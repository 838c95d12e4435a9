//! How far the runners of this process are, as a few series for each projection.
//!
//! Several runners share a series and come and go with the generations, so the series are made when
//! they are asked for, from whoever stands in the register then. A projection of which this process
//! runs no part has none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::lifecycle::Stage;
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
    rebuild_position: IntGaugeVec,
    rebuild_lag: IntGaugeVec,
    rebuild_halted: IntGaugeVec,
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
    stage: Stage,
    /// None: it never had a position, since its component cannot be loaded.
    position: Option<Position>,
    halted: bool,
    since: Instant,
}

impl Line {
    fn new(labels: &[String; 2], stage: Stage) -> Self {
        Self { labels: labels.clone(), stage, position: None, halted: false, since: Instant::now() }
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
            rebuild_position: vector(
                "kennel_rebuild_position",
                "As kennel_projection_position, for a read model that is being built beside the one that serves. Gone when \
                 there is none.",
            )?,
            rebuild_lag: vector(
                "kennel_rebuild_lag_events",
                "Positions between kennel_rebuild_position and the head of the log.",
            )?,
            rebuild_halted: vector(
                "kennel_rebuild_halted",
                "As kennel_projection_halted, for a read model that is being built: the one that serves is not affected.",
            )?,
            entries: Mutex::default(),
        });
        register.0.register(Box::new(Collects(Arc::clone(&standings))))?;
        Ok(standings)
    }

    pub(super) fn enter(self: &Arc<Self>, labels: [String; 2], stage: Stage) -> Standing {
        let mut entries = self.entries();
        entries.next += 1;
        Standing(Some(Entry { runner: entries.next, labels, stage, standings: Arc::clone(self) }))
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
    stage: Stage,
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
        if let Some(Entry { runner, labels, stage, standings }) = &self.0 {
            let mut entries = standings.entries();
            let line = entries.by_runner.entry(*runner).or_insert_with(|| Line::new(labels, *stage));
            line.position = Some(position);
        }
    }

    /// It is halted, or no longer: an event fails for good, the component cannot even be loaded, or the log does not hold
    /// what was handled.
    pub fn halted(&self, halted: bool) {
        if let Some(Entry { runner, labels, stage, standings }) = &self.0 {
            standings
                .entries()
                .by_runner
                .entry(*runner)
                .or_insert_with(|| Line::new(labels, *stage))
                .halted = halted;
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
        let Standings { rebuild_position, rebuild_lag, rebuild_halted, .. } = &*self.0;
        let integers = [position, lag, halted, rebuild_position, rebuild_lag, rebuild_halted];
        integers.into_iter().flat_map(|vector| vector.desc()).chain(lag_seconds.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end, so that two who ask at once do not reset each other's series.
        let entries = self.0.entries();
        let mut live: BTreeMap<[&str; 2], Together> = BTreeMap::new();
        let mut building: BTreeMap<[&str; 2], Together> = BTreeMap::new();
        for line in entries.by_runner.values() {
            let [replica_set, projection] = &line.labels;
            let of_stage = if line.stage == Stage::Live { &mut live } else { &mut building };
            of_stage.entry([replica_set, projection]).or_default().add(line);
        }
        [self.0.collect_live(live), self.0.collect_building(building)].concat()
    }
}

impl Standings {
    fn collect_live(&self, live: BTreeMap<[&str; 2], Together>) -> Vec<MetricFamily> {
        let Self { log, position, lag, lag_seconds, halted, .. } = self;
        position.reset();
        lag.reset();
        lag_seconds.reset();
        halted.reset();
        let (now, mut growth) = (Instant::now(), log.growth());
        if let Some((least, _)) = live.values().filter_map(|together| together.behind).min() {
            growth.handled(least);
        }
        for (labels, together) in live {
            halted.with_label_values(&labels).set(i64::from(together.halted));
            let Some((at, since)) = together.behind else { continue };
            position.with_label_values(&labels).set(gauge(at));
            let behind = self.behind(at);
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

    fn collect_building(&self, building: BTreeMap<[&str; 2], Together>) -> Vec<MetricFamily> {
        let Self { rebuild_position, rebuild_lag, rebuild_halted, .. } = self;
        let vectors = [rebuild_position, rebuild_lag, rebuild_halted];
        vectors.into_iter().for_each(|vector| vector.reset());
        for (labels, together) in building {
            rebuild_halted.with_label_values(&labels).set(i64::from(together.halted));
            let Some((at, _)) = together.behind else { continue };
            rebuild_position.with_label_values(&labels).set(gauge(at));
            rebuild_lag.with_label_values(&labels).set(self.behind(at));
        }
        vectors.into_iter().flat_map(Collector::collect).collect()
    }

    /// Positions between this one and the head of the log.
    fn behind(&self, at: Position) -> i64 {
        (self.log.head.get() - gauge(at)).max(0)
    }
}
