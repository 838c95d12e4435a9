//! Databases as they are found, and read models as people see them.

use kennel_core::change::Expectation;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome};
use kennel_store::{ConnectOptions, EventTables, Mode};
use kennel_test_support::conformance::{agree, batch, change, claim, commit, deploy, of, put, witnessed};
use kennel_test_support::samples::event;
use sqlx::Row as _;

use super::{CLUSTER, open, sql, store, stranger};

async fn open_error(url: &str, mode: Mode) -> String {
    open(url, mode).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_database_that_is_of_no_use_is_explained() {
    let url = CLUSTER.create_database();
    let database = url.rsplit('/').next().unwrap();
    let server = url.trim_end_matches(database);
    assert_eq!(
        open_error(&url, Mode::ReadWrite).await,
        format!("the store {url} has no Kennel tables, or old ones: run `kennel migrate --store …` once")
    );
    let missing = open_error(&format!("{server}nowhere"), Mode::Migrate).await;
    assert!(
        missing.ends_with(
            "database \"nowhere\" does not exist; create the database first, for example with `createdb`"
        ),
        "{missing}"
    );
    let unknown = open_error(&url.replace("kennel@", "unknown:secret@"), Mode::Migrate).await;
    assert!(unknown.contains("role \"unknown\" does not exist") && !unknown.contains("secret"), "{unknown}");
    let unreachable = open_error("postgres://kennel@127.0.0.1:1/x", Mode::Migrate).await;
    assert_eq!(
        unreachable,
        "the store postgres://kennel@127.0.0.1:1/x cannot be reached: check that it is running and that the URL is right"
    );
    CLUSTER.sql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    let latin = open_error(&CLUSTER.url("latin"), Mode::Migrate).await;
    assert!(latin.contains("its encoding is LATIN1"), "{latin}");
}

#[tokio::test]
async fn an_event_log_that_hides_events_is_rejected() {
    let (url, store) = store().await;
    store.close().await;
    let mut other = stranger(&url).await;
    sql(&mut other, "ALTER SEQUENCE events_global_position_seq CACHE 20").await;
    let rejected = open_error(&url, Mode::Existing).await;
    assert!(rejected.contains("ALTER SEQUENCE events_global_position_seq CACHE 1"), "{rejected}");
    sql(
        &mut other,
        "ALTER SEQUENCE events_global_position_seq CACHE 1; ALTER TABLE events RENAME COLUMN payload TO body",
    )
    .await;
    let rejected = open_error(&url, Mode::Existing).await;
    assert!(rejected.ends_with("its table public.events is no event log: it lacks payload"), "{rejected}");
    sql(&mut other, "DROP TABLE events").await;
    let rejected = open_error(&url, Mode::Existing).await;
    assert!(rejected.contains("it has no table events:"), "{rejected}");
}

/// A log that another program made, under another name, is read as it is and not altered.
#[tokio::test]
async fn the_log_of_another_program_is_read_as_it_is() {
    let url = CLUSTER.create_database();
    let mut other = stranger(&url).await;
    let create = "CREATE SCHEMA sales; CREATE TABLE sales.log (global_position BIGSERIAL PRIMARY KEY, bounded_context TEXT NOT NULL, \
                  aggregate_type TEXT NOT NULL, aggregate_id UUID NOT NULL, aggregate_version BIGINT NOT NULL, event_id UUID NOT NULL UNIQUE, \
                  event_type TEXT NOT NULL, event_version INT NOT NULL DEFAULT 1, payload BYTEA NOT NULL, trace_id UUID, correlation_id UUID, \
                  causation_id UUID, metadata JSONB, created_at TIMESTAMPTZ NOT NULL DEFAULT now(), extra TEXT); \
                  INSERT INTO sales.log (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload, trace_id) \
                  VALUES ('c', 't', '00000000-0000-0000-0000-00000000000a', 1, '00000000-0000-0000-0000-00000000000b', 'e', '\\x00ff', \
                  '00000000-0000-0000-0000-00000000000c')";
    sql(&mut other, create).await;
    let columns = "SELECT count(*), md5(string_agg(column_name || data_type, ',' ORDER BY ordinal_position)) \
                   FROM information_schema.columns WHERE table_schema = 'sales' AND table_name = 'log'";
    let before = sqlx::query(columns).fetch_one(&mut other).await.unwrap();
    let tables =
        EventTables { events: "sales.log".parse().unwrap(), aggregate_heads: "sales.heads".parse().unwrap() };
    let options = ConnectOptions { mode: Mode::Migrate, tables, ..ConnectOptions::default() };
    let store = kennel_store::connect(&url.parse().unwrap(), &options).await.unwrap();
    store.migrate().await.unwrap();
    let high_water_mark = store.high_water_mark().await.unwrap();
    let scope = kennel_core::projection::Scope::default();
    for ranges in [vec![HashRange::ALL], vec![HashRange::of_partition(0, 2), HashRange::of_partition(1, 2)]] {
        let query = kennel_core::port::ReadQuery {
            after: Default::default(),
            upto: high_water_mark.position,
            scope: &scope,
            ranges: &ranges,
            limit: 10,
        };
        let page = store.read(query).await.unwrap();
        assert_eq!(page.events[0].aggregate_id, "00000000-0000-0000-0000-00000000000a");
        assert_eq!(page.events[0].payload.as_bytes(), [0, 0xff]);
        assert_eq!(page.events[0].trace_id.as_deref(), Some("00000000-0000-0000-0000-00000000000c"));
    }
    let after = sqlx::query(columns).fetch_one(&mut other).await.unwrap();
    assert_eq!(
        (before.get::<i64, _>(0), before.get::<String, _>(1)),
        (after.get::<i64, _>(0), after.get::<String, _>(1))
    );
    let triggers = sqlx::query("SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.log'::regclass")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(triggers.get::<i64, _>(0), 0);
}

#[tokio::test]
async fn read_models_are_tables_that_people_can_query() {
    let (url, store) = store().await;
    let mut other = stranger(&url).await;
    sql(&mut other, "CREATE SCHEMA audit_log; CREATE TABLE audit_log.orders (mine INT)").await;
    let mut generation = Generation::NONE;
    for (name, schema) in [("order-summary", "order_summary"), ("audit-log", "audit_log_")] {
        let id = deploy(&*store, name).await.read_model;
        generation = agree(&*store, generation, 1).await;
        claim(&*store, generation, id, HashRange::ALL).await;
        let changes = of("orders", vec![change("o-1", put("{\"total\": 12.50}"), Expectation::Unread, 1)]);
        commit(&*store, &Commit { changes, ..batch(id, generation, 0, 1) }).await;
        let found = "SELECT table_schema::text FROM information_schema.tables WHERE table_name = 'orders' AND table_schema LIKE $1";
        let row = sqlx::query(found).bind(format!("{schema}%")).fetch_all(&mut other).await.unwrap();
        let namespace: String = row.last().unwrap().get(0);
        assert!(namespace.starts_with(schema), "{namespace}");
        let query = format!("SELECT document ->> 'total' FROM \"{namespace}\".orders WHERE key = 'o-1'");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_one(&mut other).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "12.50");
    }
    let mine = sqlx::query("SELECT count(*) FROM audit_log.orders").fetch_one(&mut other).await.unwrap();
    assert_eq!(mine.get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_document_that_jsonb_cannot_hold_is_rejected_by_name() {
    let (_, store) = store().await;
    let id = deploy(&*store, "p").await.read_model;
    let generation = agree(&*store, Generation::NONE, 1).await;
    claim(&*store, generation, id, HashRange::ALL).await;
    store.append(&[event(1, "a")]).await.unwrap();
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    for (document, expected) in [
        ("{\"a\":\"x\\u0000y\"}", "document bad of collection c"),
        ("1e400000", "document bad of collection c"),
        (deep.as_str(), "document bad of collection c"),
    ] {
        for sole_owner in [true, false] {
            let changes = vec![
                change("a", put("{}"), Expectation::Absent, 1),
                change("bad", put(document), Expectation::Absent, 1),
            ];
            let batch = Commit { changes: of("c", changes), sole_owner, ..batch(id, generation, 0, 1) };
            let outcome = store.commit(&witnessed(&*store, batch).await).await.unwrap();
            let CommitOutcome::Invalid { reason } = outcome else { panic!("{outcome:?}") };
            assert!(reason.contains(expected), "{reason}");
        }
    }
    assert!(store.collections(id).await.unwrap().is_empty(), "nothing was written");
}
