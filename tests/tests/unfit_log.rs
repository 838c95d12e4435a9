//! An event log in which events would be missed: rejected at start, and while a host runs, until it is good again.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::exactly_once::{ExactlyOnce, exactly_once};
use kennel_tests::metrics::{Served, get};

const SOON: Duration = Duration::from_secs(20);

const INSERT: &str = "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload) \
                      SELECT 'Sales', 'Order', gen_random_uuid(), 1, gen_random_uuid(), 'Happened', '{}'";

/// A host at work, which has handled one event.
struct Fixture {
    cluster: Cluster,
    kennel: Kennel,
    served: Served,
    database: String,
}

impl Fixture {
    fn new() -> Self {
        let settings = [("fsync", "off"), ("full_page_writes", "off"), ("wal_level", "logical")];
        let cluster = Cluster::start_with(&settings);
        let url = cluster.create_database();
        let database = url.rsplit('/').next().expect("a database").to_owned();
        let kennel = Kennel::on(&url);
        kennel.ok(&["migrate"]);
        kennel.ok(&["deploy", "audit-log", guest("audit-log").to_str().expect("a UTF-8 path")]);
        let served = Served::start(&kennel, &["--workers", "1"]);
        let fixture = Self { cluster, kennel, served, database };
        fixture.sql(INSERT);
        fixture.handles(1);
        fixture
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }

    /// Everything in the log is handled, exactly once.
    fn handles(&self, events: usize) {
        let head: u64 = self.sql("SELECT max(global_position) FROM events").parse().expect("a position");
        wait_until("all is handled", SOON, || self.kennel.status("audit-log")["position"] == head);
        let expected = ExactlyOnce { events, aggregates: events, not_once: 0, out_of_order: 0 };
        assert_eq!(exactly_once(&self.kennel, "audit-log"), expected);
        wait_until("the host is ready", SOON, || self.ready().0 == 200);
        assert_eq!(self.served.series("kennel_log_unreadable"), ["kennel_log_unreadable 0"]);
    }

    fn ready(&self) -> (u16, String) {
        get(self.served.address(), "/readyz").expect("it answers")
    }

    /// The host is not ready, and says this, as every command does.
    fn rejects(&self, said: &str) {
        wait_until("the host is not ready", SOON, || {
            let (code, text) = self.ready();
            code == 503
                && text.contains("the event log public.events cannot be followed")
                && text.contains(said)
        });
        assert_eq!(self.served.series("kennel_log_unreadable"), ["kennel_log_unreadable 1"]);
        for arguments in [&["status"][..], &["migrate"], &["run", "--listen", "127.0.0.1:0"]] {
            let printed = self.kennel.run(arguments);
            assert_eq!(printed.code, Some(3), "{arguments:?}: {}", printed.stderr);
            assert!(printed.stderr.contains(said), "{arguments:?}: {}", printed.stderr);
        }
    }
}

#[test]
fn a_sequence_that_hands_out_blocks_is_rejected_and_nothing_is_lost() {
    let fixture = Fixture::new();
    fixture.sql("ALTER SEQUENCE events_global_position_seq CACHE 20");
    // Each psql is a session with a block of its own, so that positions are missing.
    for _ in 0..3 {
        fixture.sql(INSERT);
    }
    fixture.rejects("run `ALTER SEQUENCE events_global_position_seq CACHE 1`");
    // The first of them leaves no gap: nothing is missed if the host has read it before it looked at the sequence again.
    let high_water_mark = fixture.served.series("kennel_high_water_mark_position");
    let before_a_gap = ["kennel_high_water_mark_position 1", "kennel_high_water_mark_position 2"];
    assert!(before_a_gap.iter().any(|known| high_water_mark == [*known]), "{high_water_mark:?}");
    fixture.sql("ALTER SEQUENCE events_global_position_seq CACHE 1");
    fixture.sql(INSERT);
    fixture.handles(5);
}

#[test]
fn a_log_that_logical_replication_writes_is_rejected() {
    let fixture = Fixture::new();
    let source = fixture.cluster.create_database();
    let source = source.rsplit('/').next().expect("a database");
    let port = fixture
        .cluster
        .url("x")
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next().map(str::to_owned));
    let port = port.expect("a port");
    let elsewhere = Kennel::on(&fixture.cluster.url(source));
    elsewhere.ok(&["migrate"]);
    fixture.cluster.sql(source, "CREATE PUBLICATION log FOR TABLE events");
    fixture.cluster.sql(source, "SELECT pg_create_logical_replication_slot('log', 'pgoutput')");
    fixture.sql(&format!(
        "CREATE SUBSCRIPTION log CONNECTION 'host=127.0.0.1 port={port} user=kennel dbname={source}' PUBLICATION log \
         WITH (create_slot = false, slot_name = 'log')"
    ));
    fixture.rejects("the subscription log writes to events: logical replication brings events in the order");
    // It does write, and no worker goes past what it writes.
    fixture.cluster.sql(source, "SELECT setval('events_global_position_seq', 10)");
    fixture.cluster.sql(source, INSERT);
    wait_until("the event arrives", SOON, || fixture.sql("SELECT count(*) FROM events") == "2");
    assert_eq!(
        fixture.served.series("kennel_high_water_mark_position"),
        ["kennel_high_water_mark_position 1"]
    );
    fixture.sql("DROP SUBSCRIPTION log");
    fixture.handles(2);
}

#[test]
fn a_view_of_the_log_is_rejected() {
    let fixture = Fixture::new();
    // Writers go on writing to what was the log.
    fixture.sql(
        "BEGIN; ALTER TABLE events RENAME TO behind; CREATE VIEW public.events AS SELECT * FROM behind; COMMIT",
    );
    fixture.rejects("events is a view: who writes to the tables behind it is not to be seen");
    fixture.sql("BEGIN; DROP VIEW public.events; ALTER TABLE behind RENAME TO events; COMMIT");
    fixture.sql(INSERT);
    fixture.handles(2);
}
