//! The metrics of one projection.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::failure::FailureKind;
use kennel_core::lifecycle::Role;
use kennel_core::name::ProjectionName;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::progress::{ProgressGauge, ProgressGauges};
use super::{PROCESSING_BUCKETS, PROJECTION, Register};

/// Buckets of `kennel_batch_events`.
const BATCH_BUCKETS: [f64; 9] = [1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10_000.0];
/// Buckets of `kennel_commit_duration_seconds`.
const COMMIT_BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];

#[derive(Debug)]
pub(super) struct Vectors {
    events_processed: IntCounterVec,
    errors: IntCounterVec,
    processing_duration: HistogramVec,
    guest_failures: IntCounterVec,
    guest_memory_peak: IntGaugeVec,
    batch_events: HistogramVec,
    commit_duration: HistogramVec,
    dead_letters: IntCounterVec,
    cut_short: IntCounterVec,
    component_info: IntGaugeVec,
    gauges: Arc<ProgressGauges>,
}

impl Vectors {
    pub(super) fn register(
        register: &Register<'_>,
        gauges: Arc<ProgressGauges>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            events_processed: register.counter(
                "events_processed_total",
                "Events whose handling has been committed.",
                &PROJECTION,
            )?,
            errors: register.counter(
                "projection_errors_total",
                "Handler calls that failed: returned failures, traps and limits.",
                &PROJECTION,
            )?,
            processing_duration: register.histogram(
                "event_processing_duration_seconds",
                "Time that one call of the handler took, in seconds.",
                &PROJECTION,
                &PROCESSING_BUCKETS,
            )?,
            guest_failures: register.counter(
                "kennel_guest_failures_total",
                "Handler calls that failed, by kind.",
                &["replica_set", "projection", "kind"],
            )?,
            guest_memory_peak: register.gauge(
                "kennel_guest_memory_peak_bytes",
                "Most memory that one guest instance has used, in bytes.",
                &PROJECTION,
            )?,
            batch_events: register.histogram(
                "kennel_batch_events",
                "Events that were handled and committed together.",
                &PROJECTION,
                &BATCH_BUCKETS,
            )?,
            commit_duration: register.histogram(
                "kennel_commit_duration_seconds",
                "Time that committing one batch took, in seconds.",
                &PROJECTION,
                &COMMIT_BUCKETS,
            )?,
            dead_letters: register.counter(
                "kennel_dead_letters_total",
                "Events that this process has recorded as dead letters.",
                &PROJECTION,
            )?,
            cut_short: register.counter(
                "kennel_commits_cut_short_total",
                "Commits that the database ended before they were done, because they took longer or more than it \
                 allows. Smaller batches follow.",
                &PROJECTION,
            )?,
            component_info: register.gauge(
                "kennel_component_info",
                "1 for the component that this process runs for a projection.",
                &["replica_set", "projection", "version", "digest"],
            )?,
            gauges,
        })
    }

    pub(super) fn handles(&self, labels: [&str; 2], role: Role) -> Handles {
        Handles {
            role,
            labels: labels.map(str::to_owned),
            gauges: Arc::clone(&self.gauges),
            processed: self.events_processed.with_label_values(&labels),
            errors: self.errors.with_label_values(&labels),
            duration: self.processing_duration.with_label_values(&labels),
            memory_peak: self.guest_memory_peak.with_label_values(&labels),
            batch_events: self.batch_events.with_label_values(&labels),
            commit_duration: self.commit_duration.with_label_values(&labels),
            dead_letters: self.dead_letters.with_label_values(&labels),
            cut_short: self.cut_short.with_label_values(&labels),
            kinds: FailureKind::ALL.map(|kind| {
                let labels = [labels[0], labels[1], kind.as_str()];
                (kind, self.guest_failures.with_label_values(&labels))
            }),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Handles {
    role: Role,
    labels: [String; 2],
    gauges: Arc<ProgressGauges>,
    processed: IntCounter,
    errors: IntCounter,
    duration: Histogram,
    memory_peak: IntGauge,
    batch_events: Histogram,
    commit_duration: Histogram,
    dead_letters: IntCounter,
    cut_short: IntCounter,
    kinds: [(FailureKind, IntCounter); FailureKind::ALL.len()],
}

/// The metrics of one projection.
#[derive(Clone, Debug, Default)]
pub struct ProjectionMetrics(pub(super) Option<Handles>);

impl ProjectionMetrics {
    /// For a runner to report how far it is. Its part in the series ends when it drops this.
    #[must_use]
    pub fn progress_gauge(&self) -> ProgressGauge {
        match &self.0 {
            Some(handles) => handles.gauges.enter(handles.labels.clone(), handles.role),
            None => ProgressGauge::default(),
        }
    }

    /// The handling of so many events has been committed, with so many dead letters, in this time.
    #[expect(clippy::cast_precision_loss, reason = "a batch has few events")]
    pub fn committed(&self, events: u64, dead_letters: u64, took: Duration) {
        let Some(handles) = &self.0 else { return };
        handles.processed.inc_by(events);
        handles.dead_letters.inc_by(dead_letters);
        handles.commit_duration.observe(took.as_secs_f64());
        if events > 0 {
            handles.batch_events.observe(events as f64);
        }
    }

    /// The database ended a commit before it was done.
    pub fn cut_short(&self) {
        if let Some(handles) = &self.0 {
            handles.cut_short.inc();
        }
    }

    /// A handler call failed.
    pub fn failed(&self, kind: FailureKind) {
        let Some(handles) = &self.0 else { return };
        handles.errors.inc();
        if let Some((_, counter)) = handles.kinds.iter().find(|(known, _)| *known == kind) {
            counter.inc();
        }
    }

    /// Handler calls took this long.
    pub fn called(&self, durations: &[Duration], memory_peak: usize) {
        let Some(handles) = &self.0 else { return };
        let local = handles.duration.local();
        for duration in durations {
            local.observe(duration.as_secs_f64());
        }
        local.flush();
        let memory_peak = i64::try_from(memory_peak).unwrap_or(i64::MAX);
        if memory_peak > handles.memory_peak.get() {
            handles.memory_peak.set(memory_peak);
        }
    }
}

/// Reports which components this process runs.
#[derive(Debug, Default)]
pub struct Components {
    info: Option<(IntGaugeVec, String)>,
    shown: Vec<[String; 4]>,
}

impl Components {
    pub(super) fn of(vectors: &Vectors, replica_set: &str) -> Self {
        Self { info: Some((vectors.component_info.clone(), replica_set.to_owned())), shown: Vec::new() }
    }

    /// From now on it is these: projection, version and digest. The series of others disappear.
    pub fn are<'a>(&mut self, running: impl Iterator<Item = (&'a ProjectionName, &'a str, Digest)>) {
        let Some((info, replica_set)) = &self.info else { return };
        let now: Vec<[String; 4]> = running
            .map(|(projection, version, digest)| {
                [replica_set.clone(), projection.to_string(), version.to_owned(), digest.to_string()]
            })
            .collect();
        for gone in self.shown.iter().filter(|known| !now.contains(known)) {
            // An error means that the series never existed.
            let _ = info.remove_label_values(&gone.each_ref().map(String::as_str));
        }
        for labels in &now {
            info.with_label_values(&labels.each_ref().map(String::as_str)).set(1);
        }
        self.shown = now;
    }
}
