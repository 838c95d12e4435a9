//! How far the runners of this process are, as a few series for each projection.
//!
//! Several runners share a series and come and go with the generations, so the series are made when they are asked for,
//! from the runners in the register then. A projection of which this process runs no part has none.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kennel_core::lifecycle::Role;
use kennel_core::position::Position;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec};
use tokio::time::Instant;

use super::high_water_mark::{self, gauge};
use super::{PROJECTION, Register};

/// The register of all runners of a process.
#[derive(Debug)]
pub(super) struct ProgressGauges {
    log: high_water_mark::Vectors,
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

/// The progress that a runner reports.
#[derive(Debug)]
struct Line {
    labels: [String; 2],
    role: Role,
    /// None: it never had a position, since its component cannot be loaded.
    position: Option<Position>,
    halted: bool,
    since: Instant,
}

impl Line {
    fn new(labels: &[String; 2], role: Role) -> Self {
        Self { labels: labels.clone(), role, position: None, halted: false, since: Instant::now() }
    }
}

impl ProgressGauges {
    /// `log` shows how far the log goes.
    pub(super) fn register(
        register: &Register<'_>,
        log: &high_water_mark::Vectors,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let vector = |name, help| IntGaugeVec::new(Register::opts(name, help), &PROJECTION);
        let gauges = Arc::new(Self {
            log: log.clone(),
            position: vector(
                "kennel_projection_position",
                "Every event up to this position has taken effect in the partitions that this process owns. The \
                 projection's own position is the least that any process reports. Gone when this process owns none.",
            )?,
            lag: vector(
                "kennel_projection_lag_events",
                "Positions between kennel_projection_position and the head of the log: at most so many events are \
                 waiting. The projection's own lag is the largest that any process reports.",
            )?,
            lag_seconds: GaugeVec::new(
                Register::opts(
                    "kennel_projection_lag_seconds",
                    "Seconds since this process first saw an event that has not taken effect yet in the partitions \
                     that it owns; 0 when it is through. The projection's own lag is the largest that any process \
                     reports.",
                ),
                &PROJECTION,
            )?,
            halted: vector(
                "kennel_projection_halted",
                "1 if a partition that this process owns is halted by an event that fails, or if the component \
                 cannot be loaded here, else 0.",
            )?,
            rebuild_position: vector(
                "kennel_rebuild_position",
                "As kennel_projection_position, for the read model of a candidate beside the one that serves. Gone when \
                 there is none.",
            )?,
            rebuild_lag: vector(
                "kennel_rebuild_lag_events",
                "Positions between kennel_rebuild_position and the head of the log.",
            )?,
            rebuild_halted: vector(
                "kennel_rebuild_halted",
                "As kennel_projection_halted, for the read model of a candidate: the one that serves is not affected.",
            )?,
            entries: Mutex::default(),
        });
        register.0.register(Box::new(Collects(Arc::clone(&gauges))))?;
        Ok(gauges)
    }

    pub(super) fn enter(self: &Arc<Self>, labels: [String; 2], role: Role) -> ProgressGauge {
        let mut entries = self.entries();
        entries.next += 1;
        ProgressGauge(Some(Entry { runner: entries.next, labels, role, gauges: Arc::clone(self) }))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One runner's line in the register: made when it first reports its position, gone when this is dropped.
#[derive(Debug, Default)]
pub struct ProgressGauge(Option<Entry>);

struct Entry {
    runner: u64,
    labels: [String; 2],
    role: Role,
    gauges: Arc<ProgressGauges>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("runner", &self.runner).field("labels", &self.labels).finish()
    }
}

impl ProgressGauge {
    /// Everything that the runner owns has been handled up to here.
    pub fn at(&self, position: Position) {
        if let Some(Entry { runner, labels, role, gauges }) = &self.0 {
            let mut entries = gauges.entries();
            let line = entries.by_runner.entry(*runner).or_insert_with(|| Line::new(labels, *role));
            line.position = Some(position);
        }
    }

    /// It is halted, or no longer: an event fails for good, the component cannot even be loaded, or the log does not hold
    /// what was handled.
    pub fn halted(&self, halted: bool) {
        if let Some(Entry { runner, labels, role, gauges }) = &self.0 {
            gauges.entries().by_runner.entry(*runner).or_insert_with(|| Line::new(labels, *role)).halted =
                halted;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.gauges.entries().by_runner.remove(&self.runner);
    }
}

/// The progress that the runners of one projection report together.
#[derive(Default)]
struct Together {
    /// The position of the one that is furthest behind, and since when it reports.
    behind: Option<(Position, Instant)>,
    halted: bool,
}

impl Together {
    fn add(&mut self, line: &Line) {
        self.halted |= line.halted;
        let reported = line.position.map(|position| (position, line.since));
        self.behind = match (self.behind, reported) {
            (Some(behind), Some(reported)) => Some(behind.min(reported)),
            (behind, reported) => behind.or(reported),
        };
    }
}

struct Collects(Arc<ProgressGauges>);

impl Collector for Collects {
    fn desc(&self) -> Vec<&Desc> {
        let ProgressGauges { position, lag, lag_seconds, halted, .. } = &*self.0;
        let ProgressGauges { rebuild_position, rebuild_lag, rebuild_halted, .. } = &*self.0;
        let integers = [position, lag, halted, rebuild_position, rebuild_lag, rebuild_halted];
        integers.into_iter().flat_map(|vector| vector.desc()).chain(lag_seconds.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end, so that two scrapes at once do not reset each other's series.
        let entries = self.0.entries();
        let mut serving: BTreeMap<[&str; 2], Together> = BTreeMap::new();
        let mut candidate: BTreeMap<[&str; 2], Together> = BTreeMap::new();
        for line in entries.by_runner.values() {
            let [replica_set, projection] = &line.labels;
            let of_role = if line.role == Role::Serving { &mut serving } else { &mut candidate };
            of_role.entry([replica_set, projection]).or_default().add(line);
        }
        [self.0.collect_serving(serving), self.0.collect_candidate(candidate)].concat()
    }
}

impl ProgressGauges {
    fn collect_serving(&self, serving: BTreeMap<[&str; 2], Together>) -> Vec<MetricFamily> {
        let Self { log, position, lag, lag_seconds, halted, .. } = self;
        position.reset();
        lag.reset();
        lag_seconds.reset();
        halted.reset();
        let (now, mut growth) = (Instant::now(), log.growth());
        if let Some((least, _)) = serving.values().filter_map(|together| together.behind).min() {
            growth.handled(least);
        }
        for (labels, together) in serving {
            halted.with_label_values(&labels).set(i64::from(together.halted));
            let Some((at, since)) = together.behind else { continue };
            position.with_label_values(&labels).set(gauge(at));
            let behind = self.behind(at);
            lag.with_label_values(&labels).set(behind);
            // Growth that all runners had handled is not remembered. A new runner that has to catch up with it waits at
            // least since it came.
            let waits = match behind {
                0 => 0.0,
                _ => (now - growth.beyond(at).unwrap_or(since)).as_secs_f64(),
            };
            lag_seconds.with_label_values(&labels).set(waits);
        }
        [position.collect(), lag.collect(), lag_seconds.collect(), halted.collect()].concat()
    }

    fn collect_candidate(&self, candidate: BTreeMap<[&str; 2], Together>) -> Vec<MetricFamily> {
        let Self { rebuild_position, rebuild_lag, rebuild_halted, .. } = self;
        let vectors = [rebuild_position, rebuild_lag, rebuild_halted];
        vectors.into_iter().for_each(|vector| vector.reset());
        for (labels, together) in candidate {
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
