//! An event log that other programs made and write: read under the name that it has, and never altered.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, exactly_once};
use serde_json::Value;

/// The tables as pupsourcing makes them, with a column and an index that are the owner's own.
const TABLES: &str = "
    CREATE SCHEMA sales;
    CREATE TABLE sales.event_log (
        global_position BIGSERIAL PRIMARY KEY,
        bounded_context TEXT NOT NULL,
        aggregate_type TEXT NOT NULL,
        aggregate_id TEXT NOT NULL,
        aggregate_version BIGINT NOT NULL,
        event_id UUID NOT NULL UNIQUE,
        event_type TEXT NOT NULL,
        event_version INT NOT NULL DEFAULT 1,
        payload BYTEA NOT NULL,
        trace_id TEXT,
        correlation_id TEXT,
        causation_id TEXT,
        metadata JSONB,
        created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        tenant TEXT DEFAULT 'north',
        UNIQUE (bounded_context, aggregate_type, aggregate_id, aggregate_version)
    );
    CREATE INDEX idx_event_type ON sales.event_log (event_type, global_position);
    CREATE TABLE sales.event_heads (
        bounded_context TEXT NOT NULL,
        aggregate_type TEXT NOT NULL,
        aggregate_id TEXT NOT NULL,
        aggregate_version BIGINT NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
        PRIMARY KEY (bounded_context, aggregate_type, aggregate_id)
    )";

/// Everything that could be altered about the two tables: columns, indexes, constraints, triggers, rights,
/// storage, and the location and the writer of every row.
const SHAPE: &str = "
    SELECT c.relname, c.relfilenode, c.relacl, c.reloptions, c.relhastriggers, c.relreplident,
        (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull, ',' ORDER BY a.attnum)
         FROM pg_attribute a WHERE a.attrelid = c.oid),
        (SELECT string_agg(pg_get_expr(d.adbin, d.adrelid), ',' ORDER BY d.adnum) FROM pg_attrdef d WHERE d.adrelid = c.oid),
        (SELECT string_agg(pg_get_indexdef(i.indexrelid), ',' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid),
        (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.oid) FROM pg_constraint k WHERE k.conrelid = c.oid),
        (SELECT string_agg(pg_get_triggerdef(t.oid), ',' ORDER BY t.oid) FROM pg_trigger t WHERE t.tgrelid = c.oid)
    FROM pg_class c WHERE c.relnamespace = 'sales'::regnamespace ORDER BY c.relname;
    SELECT md5(string_agg(concat(e.ctid, e.xmin, e.*), ',' ORDER BY e.global_position)) FROM sales.event_log e;
    SELECT md5(string_agg(concat(h.ctid, h.xmin, h.*), ',' ORDER BY h.aggregate_id)) FROM sales.event_heads h;
    SELECT * FROM sales.event_log_global_position_seq";

/// Writes `count` events as pupsourcing does: the head of the aggregate moves in the same transaction.
fn write(cluster: &Cluster, database: &str, aggregate: &str, from: u64, count: u64) {
    let to = from + count - 1;
    cluster.sql(
        database,
        &format!(
            "BEGIN;
             INSERT INTO sales.event_log (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id,
                 event_type, payload)
             SELECT 'Sales', 'Order', '{aggregate}', n, gen_random_uuid(), 'Happened', '{{\"n\":1}}'
             FROM generate_series({from}, {to}) n;
             INSERT INTO sales.event_heads VALUES ('Sales', 'Order', '{aggregate}', {to})
             ON CONFLICT (bounded_context, aggregate_type, aggregate_id) DO UPDATE SET aggregate_version = {to};
             COMMIT"
        ),
    );
}

#[test]
fn a_log_of_another_name_is_read_and_projected_and_stays_as_it_is() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let database = url.rsplit('/').next().expect("a database");
    cluster.sql(database, TABLES);
    for aggregate in ["a", "b", "c"] {
        write(&cluster, database, aggregate, 1, 40);
    }
    let before = cluster.sql(database, SHAPE);

    let kennel = Kennel::on(&url);
    kennel
        .write("kennel.toml", "[events]\ntable = \"sales.event_log\"\nheads_table = \"sales.event_heads\"\n");
    kennel.ok(&["migrate"]);
    kennel.ok(&["deploy", "audit-log", guest("audit-log").to_str().expect("a UTF-8 path")]);
    kennel.ok(&["run", "--until-caught-up"]);
    let expected = ExactlyOnce { events: 120, aggregates: 3, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&kennel, "audit-log"), expected);
    assert_eq!(cluster.sql(database, SHAPE), before, "the log has been altered");
    let made = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'kennel') \
                AND tablename IN ('events', 'aggregate_heads')";
    assert_eq!(cluster.sql(database, made), "0", "tables of the usual names were made beside the log");

    // Events that are written while a process runs are found as well.
    let running = kennel.start(&["run", "--listen", "127.0.0.1:0"]);
    write(&cluster, database, "b", 41, 10);
    wait_until("it is handled", Duration::from_secs(20), || kennel.status("audit-log")["position"] == 130);
    running.signal("TERM");
    assert_eq!(running.wait(Duration::from_secs(20)), Some(0));

    // Kennel's own appends go to the same tables and number on.
    let line = events::line(1, "Sales", ("Order", "b"), "Happened", &serde_json::json!({}));
    kennel.write("more.jsonl", line);
    kennel.ok(&["append", "--from", "more.jsonl"]);
    let last = "SELECT max(aggregate_version) FROM sales.event_log WHERE aggregate_id = 'b'";
    assert_eq!(cluster.sql(database, last), "51");
    let head = "SELECT aggregate_version FROM sales.event_heads WHERE aggregate_id = 'b'";
    assert_eq!(cluster.sql(database, head), "51");
}

#[test]
fn a_log_that_is_not_where_it_is_looked_for_is_named() {
    let cluster = Cluster::start();
    let url = cluster.create_database();
    let kennel = Kennel::on(&url);
    let rejected = |arguments: &[&str], expected: &str| {
        let printed = kennel.run(arguments);
        let said = printed.stderr.replace(&url, "[url]");
        assert_eq!((printed.code, said.trim_end()), (Some(3), expected), "{arguments:?}");
    };
    rejected(
        &["migrate", "--events-table", "sales.event_log"],
        "error: the store [url] is of no use to Kennel: schema \"sales\" does not exist; create the schema first, or name \
         the right table in `[events]` of kennel.toml",
    );
    kennel.ok(&["migrate"]);
    rejected(
        &["status", "--events-table", "event_log"],
        "error: the store [url] is of no use to Kennel: it has no table event_log: run `kennel migrate`, or name the \
         right table",
    );
}

#[test]
fn a_sqlite_log_of_another_name_is_a_log_of_its_own() {
    let kennel = Kennel::default();
    kennel.write("events.jsonl", events::log(300, 20));
    kennel.write("kennel.toml", "[events]\ntable = \"ledger\"\nheads_table = \"ledger-heads\"\n");
    kennel.ok(&["append", "--from", "events.jsonl"]);
    kennel.ok(&["deploy", "audit-log", guest("audit-log").to_str().expect("a UTF-8 path")]);
    kennel.ok(&["run", "--until-caught-up"]);
    let expected = ExactlyOnce { events: 300, aggregates: 20, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&kennel, "audit-log"), expected);
    let head = |name: &str| {
        let mut command = kennel.command(&["status", "--json"]);
        let output = command.env("KENNEL_EVENTS_TABLE", name).output().expect("kennel starts");
        let status: Value = serde_json::from_slice(&output.stdout).expect("kennel prints JSON");
        status["head"].as_u64()
    };
    assert_eq!((head("ledger"), head("events")), (Some(300), Some(0)));
}
