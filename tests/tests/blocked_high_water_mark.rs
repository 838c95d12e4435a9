//! A writer that holds a transaction open is named wherever one looks, and for no longer than it is open.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::metrics::Served;

const SOON: Duration = Duration::from_secs(20);

fn insert(number: u32) -> String {
    format!(
        "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload)
         VALUES ('Sales', 'Order', 'order-1', {number}, gen_random_uuid(), 'Happened', '{{}}')"
    )
}

#[test]
fn metrics_and_status_name_an_open_writer_until_it_ends() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let database = url.rsplit('/').next().expect("a database");
    let kennel = Kennel::on(&url);
    kennel.ok(&["migrate"]);
    kennel.ok(&["deploy", "audit-log", guest("audit-log").to_str().expect("a UTF-8 path")]);
    cluster.sql(database, "CREATE TABLE go (now int)");
    let served = Served::start(&kennel, &["--workers", "2"]);
    assert_eq!(served.series("kennel_high_water_mark_blocked"), [""; 0]);

    std::thread::scope(|scope| {
        // It has drawn position 1 and commits once `go` has a row.
        let first = insert(1);
        let wait = "WHILE NOT EXISTS (SELECT FROM go) LOOP PERFORM pg_sleep(0.02); END LOOP;";
        let writer = format!("DO $$ BEGIN {first}; {wait} END $$");
        let (named, cluster) = (&database, &cluster);
        scope.spawn(move || cluster.sql(named, &writer));
        let holder =
            "SELECT pid FROM pg_locks WHERE relation = 'events'::regclass AND mode = 'RowExclusiveLock'";
        let mut pid = String::new();
        wait_until("the writer has drawn its position", SOON, || {
            pid = cluster.sql(database, holder);
            !pid.is_empty()
        });
        cluster.sql(database, &insert(2));

        let blocked =
            format!("kennel_high_water_mark_blocked_seconds{{application=\"psql\",pid=\"{pid}\"}} ");
        wait_until("the writer has a series, which counts on", SOON, || {
            let series = served.series("kennel_high_water_mark_blocked");
            let seconds = series.iter().filter_map(|line| line.strip_prefix(&blocked));
            assert!(series.len() <= 1, "{series:?}");
            seconds.filter_map(|seconds| seconds.parse::<u32>().ok()).any(|seconds| seconds >= 2)
        });
        assert_eq!(served.series("kennel_high_water_mark_position"), ["kennel_high_water_mark_position 0"]);
        assert_eq!(served.series("kennel_log_head_position"), ["kennel_log_head_position 2"]);
        let of_it = "{projection=\"audit-log\",replica_set=\"main\"}";
        for (name, value) in [("kennel_projection_lag_events", 2), ("kennel_projection_position", 0)] {
            assert_eq!(served.series(name), [format!("{name}{of_it} {value}")]);
        }
        let writers = kennel.json(&["status", "--json"])["writers"].clone();
        assert_eq!(writers[0]["pid"].to_string(), pid);
        assert_eq!(writers[0]["application"], "psql");

        cluster.sql(database, "INSERT INTO go VALUES (1)");
        wait_until("the series is gone", SOON, || served.series("kennel_high_water_mark_blocked").is_empty());
        assert_eq!(served.series("kennel_high_water_mark_position"), ["kennel_high_water_mark_position 2"]);
        wait_until("the events are handled", SOON, || {
            served.series("kennel_projection_lag_events")
                == [format!("kennel_projection_lag_events{of_it} 0")]
        });
        assert_eq!(
            served.series("kennel_projection_position"),
            [format!("kennel_projection_position{of_it} 2")]
        );
    });
}
