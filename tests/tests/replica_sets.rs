//! Several replica sets on one log: each has its own projections, processes and generations, and what
//! happens in one does not touch the other.

use std::collections::BTreeSet;
use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, exactly_once};
use kennel_tests::metrics::Served;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
const EVENTS: u64 = 4_000;

/// What `kennel status` reports of one replica set.
fn replica_set(kennel: &Kennel, name: &str) -> Value {
    let status = kennel.json(&["status", "--json"]);
    let sets = status["replica_sets"].as_array().expect("a list of replica sets").clone();
    sets.into_iter().find(|set| set["replica_set"] == name).expect("a replica set")
}

/// `kennel workers` prints the same rows.
fn check_workers(kennel: &Kennel, name: &str) {
    let reported = replica_set(kennel, name);
    let workers = kennel.json(&["workers", "--replica-set", name, "--json"]);
    // What changes from look to look.
    let settled = |set: &Value| {
        let mut set = set.clone();
        for worker in set["workers"].as_array_mut().into_iter().flatten() {
            worker["heartbeat_age_seconds"].take();
            worker["state"].take();
        }
        set
    };
    assert_eq!(settled(&reported), settled(&workers));
}

fn generations(kennel: &Kennel, name: &str) -> Vec<(u64, u64)> {
    let history = kennel.json(&["generations", "--replica-set", name, "--json"]);
    let number = |record: &Value, field: &str| record[field].as_u64().expect("a number");
    let records = history.as_array().expect("a list of generations").iter();
    records.map(|record| (number(record, "generation"), number(record, "partitions"))).collect()
}

fn caught_up(kennel: &Kennel, projection: &str, head: u64) -> bool {
    kennel.status(projection)["position"] == head
}

/// The partitions of a projection: as many as workers, each with an owner of the replica set, and together
/// the whole hash space.
fn check_partitions(kennel: &Kennel, projection: &str, owners: &Value, expected: usize) {
    let reported = kennel.status(projection);
    let partitions = reported["partitions"].as_array().expect("a list of partitions");
    let ids: BTreeSet<&str> = owners["workers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|worker| worker["id"].as_str())
        .collect();
    assert_eq!((partitions.len(), ids.len()), (expected, expected), "{reported}");
    let mut edge = json!(0);
    let mut lowest = u64::MAX;
    for (number, partition) in partitions.iter().enumerate() {
        assert_eq!(partition["partition"], number);
        assert_eq!(partition["range"]["start"], edge);
        edge = partition["range"]["end"].clone();
        assert!(ids.contains(partition["worker"].as_str().expect("an owner")), "{partition} of {owners}");
        assert_eq!(partition["lag"], 0);
        lowest = lowest.min(partition["position"].as_u64().expect("a position"));
    }
    assert_eq!(edge, json!(1_u64 << 32));
    assert_eq!(reported["position"], lowest);
}

/// Where `kennel run` would run it, unless the command says otherwise; an existing projection stays where it is.
fn new_projections_go_where_they_are_run(kennel: &Kennel, url: &str, component: &str) {
    let beside = Kennel::on(url).with("KENNEL_REPLICA_SET", "spare");
    beside.write("kennel.toml", "[run]\nreplica_set = \"other\"\n");
    beside.ok(&["deploy", "extra", component]);
    beside.ok(&["deploy", "audit-log", component]);
    assert_eq!(
        (&kennel.status("extra")["replica_set"], &kennel.status("audit-log")["replica_set"]),
        (&json!("spare"), &json!("main"))
    );
    kennel.ok(&["retire", "extra", "--drop-read-model"]);
}

#[test]
fn replica_sets_on_one_log_leave_each_other_alone() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let database = url.rsplit('/').next().expect("a database");
    let kennel = Kennel::on(&url);
    kennel.ok(&["migrate"]);
    let component = guest("audit-log");
    let component = component.to_str().expect("a UTF-8 path");
    kennel.ok(&["deploy", "audit-log", component]);
    kennel.ok(&["deploy", "yearly-report", component, "--replica-set", "reports"]);
    new_projections_go_where_they_are_run(&kennel, &url, component);
    kennel.write("events.jsonl", events::log(EVENTS, 300));
    kennel.ok(&["append", "--from", "events.jsonl"]);

    let main = Served::start(&kennel, &["--workers", "1"]);
    wait_until("main has caught up", SOON, || caught_up(&kennel, "audit-log", EVENTS));
    let reports = kennel.status("yearly-report");
    assert_eq!((&reports["position"], &reports["partitions"]), (&json!(0), &json!([])), "no worker runs it");
    assert_eq!(replica_set(&kennel, "reports")["generation"], 0);
    let before = generations(&kennel, "main");
    assert_eq!(before, [(1, 1)]);

    let reports = Served::start(&kennel, &["--workers", "2", "--replica-set", "reports"]);
    wait_until("reports has caught up", SOON, || {
        caught_up(&kennel, "yearly-report", EVENTS) && replica_set(&kennel, "reports")["partitions"] == 2
    });
    wait_until("both partitions have been claimed", SOON, || {
        kennel.status("yearly-report")["partitions"].as_array().is_some_and(|all| all.len() == 2)
    });
    assert_eq!(generations(&kennel, "main"), before, "the workers of reports are no business of main");
    check_partitions(&kennel, "audit-log", &replica_set(&kennel, "main"), 1);
    check_partitions(&kennel, "yearly-report", &replica_set(&kennel, "reports"), 2);
    check_workers(&kennel, "main");
    check_workers(&kennel, "reports");
    let text = kennel.ok(&["status"]);
    for expected in [
        "replica set main: generation 1, 1 partition\n",
        " yearly-report  1          80000000-ffffffff  4000",
    ] {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }

    // A second process joins main and leaves again: nothing changes for reports.
    let of_reports = generations(&kennel, "reports");
    let joining = kennel.start(&["run", "--listen", "127.0.0.1:0", "--workers", "1"]);
    wait_until("it has joined", SOON, || replica_set(&kennel, "main")["partitions"] == 2);
    kennel.write("more.jsonl", events::orders(100));
    kennel.ok(&["append", "--from", "more.jsonl"]);
    joining.signal("TERM");
    assert_eq!(joining.wait(SOON), Some(0));
    wait_until("it has left", SOON, || replica_set(&kennel, "main")["partitions"] == 1);
    assert_eq!(generations(&kennel, "main"), [(3, 1), (2, 2), (1, 1)]);
    assert_eq!(generations(&kennel, "reports"), of_reports);

    let counted = |sql: &str| cluster.sql(database, sql).parse::<usize>().expect("a number");
    let aggregates = counted("SELECT count(DISTINCT (aggregate_type, aggregate_id)) FROM events");
    let expected = ExactlyOnce { events: 4_600, aggregates, not_once: 0, out_of_order: 0 };
    for projection in ["audit-log", "yearly-report"] {
        wait_until("everything is handled", SOON, || caught_up(&kennel, projection, EVENTS + 600));
        assert_eq!(exactly_once(&kennel, projection), expected, "{projection}");
    }
    // Each process has handled the projections of its own replica set only.
    for (process, replica_set, projection) in
        [(&main, "main", "audit-log"), (&reports, "reports", "yearly-report")]
    {
        let series = process.series("pupsourcing_orchestrator_events_processed_total");
        let labels = format!("{{projection=\"{projection}\",replica_set=\"{replica_set}\"}}");
        assert_eq!(series.len(), 1, "{series:?}");
        assert!(series[0].contains(&labels), "{series:?}");
    }
}
