//! `kennel bench` on both databases: it measures what it says, beside the store that it is given, and leaves
//! nothing behind.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use serde_json::Value;

/// Where the guests are.
fn guests() -> String {
    let guest = kennel_tests::components::guest("counter");
    guest.parent().and_then(|folder| folder.to_str()).expect("a UTF-8 path").to_owned()
}

fn measure(kennel: &Kennel) -> Value {
    let small =
        "bench --json --events 3000 --aggregates 100 --batch 500 --rounds 2 --appends 5 --kills 1 --guests";
    let guests = guests();
    let arguments: Vec<&str> = small.split(' ').chain([guests.as_str()]).collect();
    let figures = kennel.json(&arguments);
    assert_eq!((&figures["events"], &figures["batch"]), (&3000.into(), &500.into()));
    for who in ["kennel", "by_hand"] {
        let rounds = figures["catch_up"][who].as_array().expect("rounds");
        assert_eq!(rounds.len(), 2);
        assert!(rounds.iter().all(|round| round["events_per_second"].as_f64() > Some(0.0)), "{figures:#}");
    }
    assert!(figures["catch_up"]["ratio"].as_f64() > Some(0.0));
    let latency = |what: &str| figures["latency"][what]["p50"].as_f64().expect("a median");
    assert!(latency("append_to_visible_milliseconds") >= latency("append_milliseconds"), "{figures:#}");
    figures
}

#[test]
fn on_postgres_it_measures_in_a_database_of_its_own() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let figures = measure(&Kennel::on(&url));
    assert!(figures["failover_milliseconds"]["max"].as_f64() > Some(0.0));
    let database = url.rsplit('/').next().expect("a database");
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                  WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    assert_eq!(cluster.sql(database, tables), "0");
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'kennel_bench%'";
    assert_eq!(cluster.sql("postgres", left), "0");
}

#[test]
fn a_missing_right_to_create_databases_is_reported() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    cluster.sql("postgres", "CREATE ROLE guest LOGIN");
    let printed =
        Kennel::on(&url.replace("kennel@", "guest@")).run(&["bench", "--guests", guests().as_str()]);
    assert_eq!(printed.code, Some(3), "{}", printed.stderr);
    assert!(printed.stderr.contains("allow it with `ALTER ROLE … CREATEDB`"), "{}", printed.stderr);
}

#[test]
fn on_sqlite_it_measures_in_a_file_beside_the_store() {
    let kennel = Kennel::default();
    let figures = measure(&kennel);
    assert_eq!(figures["failover_milliseconds"], Value::Null);
    let left: Vec<_> = std::fs::read_dir(kennel.folder()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn stopped_by_a_signal_it_leaves_nothing_behind() {
    let cluster = Cluster::start();
    let kennel = Kennel::on(&cluster.create_database());
    let running = kennel.start(&["bench", "--events", "5000000", "--guests", guests().as_str()]);
    let left =
        || cluster.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'kennel_bench%'");
    wait_until("it has begun", Duration::from_secs(30), || left() == "1");
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(30)), Some(143));
    assert_eq!(left(), "0");
}

#[test]
fn a_parameter_that_names_the_database_does_not_lead_it_there() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let (server, database) = url.rsplit_once('/').expect("a database");
    let kennel = Kennel::on(&format!("{server}?dbname={database}"));
    let figures = kennel.json(&[
        "bench",
        "--json",
        "--events",
        "100",
        "--rounds",
        "1",
        "--appends",
        "0",
        "--kills",
        "0",
        "--guests",
        guests().as_str(),
    ]);
    assert!(figures["catch_up"]["ratio"].as_f64() > Some(0.0), "{figures:#}");
    let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
                  WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    assert_eq!(cluster.sql(database, tables), "0");
}
