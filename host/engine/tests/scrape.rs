//! The cost of a scrape, its text when labels hold odd characters, and that metrics that are turned off are not there.
//! The meaning of each metric is tested beside it and in the suites of the command.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::disallowed_methods, reason = "the cost of a scrape is measured in real time")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kennel_core::membership::{WorkerId, WorkerState};
use kennel_core::port::{Blocker, HighWaterMark};
use kennel_core::position::Position;
use kennel_engine::metrics::{Metrics, ProgressGauge, ProjectionMetrics};
use prometheus::{Encoder as _, Registry, TextEncoder};
use uuid::Uuid;

const PROJECTIONS: usize = 200;
const WORKERS: u128 = 8;
/// Longest time that a scrape may take.
const SCRAPE_MAX: Duration = Duration::from_millis(50);
/// Scrapes without pause while batches are counted.
const SCRAPES: u32 = 20;
/// Most that metrics may cost an event meanwhile. Handling one takes about 25 µs at the least.
const EVENT_MAX: Duration = Duration::from_nanos(100);
const BATCH: usize = 1_000;

fn scrape(registry: &Registry) -> String {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The metrics of a process with many projections and workers, all of which are at work.
fn busy(metrics: &Metrics) -> (Vec<ProjectionMetrics>, Vec<ProgressGauge>) {
    let set = metrics.replica_set(&"main".parse().unwrap());
    for id in 0..WORKERS {
        set.worker_state(WorkerId(Uuid::from_u128(id)), WorkerState::Processing);
    }
    let of_projection = |number| set.projection(&format!("projection-{number}").parse().unwrap());
    let projections: Vec<ProjectionMetrics> = (0..PROJECTIONS).map(of_projection).collect();
    let mut gauges = Vec::new();
    for projection in &projections {
        projection.called(&[Duration::from_micros(700), Duration::from_millis(3)], 1 << 20);
        projection.committed(2, 0, Duration::from_millis(2));
        for worker in 0..WORKERS {
            let gauge = projection.progress_gauge();
            gauge.at(Position::new(u64::try_from(worker).unwrap()));
            gauges.push(gauge);
        }
    }
    (projections, gauges)
}

/// The work of a runner for the metrics with each batch.
fn batch(projection: &ProjectionMetrics, gauge: &ProgressGauge, number: u64) -> Duration {
    let durations = [Duration::from_micros(30); BATCH];
    let began = Instant::now();
    projection.called(&durations, 1 << 20);
    projection.committed(BATCH as u64, 0, Duration::from_millis(2));
    gauge.at(Position::new(number));
    began.elapsed()
}

fn median(mut measured: Vec<Duration>) -> Duration {
    measured.sort_unstable();
    measured[measured.len() / 2]
}

#[test]
fn many_projections_and_workers_are_scraped_quickly_and_do_not_pay_for_it() {
    let registry = Registry::new();
    let (projections, gauges) = busy(&Metrics::register(&registry).unwrap());
    let series = scrape(&registry).lines().filter(|line| !line.starts_with('#')).count();
    // At least a histogram of eleven lines, two counters, seven kinds of failure, memory, position and lag.
    assert!(series >= PROJECTIONS * 23, "{series}");
    let rounds = (0..20).map(|_| {
        let began = Instant::now();
        let text = scrape(&registry);
        assert!(text.len() > 100_000);
        began.elapsed()
    });
    let took = median(rounds.collect());

    let one = |number| batch(&projections[0], &gauges[0], number);
    let alone = median((0..1_000).map(one).collect());
    let done = AtomicBool::new(false);
    let during = thread::scope(|scope| {
        scope.spawn(|| {
            (0..SCRAPES).for_each(|_| drop(scrape(&registry)));
            done.store(true, Ordering::Relaxed);
        });
        (0..).take_while(|_| !done.load(Ordering::Relaxed)).map(one).collect::<Vec<_>>()
    });
    let (batches, longest) = (during.len(), during.iter().max().copied());
    let during = median(during);
    eprintln!(
        "{series} series: {took:?} a scrape; {BATCH} events: {alone:?} alone; during {SCRAPES} scrapes {batches} \
         times {during:?}, at most {longest:?}"
    );
    // Medians, since other tests run beside this one. The bounds hold unoptimized as well.
    assert!(took < SCRAPE_MAX, "{took:?} a scrape");
    let most = EVENT_MAX * u32::try_from(BATCH).unwrap();
    assert!(during < most, "{during:?} a batch, without scrapes {alone:?}");
}

#[test]
fn odd_characters_in_labels_are_escaped() {
    let registry = Registry::new();
    let high_water_mark = Metrics::register(&registry).unwrap().high_water_mark();
    let application = "\"quoted\" \\ back\nnext line, ü€𝄞 {a=\"b\"} 1";
    let blocker = Blocker {
        pid: Some(42),
        application: application.to_owned(),
        prepared: None,
        open_seconds: Some(7),
        advice: String::new(),
    };
    let now = HighWaterMark {
        position: Position::new(1),
        head: Position::new(3),
        blockers: vec![blocker],
        ..HighWaterMark::default()
    };
    high_water_mark.observed(&HighWaterMark::default(), &now);
    let text = scrape(&registry);
    let lines: Vec<&str> =
        text.lines().filter(|line| line.starts_with("kennel_high_water_mark_blocked")).collect();
    let escaped = r#""\"quoted\" \\ back\nnext line, ü€𝄞 {a=\"b\"} 1""#;
    assert_eq!(
        lines,
        [format!("kennel_high_water_mark_blocked_seconds{{application={escaped},pid=\"42\"}} 7")]
    );
    high_water_mark.ended(&now);
    assert!(
        !scrape(&registry).contains("kennel_high_water_mark_blocked_seconds{"),
        "the series is found again"
    );
}

#[test]
fn metrics_that_are_off_are_registered_nowhere_and_keep_nothing() {
    let before = scrape(prometheus::default_registry());
    let metrics = Metrics::default();
    let (projections, gauges) = busy(&metrics);
    metrics.replica_set(&"main".parse().unwrap()).heartbeat(Duration::from_secs(1));
    metrics.high_water_mark().observed(&HighWaterMark::default(), &HighWaterMark::default());
    assert_eq!(scrape(prometheus::default_registry()), before);
    assert_eq!(before, "");
    // Handles that are off hold nothing: no series, and no entry in the register of runners.
    assert!(projections.iter().all(|projection| format!("{projection:?}") == "ProjectionMetrics(None)"));
    assert!(gauges.iter().all(|gauge| format!("{gauge:?}") == "ProgressGauge(None)"));
}
