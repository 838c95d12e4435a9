//! An event log in which events would be missed: refused at start, and while a host runs, until it is good again.

use std::time::Duration;

use kennel_tests::audit::{Audit, audit};
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::metrics::{Served, get};
use kennel_tests::postgres::Cluster;

const SOON: Duration = Duration::from_secs(20);

const INSERT: &str = "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload) \
                      SELECT 'Sales', 'Order', gen_random_uuid(), 1, gen_random_uuid(), 'Happened', '{}'";

/// A host at work, which has handled one event.
struct Stage {
    cluster: Cluster,
    kennel: Kennel,
    served: Served,
    database: String,
}

impl Stage {
    fn new() -> Self {
        let settings = [("fsync", "off"), ("full_page_writes", "off"), ("wal_level", "logical")];
        let cluster = Cluster::start_with(&settings);
        let url = cluster.create_database();
        let database = url.rsplit('/').next().expect("a database").to_owned();
        let kennel = Kennel::on(&url);
        kennel.ok(&["migrate"]);
        kennel.ok(&["deploy", "audit-log", guest("audit-log").to_str().expect("a UTF-8 path")]);
        let served = Served::start(&kennel, &["--workers", "1"]);
        let stage = Self { cluster, kennel, served, database };
        stage.sql(INSERT);
        stage.handles(1);
        stage
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&self.database, sql)
    }

    /// Everything in the log is handled, exactly once.
    fn handles(&self, events: usize) {
        let head: u64 = self.sql("SELECT max(global_position) FROM events").parse().expect("a position");
        wait_until("all is handled", SOON, || self.kennel.status("audit-log")["position"] == head);
        let expected = Audit { events, aggregates: events, not_once: 0, out_of_order: 0 };
        assert_eq!(audit(&self.kennel, "audit-log"), expected);
        wait_until("the host is ready", SOON, || self.ready().0 == 200);
        assert_eq!(self.served.series("kennel_log_unreadable"), ["kennel_log_unreadable 0"]);
    }

    fn ready(&self) -> (u16, String) {
        get(self.served.address(), "/readyz").expect("it answers")
    }

    /// The host is not ready, and says this, as every command does.
    fn refuses(&self, said: &str) {
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
fn a_sequence_that_hands_out_blocks_is_refused_and_nothing_is_lost() {
    let stage = Stage::new();
    stage.sql("ALTER SEQUENCE events_global_position_seq CACHE 20");
    // Each psql is a session with a block of its own, so that positions are missing.
    for _ in 0..3 {
        stage.sql(INSERT);
    }
    stage.refuses("run `ALTER SEQUENCE events_global_position_seq CACHE 1`");
    // The first of them leaves no gap: nothing is missed if the host has seen it before it looked at the sequence again.
    let horizon = stage.served.series("kennel_horizon_position");
    let before_a_gap = ["kennel_horizon_position 1", "kennel_horizon_position 2"];
    assert!(before_a_gap.iter().any(|known| horizon == [*known]), "{horizon:?}");
    stage.sql("ALTER SEQUENCE events_global_position_seq CACHE 1");
    stage.sql(INSERT);
    stage.handles(5);
}

#[test]
fn a_log_that_logical_replication_writes_is_refused() {
    let stage = Stage::new();
    let source = stage.cluster.create_database();
    let source = source.rsplit('/').next().expect("a database");
    let port =
        stage.cluster.url("x").rsplit(':').next().and_then(|rest| rest.split('/').next().map(str::to_owned));
    let port = port.expect("a port");
    let elsewhere = Kennel::on(&stage.cluster.url(source));
    elsewhere.ok(&["migrate"]);
    stage.cluster.sql(source, "CREATE PUBLICATION log FOR TABLE events");
    stage.cluster.sql(source, "SELECT pg_create_logical_replication_slot('log', 'pgoutput')");
    stage.sql(&format!(
        "CREATE SUBSCRIPTION log CONNECTION 'host=127.0.0.1 port={port} user=kennel dbname={source}' PUBLICATION log \
         WITH (create_slot = false, slot_name = 'log')"
    ));
    stage.refuses("the subscription log writes to events: logical replication brings events in the order");
    // It does write, and nobody goes past what it writes.
    stage.cluster.sql(source, "SELECT setval('events_global_position_seq', 10)");
    stage.cluster.sql(source, INSERT);
    wait_until("the event arrives", SOON, || stage.sql("SELECT count(*) FROM events") == "2");
    assert_eq!(stage.served.series("kennel_horizon_position"), ["kennel_horizon_position 1"]);
    stage.sql("DROP SUBSCRIPTION log");
    stage.handles(2);
}

#[test]
fn a_view_upon_the_log_is_refused() {
    let stage = Stage::new();
    // Writers go on writing to what was the log.
    stage.sql(
        "BEGIN; ALTER TABLE events RENAME TO behind; CREATE VIEW public.events AS SELECT * FROM behind; COMMIT",
    );
    stage.refuses("events is a view: who writes to the tables behind it is not to be seen");
    stage.sql("BEGIN; DROP VIEW public.events; ALTER TABLE behind RENAME TO events; COMMIT");
    stage.sql(INSERT);
    stage.handles(2);
}
