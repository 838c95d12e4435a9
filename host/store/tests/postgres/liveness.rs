//! Workers that are alive, and what happens when connections or the whole server go away.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use kennel_core::change::Expectation;
use kennel_core::membership::{Generation, WorkerState};
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, NewWorker, StoreError};
use kennel_store::{ConnectOptions, Mode, Store};
use kennel_test_support::conformance::{
    STALE_AFTER, agree, batch, change, claim, commit, deploy, keys, of, put, replica_set, worker,
};
use kennel_test_support::postgres::Cluster;
use kennel_test_support::samples::event;
use sqlx::Row as _;
use tokio::time::timeout;

use super::{open, sql, store, stranger};

async fn join(store: &Store, number: u128) {
    let new = NewWorker { id: worker(number), replica_set: replica_set(), host: "h".to_owned(), pid: 1 };
    store.join(&new).await.unwrap();
}

async fn alive(store: &Store) -> Vec<bool> {
    let view = store.view(&replica_set(), STALE_AFTER).await.unwrap();
    view.members.iter().map(|member| member.alive).collect()
}

/// Waits for what the server does in its own time.
async fn until(store: &Store, expected: &[bool]) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while alive(store).await != expected {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", alive(store).await);
    }
}

#[tokio::test]
async fn a_worker_whose_connection_drops_is_dead_at_once() {
    let (url, first) = store().await;
    let second = open(&url, Mode::ReadWrite).await.unwrap();
    join(&first, 1).await;
    join(&second, 2).await;
    join(&second, 3).await;
    assert_eq!(alive(&first).await, [true, true, true]);
    assert_eq!(alive(&second).await, [true, true, true]);
    // The process ends silently: its heartbeats are still fresh.
    second.close().await;
    drop(second);
    until(&first, &[true, false, false]).await;
    let generation = agree(&*first, Generation::NONE, 1).await;
    assert_eq!(generation, Generation::new(1));
    assert_eq!(alive(&first).await, [true], "the plan's proposer removes dead workers");
    first.leave(&[worker(1)]).await.unwrap();
    assert!(alive(&first).await.is_empty());
}

/// Whether the first worker is registered.
async fn beats(store: &Store) -> bool {
    store.heartbeat(&[worker(1)], WorkerState::Processing).await.unwrap() == [worker(1)]
}

#[tokio::test]
async fn a_broken_connection_is_repaired_by_the_next_heartbeat() {
    let (url, first) = store().await;
    let second = open(&url, Mode::ReadWrite).await.unwrap();
    join(&first, 1).await;
    let mut other = stranger(&url).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sql(&mut other, kill).await;
    until(&second, &[false]).await;
    assert!(beats(&first).await);
    assert_eq!(alive(&second).await, [true]);
    // Looking repairs it as well: a process must not find its own workers dead.
    sql(&mut other, kill).await;
    assert_eq!(alive(&first).await, [true]);
}

#[tokio::test]
async fn a_server_that_restarts_is_unavailable_for_a_moment() {
    let mut cluster = Cluster::start();
    let url = cluster.create_database();
    let store = open(&url, Mode::Migrate).await.unwrap();
    store.migrate().await.unwrap();
    join(&store, 1).await;
    store.append(&[event(1, "a")]).await.unwrap();
    cluster.stop();
    let gone = store.high_water_mark().await.unwrap_err();
    assert!(matches!(gone, StoreError::Unavailable { .. }), "{gone:?}");
    let gone = store.heartbeat(&[worker(1)], WorkerState::Processing).await.unwrap_err();
    assert!(matches!(gone, StoreError::Unavailable { .. }), "{gone:?}");
    cluster.launch();
    let mut attempts = 0;
    while let Err(error) = store.append(&[event(2, "a")]).await {
        attempts += 1;
        assert!(attempts < 20, "the store does not come back: {error:?}");
    }
    assert!(beats(&store).await);
    assert_eq!(alive(&store).await, [true]);
    assert_eq!(store.high_water_mark().await.unwrap().position, store.high_water_mark().await.unwrap().head);
}

/// A process that is suspended between two statements of a commit keeps the rows that it has moved.
#[tokio::test]
async fn a_session_that_hangs_in_a_transaction_is_ended_and_others_go_on() {
    let (url, second) = store().await;
    let options = ConnectOptions { stalled_after: Duration::from_secs(2), ..ConnectOptions::default() };
    let named = format!("{url}?application_name=suspended").parse().unwrap();
    let first = kennel_store::connect(&named, &options).await.unwrap();
    let id = deploy(&*second, "p").await.read_model;
    let generation = agree(&*second, Generation::NONE, 1).await;
    claim(&*second, generation, id, HashRange::ALL).await;
    let mut other = stranger(&url).await;

    let batch_of_first = Commit {
        changes: of("c", vec![change("k", put("{}"), Expectation::Unread, 1)]),
        ..batch(id, generation, 0, 1)
    };
    // No task polls this commit any more once it has moved the checkpoint.
    let mut suspended = Box::pin(first.commit(&batch_of_first));
    // A session that has not written yet has no transaction id.
    let suspended_sessions = "SELECT count(*) FROM pg_stat_activity \
        WHERE application_name = 'suspended' AND backend_xid IS NOT NULL AND query <> 'COMMIT'";
    loop {
        match poll_once(&mut suspended).await {
            None => {}
            // On a busy machine the session may be ended before it is where it should be suspended.
            Some(Err(StoreError::Unavailable { .. })) => suspended = Box::pin(first.commit(&batch_of_first)),
            done => panic!("it ended before it could be suspended: {done:?}"),
        }
        let row = sqlx::query(suspended_sessions).fetch_one(&mut other).await.unwrap();
        if row.get::<i64, _>(0) > 0 {
            break;
        }
    }
    // A worker of the next generation takes over. It waits for the row, and only as long as the server lets
    // the first one keep it.
    let next = agree(&*second, generation, 1).await;
    let take_over = async {
        claim(&*second, next, id, HashRange::ALL).await;
        commit(&*second, &batch(id, next, 0, 1)).await;
    };
    tokio::time::timeout(Duration::from_secs(60), take_over).await.expect("the server ends the session");
    // The first one wakes up: nothing of its batch has taken effect.
    let late = suspended.await.unwrap_err();
    assert!(matches!(late, StoreError::Unavailable { .. }), "{late:?}");
    assert_eq!(keys(&*second, id, "c").await, [""; 0]);
}

/// Polls once.
async fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    poll_fn(|context| {
        Poll::Ready(match Pin::new(&mut *future).poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn sessions_say_who_they_are() {
    let (url, store) = store().await;
    store.append(&[event(1, "a")]).await.unwrap();
    let mut other = stranger(&url).await;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kennel' AND datname = current_database()";
    let row = sqlx::query(query).fetch_one(&mut other).await.unwrap();
    assert!(sqlx::Row::get::<i64, _>(&row, 0) > 0);
}

#[tokio::test]
async fn leaving_workers_and_new_generations_are_announced() {
    let (url, ours) = store().await;
    let theirs = open(&url, Mode::ReadWrite).await.unwrap();
    let soon = Duration::from_secs(20);
    join(&theirs, 1).await;
    join(&theirs, 2).await;
    // The first notification shows that the process listens now.
    timeout(soon, ours.workers_changed()).await.unwrap();
    assert!(
        timeout(Duration::from_millis(300), ours.workers_changed()).await.is_err(),
        "nothing has changed"
    );
    let generation = agree(&*theirs, Generation::NONE, 2).await;
    timeout(soon, ours.workers_changed()).await.unwrap();
    theirs.heartbeat(&[worker(1)], WorkerState::Processing).await.unwrap();
    assert!(
        timeout(Duration::from_millis(300), ours.workers_changed()).await.is_err(),
        "a heartbeat is no change"
    );
    theirs.leave(&[worker(2)]).await.unwrap();
    timeout(soon, ours.workers_changed()).await.unwrap();
    assert_eq!(generation, Generation::new(1));
}
