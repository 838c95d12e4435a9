//! Series that come and go.

use kennel_core::digest::Digest;
use kennel_core::port::{Blocker, HighWaterMark};
use kennel_core::position::Position;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::time::Instant;

use super::*;

fn series(registry: &Registry) -> Vec<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let ours = ["kennel_high_water_mark", "kennel_log", "kennel_projection"];
    let is_ours = |line: &&str| ours.iter().any(|name| line.starts_with(name));
    text.lines().filter(is_ours).map(str::to_owned).collect()
}

fn high_water_mark(position: u64, head: u64, blockers: &[(Option<i32>, &str, Option<u64>)]) -> HighWaterMark {
    let blocker = |&(pid, application, open_seconds): &(Option<i32>, &str, Option<u64>)| Blocker {
        pid,
        application: application.to_owned(),
        prepared: None,
        open_seconds,
        advice: String::new(),
    };
    let blockers = blockers.iter().map(blocker).collect();
    HighWaterMark {
        position: Position::new(position),
        head: Position::new(head),
        blockers,
        ..HighWaterMark::default()
    }
}

#[test]
fn a_writer_that_blocks_the_high_water_mark_has_a_series_until_it_ends() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap().high_water_mark();
    let nothing = [
        "kennel_high_water_mark_position 0",
        "kennel_log_head_position 0",
        "kennel_log_incarnations_total 0",
        "kennel_log_unreadable 0",
    ];
    assert_eq!(series(&registry), nothing);
    let prepared = "a prepared transaction";
    let hidden = (Some(43), "hidden", None);
    let first = high_water_mark(
        1,
        3,
        &[(Some(42), "billing", Some(7)), (None, prepared, Some(3)), (None, prepared, Some(9)), hidden],
    );
    metrics.observed(&HighWaterMark::default(), &first);
    assert_eq!(
        series(&registry),
        [
            "kennel_high_water_mark_blocked_age_unknown{application=\"hidden\",pid=\"43\"} 1",
            "kennel_high_water_mark_blocked_seconds{application=\"a prepared transaction\",pid=\"\"} 9",
            "kennel_high_water_mark_blocked_seconds{application=\"billing\",pid=\"42\"} 7",
            "kennel_high_water_mark_position 1",
            "kennel_log_head_position 3",
            "kennel_log_incarnations_total 0",
            "kennel_log_unreadable 0",
        ]
    );
    // The database reports now the age that it hid, and hides the one that it reported.
    let turned = high_water_mark(1, 3, &[(Some(42), "billing", None), (Some(43), "hidden", Some(5))]);
    metrics.observed(&first, &turned);
    assert_eq!(
        series(&registry)[..2],
        [
            "kennel_high_water_mark_blocked_age_unknown{application=\"billing\",pid=\"42\"} 1",
            "kennel_high_water_mark_blocked_seconds{application=\"hidden\",pid=\"43\"} 5",
        ]
    );
    let second = high_water_mark(2, 3, &[(Some(42), "billing", Some(8))]);
    metrics.observed(&turned, &second);
    assert_eq!(
        series(&registry),
        [
            "kennel_high_water_mark_blocked_seconds{application=\"billing\",pid=\"42\"} 8",
            "kennel_high_water_mark_position 2",
            "kennel_log_head_position 3",
            "kennel_log_incarnations_total 0",
            "kennel_log_unreadable 0",
        ]
    );
    metrics.failed();
    metrics.ended(&second);
    metrics.set_back();
    let ended = [
        "kennel_high_water_mark_position 2",
        "kennel_log_head_position 3",
        "kennel_log_incarnations_total 1",
        "kennel_log_unreadable 1",
    ];
    assert_eq!(series(&registry), ended);
}

#[tokio::test(start_paused = true)]
async fn a_projection_stands_where_its_slowest_partition_stands_until_none_is_left() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let projection = metrics.replica_set(&"main".parse().unwrap()).projection(&"ledger".parse().unwrap());
    let log = metrics.high_water_mark();
    log.observed(&HighWaterMark::default(), &high_water_mark(10, 10, &[]));
    tokio::time::advance(Duration::from_secs(60)).await;
    log.observed(&HighWaterMark::default(), &high_water_mark(12, 12, &[]));
    tokio::time::advance(Duration::from_secs(5)).await;
    let values = || {
        let kinds = ["position", "lag_events", "lag_seconds", "halted"];
        let lines = series(&registry);
        kinds.map(|kind| {
            let name = format!("kennel_projection_{kind}{{projection=\"ledger\",replica_set=\"main\"}} ");
            lines.iter().find_map(|line| line.strip_prefix(&name)).map(str::to_owned).unwrap_or_default()
        })
    };
    let (first, second) = (projection.progress_gauge(), projection.progress_gauge());
    assert_eq!(values(), [""; 4], "nothing is claimed yet");
    first.at(Position::new(4));
    second.at(Position::new(10));
    assert_eq!(values(), ["4", "8", "65", "0"], "the event after 4 waits since the log was first looked at");
    first.at(Position::new(12));
    assert_eq!(values(), ["10", "2", "5", "0"]);
    // A runner that comes later and has everything before it counts from its coming: the log's past is forgotten.
    let newcomer = projection.progress_gauge();
    newcomer.at(Position::START);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(values(), ["0", "12", "3", "0"]);
    drop(newcomer);
    assert_eq!(values(), ["10", "2", "8", "0"]);
    second.halted(true);
    assert_eq!(values(), ["10", "2", "8", "1"]);
    drop(second);
    assert_eq!(values(), ["12", "0", "0", "0"]);
    drop(first);
    assert_eq!(values(), [""; 4]);
    let unloadable = projection.progress_gauge();
    unloadable.halted(true);
    assert_eq!(values(), ["", "", "", "1"]);
}

#[test]
fn only_the_components_that_are_run_have_series() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap().replica_set(&"main".parse().unwrap());
    let mut components = metrics.components();
    let shown = || {
        let families = registry.gather();
        let infos = families.iter().find(|family| family.name() == "kennel_component_info");
        infos.map_or(0, |family| family.get_metric().len())
    };
    let name = "ledger".parse().unwrap();
    components.are([(&name, "1.0.0", Digest::of(b"a"))].into_iter());
    assert_eq!(shown(), 1);
    components.are([(&name, "1.1.0", Digest::of(b"b"))].into_iter());
    assert_eq!(shown(), 1);
    components.are(std::iter::empty());
    assert_eq!(shown(), 0);
}

#[test]
fn a_log_that_grows_for_ever_takes_bounded_memory() {
    let began = Instant::now();
    let mut growth = high_water_mark::Growth::default();
    for head in 1..=100_000 {
        growth.saw(began + Duration::from_secs(head), Position::new(head));
        assert!(growth.len() <= 4096);
    }
    let since = |growth: &high_water_mark::Growth, position| {
        growth.beyond(Position::new(position)).map(|seen| (seen - began).as_secs())
    };
    assert_eq!(since(&growth, 100_000), None, "nothing is beyond the head");
    for position in [0, 777, 50_000, 99_990] {
        let seen = since(&growth, position).unwrap();
        assert!((position.saturating_sub(64)..=position + 1).contains(&seen), "{position}: {seen}");
    }
    growth.handled(Position::new(99_000));
    assert!(growth.len() < 100);
    growth.handled(Position::new(100_000));
    growth.saw(began + Duration::from_secs(200_000), Position::new(100_001));
    assert_eq!((growth.len(), since(&growth, 100_000)), (1, Some(200_000)));
}

#[test]
fn with_metrics_off_nothing_is_registered_and_nothing_is_kept() {
    let metrics = Metrics::default();
    let set = metrics.replica_set(&"main".parse().unwrap());
    let projection = set.projection(&"ledger".parse().unwrap());
    projection.committed(5, 1, Duration::from_millis(1));
    projection.progress_gauge().at(Position::new(4));
    metrics
        .high_water_mark()
        .observed(&HighWaterMark::default(), &high_water_mark(1, 3, &[(Some(42), "billing", Some(7))]));
    assert!(prometheus::gather().is_empty());
}
