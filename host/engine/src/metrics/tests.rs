//! Series that come and go.

use kennel_core::port::{Blocker, Horizon};
use kennel_core::position::Position;
use prometheus::{Encoder as _, Registry, TextEncoder};

use super::*;

fn series(registry: &Registry) -> Vec<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let ours = ["kennel_horizon", "kennel_log", "kennel_projection"];
    let is_ours = |line: &&str| ours.iter().any(|name| line.starts_with(name));
    text.lines().filter(is_ours).map(str::to_owned).collect()
}

fn horizon(position: u64, head: u64, blockers: &[(i32, &str, u64)]) -> Horizon {
    let blocker = |&(pid, application, open_seconds): &(i32, &str, u64)| Blocker {
        pid,
        application: application.to_owned(),
        open_seconds,
    };
    let blockers = blockers.iter().map(blocker).collect();
    Horizon { position: Position::new(position), head: Position::new(head), blockers }
}

#[test]
fn a_writer_that_blocks_the_horizon_has_a_series_until_it_ends() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap().horizon();
    assert_eq!(series(&registry), ["kennel_horizon_position 0", "kennel_log_head_position 0"]);
    let prepared = "a prepared transaction";
    let first = horizon(1, 3, &[(42, "billing", 7), (0, prepared, 3), (0, prepared, 9)]);
    metrics.observed(&Horizon::default(), &first);
    assert_eq!(
        series(&registry),
        [
            "kennel_horizon_blocked_seconds{application=\"a prepared transaction\",pid=\"0\"} 9",
            "kennel_horizon_blocked_seconds{application=\"billing\",pid=\"42\"} 7",
            "kennel_horizon_position 1",
            "kennel_log_head_position 3",
        ]
    );
    let second = horizon(2, 3, &[(42, "billing", 8)]);
    metrics.observed(&first, &second);
    assert_eq!(
        series(&registry),
        [
            "kennel_horizon_blocked_seconds{application=\"billing\",pid=\"42\"} 8",
            "kennel_horizon_position 2",
            "kennel_log_head_position 3",
        ]
    );
    metrics.ended(&second);
    assert_eq!(series(&registry), ["kennel_horizon_position 2", "kennel_log_head_position 3"]);
}

#[test]
fn a_projection_stands_where_its_slowest_partition_stands_until_none_is_left() {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let projection = metrics.replica_set(&"main".parse().unwrap()).projection(&"ledger".parse().unwrap());
    metrics.horizon().observed(&Horizon::default(), &horizon(10, 12, &[]));
    let shown = || series(&registry).into_iter().filter(|line| line.contains("ledger")).collect::<Vec<_>>();
    let expected = |position: u64, lag: u64| {
        let labels = "{projection=\"ledger\",replica_set=\"main\"}";
        [
            format!("kennel_projection_lag_events{labels} {lag}"),
            format!("kennel_projection_position{labels} {position}"),
        ]
    };
    let (first, second) = (projection.standing(), projection.standing());
    assert_eq!(shown(), [""; 0], "nothing is claimed yet");
    first.at(Position::new(4));
    second.at(Position::new(7));
    assert_eq!(shown(), expected(4, 8));
    first.at(Position::new(12));
    assert_eq!(shown(), expected(7, 5));
    drop(second);
    assert_eq!(shown(), expected(12, 0));
    drop(first);
    assert_eq!(shown(), [""; 0]);
}
