//! Writers that write to the log in ways of their own: none of their events is missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::position::Position;
use kennel_store::{Mode, Store};
use kennel_test_support::postgres::Cluster;
use sqlx::{PgConnection, Row as _};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::log::{follow, insert};
use super::{CLUSTER, open, sql, stranger};

/// A log in partitions, one for each bounded context, and a view upon it.
const PARTITIONED: &str = "
    CREATE TABLE events (
        global_position BIGSERIAL, bounded_context TEXT NOT NULL, aggregate_type TEXT NOT NULL, aggregate_id TEXT NOT NULL,
        aggregate_version BIGINT NOT NULL, event_id UUID NOT NULL, event_type TEXT NOT NULL, event_version INT NOT NULL DEFAULT 1,
        payload BYTEA NOT NULL, trace_id TEXT, correlation_id TEXT, causation_id TEXT, metadata JSONB,
        created_at TIMESTAMPTZ NOT NULL DEFAULT now(), PRIMARY KEY (global_position, bounded_context)
    ) PARTITION BY LIST (bounded_context);
    CREATE TABLE events_c PARTITION OF events FOR VALUES IN ('c');
    CREATE TABLE events_straight PARTITION OF events FOR VALUES IN ('straight');
    CREATE TABLE events_later (LIKE events INCLUDING ALL);
    CREATE VIEW written AS SELECT * FROM events";

const COLUMNS: &str =
    "bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload";

/// How a writer writes an event.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    /// As ORMs do: the number first, the event some time later.
    NumberFirst,
    /// The number is drawn in a savepoint that is rolled back, and used all the same.
    Savepoint,
    Partition,
    /// A partition that is attached while the log is followed.
    LaterPartition,
    View,
    Prepared,
}

const WAYS: [Way; 7] = [
    Way::Plain,
    Way::NumberFirst,
    Way::Savepoint,
    Way::Partition,
    Way::LaterPartition,
    Way::View,
    Way::Prepared,
];

/// What comes in between.
enum Pause {
    For(Duration),
    /// Until the test permits it, once for each pause.
    Until(Arc<Semaphore>),
}

impl Pause {
    async fn end(&self) {
        match self {
            Self::For(time) => sleep(*time).await,
            Self::Until(permits) => permits.acquire().await.unwrap().forget(),
        }
    }
}

async fn partitioned(cluster: &Cluster) -> (String, Store) {
    let url = cluster.create_database();
    sql(&mut stranger(&url).await, PARTITIONED).await;
    let store = open(&url, Mode::Migrate).await.unwrap();
    store.migrate().await.unwrap();
    (url, store)
}

/// Writes an event, with a pause wherever something may come in between, and commits or not.
async fn write(connection: &mut PgConnection, way: Way, id: Uuid, pause: &Pause, commits: bool) {
    sql(connection, "BEGIN").await;
    if let Way::Savepoint = way {
        sql(connection, "SAVEPOINT s; SELECT nextval('events_global_position_seq'); ROLLBACK TO SAVEPOINT s")
            .await;
    }
    if let Way::NumberFirst = way {
        sql(connection, "SELECT nextval('events_global_position_seq')").await;
    }
    let (table, context) = match way {
        Way::Plain | Way::NumberFirst | Way::Savepoint | Way::Prepared => ("events", "c"),
        Way::Partition => ("events_straight", "straight"),
        Way::LaterPartition => ("events_later", "later"),
        Way::View => ("written", "c"),
    };
    let values = format!("'{context}', 't', '{way:?}', 1, '{id}', 'e', '{{}}'");
    let insert = match way {
        Way::NumberFirst | Way::Savepoint => {
            pause.end().await;
            format!(
                "INSERT INTO {table} (global_position, {COLUMNS}) VALUES (currval('events_global_position_seq'), {values})"
            )
        }
        _ => format!("INSERT INTO {table} ({COLUMNS}) VALUES ({values})"),
    };
    sql(connection, &insert).await;
    pause.end().await;
    let end = if commits { "COMMIT" } else { "ROLLBACK" };
    if let Way::Prepared = way {
        sql(connection, &format!("PREPARE TRANSACTION '{id}'")).await;
        pause.end().await;
        sql(connection, &format!("{end} PREPARED '{id}'")).await;
    } else {
        sql(connection, end).await;
    }
}

/// Promise 1. Writers of every kind sleep between drawing, inserting and committing, some roll back, each stalls once;
/// a reader up to the high-water mark misses nothing. A reader that trusts positions runs beside it, so that it shows
/// that there was something to miss.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_event_is_missed_when_writers_commit_out_of_order() {
    let (url, store) = partitioned(&CLUSTER).await;
    // It is looked at before the last partition is there.
    assert_eq!(store.high_water_mark().await.unwrap().position, Position::START);
    sql(
        &mut stranger(&url).await,
        "ALTER TABLE events ATTACH PARTITION events_later FOR VALUES IN ('later')",
    )
    .await;
    let mut writers = Vec::new();
    for (writer, way) in WAYS.into_iter().enumerate() {
        let url = url.clone();
        writers.push(tokio::spawn(async move {
            let mut connection = stranger(&url).await;
            let mut committed = Vec::new();
            let mut random = writer as u64 + 1;
            for number in 1..=60_u128 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let stalls = number == 10 + 5 * writer as u128;
                let pause = if stalls { 200 } else { random >> 60 };
                let commits = stalls || !(random >> 40).is_multiple_of(7);
                let id = Uuid::from_u128(((writer as u128) << 64) + number);
                let pause = Pause::For(Duration::from_millis(pause));
                write(&mut connection, way, id, &pause, commits).await;
                if commits {
                    committed.push(id);
                }
            }
            committed
        }));
    }
    let mut trusting = stranger(&url).await;
    let (mut seen, mut reached) = (BTreeSet::new(), Position::START);
    let (mut trusted, mut last) = (BTreeSet::new(), 0_i64);
    let mut blamed = false;
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        reached = follow(&store, reached, &mut seen).await;
        blamed |= store
            .high_water_mark()
            .await
            .unwrap()
            .blockers
            .iter()
            .any(|blocker| blocker.application == "stranger");
        let rows =
            sqlx::query("SELECT global_position, event_id FROM events WHERE global_position > $1").bind(last);
        for row in rows.fetch_all(&mut trusting).await.unwrap() {
            last = last.max(row.get(0));
            trusted.insert(row.get::<Uuid, _>(1));
        }
        sleep(Duration::from_millis(2)).await;
    }
    reached = follow(&store, reached, &mut seen).await;
    let mut committed = BTreeSet::new();
    for writer in writers {
        committed.extend(writer.await.unwrap());
    }
    assert_eq!(seen.symmetric_difference(&committed).count(), 0, "of {} events", committed.len());
    assert!(trusted.len() < committed.len(), "nothing came out of order, so this test has shown nothing");
    assert!(blamed, "no writer was named");
    let end = store.high_water_mark().await.unwrap();
    assert_eq!((end.position, end.blockers.len()), (end.head, 0));
    assert_eq!(reached, end.position);
}

/// Each kind of writer by itself, open while a later event of another writer is there already.
#[tokio::test]
async fn each_kind_of_writer_is_waited_for() {
    for way in WAYS {
        let (url, store) = partitioned(&CLUSTER).await;
        let mut other = stranger(&url).await;
        assert_eq!(store.high_water_mark().await.unwrap().position, Position::START);
        if let Way::LaterPartition = way {
            sql(&mut other, "ALTER TABLE events ATTACH PARTITION events_later FOR VALUES IN ('later')").await;
        }
        let (id, permits) = (Uuid::from_u128(7), Arc::new(Semaphore::new(0)));
        let (url, opened) = (url.clone(), Arc::clone(&permits));
        let writer = tokio::spawn(async move {
            write(&mut stranger(&url).await, way, id, &Pause::Until(opened), true).await;
        });
        // It has drawn position 1 as soon as the sequence has moved.
        let drawn = "SELECT is_called FROM events_global_position_seq";
        while !sqlx::query(drawn).fetch_one(&mut other).await.unwrap().get::<bool, _>(0) {
            sleep(Duration::from_millis(1)).await;
        }
        insert(&mut other, 1, 1).await;
        let pauses = if matches!(way, Way::NumberFirst | Way::Savepoint | Way::Prepared) { 2 } else { 1 };
        for _ in 0..pauses {
            for _ in 0..3 {
                let high_water_mark = store.high_water_mark().await.unwrap();
                assert_eq!((high_water_mark.position.get(), high_water_mark.head.get()), (0, 2), "{way:?}");
                assert_eq!(high_water_mark.blockers.len(), 1, "{way:?}: {:?}", high_water_mark.blockers);
            }
            permits.add_permits(1);
        }
        writer.await.unwrap();
        let mut seen = BTreeSet::new();
        follow(&store, Position::START, &mut seen).await;
        assert_eq!(seen.len(), 2, "{way:?}: an event was missed");
    }
}

/// It is named, and it is waited for also when the server was started anew, which gives it another id.
#[tokio::test]
async fn a_prepared_transaction_is_waited_for_through_a_restart_of_the_server() {
    let mut cluster = Cluster::start_with(&[("max_prepared_transactions", "5")]);
    let (url, store) = partitioned(&cluster).await;
    let mut other = stranger(&url).await;
    sql(&mut other, "BEGIN").await;
    insert(&mut other, 1, 1).await;
    sql(&mut other, "PREPARE TRANSACTION 'it''s later'").await;
    insert(&mut other, 2, 1).await;
    let high_water_mark = store.high_water_mark().await.unwrap();
    assert_eq!(
        (high_water_mark.position.get(), high_water_mark.head.get(), high_water_mark.blockers.len()),
        (0, 2, 1)
    );
    let blocker = &high_water_mark.blockers[0];
    assert_eq!((blocker.pid, blocker.application.as_str()), (None, "a prepared transaction"));
    assert_eq!(blocker.prepared.as_deref(), Some("it's later"));
    assert!(blocker.open_seconds.is_some());
    let advice =
        "`COMMIT PREPARED 'it''s later'` or `ROLLBACK PREPARED 'it''s later'`, in this database, ends it";
    assert_eq!(blocker.advice, advice);
    cluster.restart();
    let began = Instant::now();
    let mut looks = 0;
    while looks < 3 {
        match store.high_water_mark().await {
            Ok(high_water_mark) => {
                looks += 1;
                assert_eq!((high_water_mark.position.get(), high_water_mark.blockers.len()), (0, 1));
                assert_eq!(high_water_mark.blockers[0].prepared.as_deref(), Some("it's later"));
            }
            Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error:?}"),
        }
    }
    let mut other = stranger(&url).await;
    sql(&mut other, "COMMIT PREPARED 'it''s later'").await;
    assert_eq!(store.high_water_mark().await.unwrap().position.get(), 2);
}

/// The age of other roles' transactions is hidden: it is shown as unknown, with the grant that shows it.
#[tokio::test]
async fn a_hidden_age_is_unknown_and_not_zero() {
    let (url, store) = super::store().await;
    store.close().await;
    let (database, role) = (url.rsplit('/').next().unwrap(), "\"no-statistics\"");
    let mut admin = stranger(&url).await;
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA kennel TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA kennel, public TO {role}"
    );
    sql(&mut admin, &grants).await;
    let theirs = CLUSTER.url(database).replace("kennel@", "no-statistics@");
    let store = open(&theirs, Mode::ReadWrite).await.unwrap();
    let mut tx = stranger(&url).await;
    sql(&mut tx, "BEGIN").await;
    insert(&mut tx, 1, 1).await;
    insert(&mut admin, 2, 1).await;
    let high_water_mark = store.high_water_mark().await.unwrap();
    let blocker = &high_water_mark.blockers[0];
    assert_eq!((blocker.application.as_str(), blocker.open_seconds), ("stranger", None));
    assert!(blocker.advice.starts_with("`GRANT pg_read_all_stats TO \"no-statistics\"` shows since when;"));
    sql(&mut admin, &format!("GRANT pg_read_all_stats TO {role}")).await;
    let high_water_mark = store.high_water_mark().await.unwrap();
    assert!(high_water_mark.blockers[0].open_seconds.is_some(), "{:?}", high_water_mark.blockers);
    sql(&mut tx, "ROLLBACK").await;
    store.close().await;
    sql(&mut admin, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
