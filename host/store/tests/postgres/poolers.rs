//! PgBouncer between Kennel and the server. The one that is installed is used, or the one that `KENNEL_TEST_PGBOUNCER`
//! names; what needs 1.21 is shown with that or a later one.

use kennel_core::change::Expectation;
use kennel_core::membership::{Generation, WorkerState};
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, NewWorker};
use kennel_store::{ConnectError, ConnectOptions, Mode, Store};
use kennel_test_support::conformance::{
    STALE_AFTER, agree, batch, change, claim, commit, deploy, keys, of, put, replica_set, worker,
};
use kennel_test_support::postgres::{Pooler, pgbouncer};
use kennel_test_support::samples::event;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};

use super::{CLUSTER, open, store, stranger};

/// Since this release prepared statements are kept.
const KEEPS_STATEMENTS: u32 = 21;
/// Sessions of the server for each database.
const SESSIONS: usize = 3;

async fn behind(settings: &[(&str, &str)]) -> (String, Pooler, String) {
    let (direct, store) = store().await;
    store.close().await;
    // Sessions of their own need as many as there are connections.
    let shared = settings.iter().all(|(_, value)| *value != "session");
    let sessions = [("default_pool_size", if shared { "3" } else { "10" })];
    let pooler = CLUSTER.pooler(&pgbouncer().0, &[&sessions, settings].concat());
    let url = pooler.url(direct.rsplit('/').next().unwrap());
    (url, pooler, direct)
}

async fn open_host(url: &str) -> Result<Store, ConnectError> {
    let options = ConnectOptions { runs_projections: true, ..ConnectOptions::default() };
    kennel_store::connect(&url.parse().unwrap(), &options).await
}

async fn join(store: &Store) {
    let new = NewWorker { id: worker(1), replica_set: replica_set(), host: "h".to_owned(), pid: 1 };
    store.join(&new).await.unwrap();
    assert_eq!(store.heartbeat(&[worker(1)], WorkerState::Processing).await.unwrap(), [worker(1)]);
    assert!(store.view(&replica_set(), STALE_AFTER).await.unwrap().members[0].alive);
}

#[tokio::test]
async fn a_pooler_that_keeps_no_statements_is_rejected_with_a_message() {
    let keeps = pgbouncer().1 >= KEEPS_STATEMENTS;
    let settings: &[(&str, &str)] = if keeps { &[("max_prepared_statements", "0")] } else { &[] };
    let (url, _pooler, _) = behind(&[&[("pool_mode", "transaction")], settings].concat()).await;
    // The second meets what the first has left behind on the sessions.
    for _ in 0..2 {
        for mode in [Mode::Existing, Mode::Migrate] {
            let rejected = open(&url, mode).await.unwrap_err();
            let reported = rejected.to_string();
            assert!(matches!(rejected, ConnectError::Unfit { .. }), "{rejected:?}");
            assert!(
                reported.contains("does not keep prepared statements: use PgBouncer 1.21 or later"),
                "{reported}"
            );
        }
    }
}

#[tokio::test]
async fn a_pooler_of_sessions_is_like_the_server() {
    let (url, _pooler, _) = behind(&[("pool_mode", "session")]).await;
    let store = open(&url, Mode::ReadWrite).await.unwrap();
    join(&store).await;
    let mut other = through(&url).await;
    let row = sqlx::raw_sql("SELECT count(*)::text FROM kennel.worker WHERE lock_key IS NOT NULL");
    let row = other.fetch_one(row).await.unwrap();
    assert_eq!(row.get::<String, _>(0), "1", "its connection shows that it is alive");
    other.close().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_pooler_of_statements_is_rejected_with_a_message() {
    if pgbouncer().1 < KEEPS_STATEMENTS {
        return;
    }
    let (url, _pooler, _) = behind(&[("pool_mode", "statement"), ("max_prepared_statements", "100")]).await;
    let reported = open(&url, Mode::Existing).await.unwrap_err().to_string();
    assert!(reported.contains("a pooler that pools statements, and Kennel needs transactions"), "{reported}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_of_transactions_everything_works_and_nothing_is_left_on_its_sessions() {
    if pgbouncer().1 < KEEPS_STATEMENTS {
        return;
    }
    let settings = [("pool_mode", "transaction"), ("max_prepared_statements", "100")];
    let (url, _pooler, direct) = behind(&settings).await;
    // Migrating again changes nothing, and leaves no lock behind.
    let migrating = open(&url, Mode::Migrate).await.unwrap();
    migrating.migrate().await.unwrap();
    migrating.close().await;
    let stores = [open_host(&url).await.unwrap(), open_host(&url).await.unwrap()];
    join(&stores[0]).await;
    let id = deploy(&*stores[0], "p").await.read_model;
    let generation = agree(&*stores[0], Generation::NONE, 2).await;
    let halves = [HashRange::of_partition(0, 2), HashRange::of_partition(1, 2)];
    let work = |index: usize| {
        let store = stores[index].clone();
        tokio::spawn(async move {
            claim(&*store, generation, id, halves[index]).await;
            for at in 1..=20 {
                store.append(&[event(at.into(), &format!("{index}")[..])]).await.ok();
                store.high_water_mark().await.unwrap();
                let key = format!("{index}-{at:02}");
                let changes =
                    of("c", vec![change(&key, put("{}"), Expectation::Unread, at * 2 + index as u64)]);
                let ranges = vec![halves[index]];
                let step = batch(id, generation, at - 1, at);
                commit(&*store, &Commit { ranges, changes, sole_owner: false, ..step }).await;
                assert!(store.scan(id, "c", None, &key, 1).await.unwrap().len() == 1);
            }
        })
    };
    for task in [work(0), work(1)] {
        task.await.unwrap();
    }
    assert_eq!(keys(&*stores[1], id, "c").await.len(), 40);
    let mut server = stranger(&direct).await;
    let row =
        sqlx::query("SELECT count(*) FROM kennel.worker WHERE lock_key IS NULL").fetch_one(&mut server).await;
    assert_eq!(row.unwrap().get::<i64, _>(0), 1, "its heartbeats show that it is alive");
    for store in stores {
        store.close().await;
    }
    assert_eq!(left_behind(&url).await, Vec::<String>::new());
}

/// Another program behind the pooler, which rejects parameters that it does not know.
async fn through(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().unwrap();
    PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap()
}

/// Settings, locks and listeners left on the sessions of the server, as their next user finds it.
async fn left_behind(url: &str) -> Vec<String> {
    // Those that the pooler itself keeps track of are its own business.
    let ask = "SELECT 'set ' || name FROM pg_settings WHERE source = 'session' AND name NOT IN
            ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', 'IntervalStyle')
        UNION ALL SELECT 'listens to ' || pg_listening_channels()
        UNION ALL SELECT 'holds a lock' FROM pg_locks WHERE locktype = 'advisory'
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let mut found = Vec::new();
    let mut connections = Vec::new();
    // At the same time, so that each has another session.
    for _ in 0..SESSIONS {
        let mut connection = through(url).await;
        connection.execute(sqlx::raw_sql("BEGIN")).await.unwrap();
        for row in connection.fetch_all(sqlx::raw_sql(ask)).await.unwrap() {
            found.push(row.get(0));
        }
        connections.push(connection);
    }
    found
}
