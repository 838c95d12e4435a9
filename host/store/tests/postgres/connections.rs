//! Few connections: a process settles for those that it is given, shares them fairly, and says when there are too few.

use std::time::{Duration, Instant};

use kennel_core::change::Expectation;
use kennel_core::membership::{Generation, WorkerState};
use kennel_core::partition::HashRange;
use kennel_core::port::Wanted;
use kennel_core::port::{Commit, CommitOutcome, NewWorker};
use kennel_store::{ConnectError, ConnectOptions, Store};
use kennel_test_support::conformance::{
    STALE_AFTER, agree, batch, change, claim, commit, deploy, of, put, replica_set, worker,
};
use kennel_test_support::samples::event;

use super::{CLUSTER, sql, store, stranger};

/// No task may hang for longer.
const HANG_MAX: Duration = Duration::from_secs(2);

/// A migrated database that a role may use with so many connections at a time.
async fn limited(role: &str, connections: u32) -> String {
    let (url, store) = store().await;
    store.close().await;
    let database = url.rsplit('/').next().unwrap();
    CLUSTER.sql(
        database,
        &format!(
            "CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}; ALTER DATABASE {database} OWNER TO {role};
             ALTER ROLE {role} SET search_path = kennel, public;
             GRANT ALL ON SCHEMA kennel, public TO {role};
             GRANT ALL ON ALL TABLES IN SCHEMA kennel, public TO {role};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA kennel, public TO {role}"
        ),
    );
    url.replace("kennel@", &format!("{role}@"))
}

async fn open_with(url: &str, connections_max: u32, runs_projections: bool) -> Result<Store, ConnectError> {
    let options = ConnectOptions { connections_max, runs_projections, ..ConnectOptions::default() };
    kennel_store::connect(&url.parse().unwrap(), &options).await
}

#[expect(clippy::disallowed_methods, reason = "a real server answers in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Has many ask at once and again, and returns how long the one took that took longest.
async fn longest(store: &Store, tasks: usize, rounds: usize) -> Duration {
    let ask = |_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut longest = Duration::ZERO;
            for _ in 0..rounds {
                let began = now();
                store.progress().await.unwrap();
                store.high_water_mark().await.unwrap();
                longest = longest.max(began.elapsed());
            }
            longest
        })
    };
    let mut longest = Duration::ZERO;
    for task in (0..tasks).map(ask).collect::<Vec<_>>() {
        longest = longest.max(task.await.unwrap());
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_waits_for_a_denial_while_a_connection_is_there() {
    let url = limited("five", 5).await;
    let store = open_with(&url, 12, false).await.unwrap();
    store.append(&[event(1, "a")]).await.unwrap();
    let took = longest(&store, 24, 4).await;
    assert!(took < HANG_MAX, "a task waited for {took:?}");
    let usage = store.connections().unwrap();
    assert!(
        usage.denied > 0 && usage.open <= 5,
        "the server denied none, so this has shown nothing: {usage:?}"
    );
    assert!(usage.denial.unwrap().contains("too many connections for role"));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_shows_that_it_is_alive_with_the_last_connection_but_one() {
    let url = limited("four", 4).await;
    // Others have taken what there was, but for two.
    let others = [open_with(&url, 2, false).await.unwrap()];
    let host = open_with(&url, 6, true).await.unwrap();
    let new = NewWorker { id: worker(1), replica_set: replica_set(), host: "h".to_owned(), pid: 1 };
    host.join(&new).await.unwrap();
    assert_eq!(host.heartbeat(&[worker(1)], WorkerState::Processing).await.unwrap(), [worker(1)]);
    assert!(host.view(&replica_set(), STALE_AFTER).await.unwrap().members[0].alive);
    assert!(longest(&host, 8, 2).await < HANG_MAX);
    assert_eq!(host.connections().unwrap().open, 1);
    host.close().await;
    others[0].close().await;
}

#[tokio::test]
async fn too_few_connections_are_reported() {
    let url = limited("three", 3).await;
    let rejected = open_with(&url, 6, true).await.unwrap_err().to_string();
    assert!(
        rejected.contains(
            "the role three (`ALTER ROLE three CONNECTION LIMIT …`) allows 3 connections at a time, and a process that \
             runs projections needs at least 4"
        ),
        "{rejected}"
    );
    // A command gets along with one.
    let database = url.rsplit('/').next().unwrap();
    CLUSTER.sql(database, "ALTER ROLE three CONNECTION LIMIT 1");
    let command = open_with(&url, 6, false).await.unwrap();
    assert!(command.progress().await.unwrap().is_empty());
    let began = now();
    let full = open_with(&url, 6, false).await.unwrap_err();
    assert!(matches!(&full, ConnectError::Full { .. }) && began.elapsed() < HANG_MAX, "{full:?}");
    let reported = full.to_string();
    assert!(
        reported.contains("too many connections for role \"three\"") && reported.contains("CONNECTION LIMIT"),
        "{reported}"
    );
    command.close().await;
}

/// A table that another session has locked keeps the commits and the reads of its projection from ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table_holds_up_its_own_projection_only_however_few_connections_there_are() {
    for connections_max in [2, 4] {
        let (url, first) = store().await;
        let mut ids = Vec::new();
        for projection in ["locked", "free"] {
            ids.push(deploy(&*first, projection).await.read_model);
        }
        let generation = agree(&*first, Generation::NONE, 1).await;
        for id in &ids {
            claim(&*first, generation, *id, HashRange::ALL).await;
            commit(&*first, &step(*id, generation, 1)).await;
        }
        first.close().await;
        let store = open_with(&url, connections_max, false).await.unwrap();
        let mut other = stranger(&url).await;
        sql(&mut other, "BEGIN; LOCK TABLE locked.c IN ACCESS EXCLUSIVE MODE").await;
        let table = "SELECT table_name FROM kennel.collection WHERE read_model = (SELECT min(read_model) FROM kennel.collection)";
        let row = sqlx::query(table).fetch_one(&mut other).await.unwrap();
        let table: String = sqlx::Row::get(&row, 0);
        sql(&mut other, &format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", quoted(&table))).await;
        // A commit gives its connection back, and says what it waited for.
        let outcome = store.commit(&step(ids[0], generation, 2)).await.unwrap();
        let CommitOutcome::CutShort { reason } = &outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("lock timeout"), "{reason}");
        let held_up: Vec<_> = (0..8)
            .map(|_| {
                let (store, id) = (store.clone(), ids[0]);
                tokio::spawn(async move {
                    let wanted = [Wanted { collection: "c".to_owned(), keys: vec!["k".to_owned()] }];
                    store.fetch(id, &wanted).await.map(|_| ())
                })
            })
            .collect();
        let mut longest = Duration::ZERO;
        for at in 2..=6 {
            let began = now();
            commit(&*store, &step(ids[1], generation, at)).await;
            store.high_water_mark().await.unwrap();
            longest = longest.max(began.elapsed());
        }
        assert!(longest < HANG_MAX, "with {connections_max} connections it took {longest:?}");
        assert!(
            held_up.iter().all(|task| !task.is_finished()),
            "no batch was held up, so this has shown nothing"
        );
        sql(&mut other, "ROLLBACK").await;
        for task in held_up {
            task.await.unwrap().unwrap();
        }
        commit(&*store, &step(ids[0], generation, 2)).await;
        store.close().await;
    }
}

fn step(id: kennel_core::projection::ReadModelId, generation: Generation, at: u64) -> Commit {
    Commit {
        changes: of("c", vec![change("k", put("{}"), Expectation::Unread, at)]),
        ..batch(id, generation, at - 1, at)
    }
}

fn quoted(table: &str) -> String {
    table.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".")
}

/// With all connections in use, a waiting task is reported while it waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_connection_is_reported() {
    let (url, first) = store().await;
    first.close().await;
    let store = open_with(&url, 1, false).await.unwrap();
    let mut other = stranger(&url).await;
    sql(&mut other, "BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await;
    let blocked = tokio::spawn({
        let store = store.clone();
        async move { store.high_water_mark().await.map(|_| ()) }
    });
    let deadline = now() + Duration::from_secs(10);
    while sqlx::query("SELECT 1 FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
        .fetch_optional(&mut other)
        .await
        .unwrap()
        .is_none()
    {
        assert!(now() < deadline, "it does not wait for the lock");
    }
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.progress().await.map(|_| ()) }
    });
    loop {
        let usage = store.connections().unwrap();
        if usage.waiting == 1 && usage.longest_wait > Duration::from_millis(100) {
            assert_eq!((usage.max, usage.open, usage.in_use), (1, 1, 1));
            break;
        }
        assert!(now() < deadline, "{usage:?}");
        tokio::task::yield_now().await;
    }
    sql(&mut other, "ROLLBACK").await;
    blocked.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    let usage = store.connections().unwrap();
    assert!(usage.waiting == 0 && usage.waits >= 1, "{usage:?}");
}
