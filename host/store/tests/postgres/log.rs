//! The event log with writers that are not ours.

use std::collections::BTreeSet;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::ReadQuery;
use kennel_core::position::Position;
use kennel_core::projection::Scope;
use kennel_store::{Mode, Store};
use kennel_test_support::conformance::{agree, batch, claim, commit, deploy, witnessed};
use kennel_test_support::samples::event;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::timeout;
use uuid::Uuid;

use super::{open, sql, store, stranger};

const INSERT: &str = "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, \
                      event_type, payload) VALUES ('c', 't', $1, $2, $3, 'e', '{}')";

pub(super) async fn insert(connection: &mut PgConnection, writer: usize, number: i64) -> Uuid {
    let id = Uuid::from_u128(((writer as u128) << 64) + u128::try_from(number).unwrap());
    let query = sqlx::query(INSERT).bind(format!("writer-{writer}")).bind(number).bind(id);
    query.execute(connection).await.unwrap();
    id
}

/// Reads on from `after` to the high-water mark; returns the ids and where it got.
pub(super) async fn follow(store: &Store, after: Position, seen: &mut BTreeSet<Uuid>) -> Position {
    let upto = store.high_water_mark().await.unwrap().position;
    assert!(upto >= after, "the high-water mark went back from {after} to {upto}");
    let scope = Scope::default();
    let query = ReadQuery { after, upto, scope: &scope, ranges: &[HashRange::ALL], limit: 100_000 };
    let page = store.read(query).await.unwrap();
    for event in page.events {
        assert!(seen.insert(event.event_id), "event {} was read twice", event.event_id);
    }
    page.reached
}

#[tokio::test]
async fn an_open_writer_is_named_and_not_waited_out() {
    let (url, store) = store().await;
    let (mut slow, mut quick) = (stranger(&url).await, stranger(&url).await);
    insert(&mut quick, 1, 1).await;
    let mut open_tx = slow.begin().await.unwrap();
    let pid: i32 = sqlx::query("SELECT pg_backend_pid()").fetch_one(&mut *open_tx).await.unwrap().get(0);
    insert(&mut open_tx, 2, 1).await;
    insert(&mut quick, 1, 2).await;
    for _ in 0..3 {
        let high_water_mark = store.high_water_mark().await.unwrap();
        assert_eq!((high_water_mark.position.get(), high_water_mark.head.get()), (1, 3));
        assert_eq!((high_water_mark.blockers.len(), high_water_mark.blockers[0].pid), (1, Some(pid)));
        assert_eq!(high_water_mark.blockers[0].application, "stranger");
        assert!(high_water_mark.blockers[0].open_seconds.is_some());
        assert!(
            high_water_mark.blockers[0].advice.starts_with(&format!("`SELECT pg_terminate_backend({pid})`"))
        );
    }
    // Another writer, which begins now, is not waited for.
    let mut late = stranger(&url).await;
    let mut late_tx = late.begin().await.unwrap();
    insert(&mut late_tx, 3, 1).await;
    open_tx.commit().await.unwrap();
    assert_eq!(store.high_water_mark().await.unwrap().position.get(), 3);
    late_tx.rollback().await.unwrap();
    insert(&mut quick, 1, 3).await;
    let high_water_mark = store.high_water_mark().await.unwrap();
    assert_eq!(
        (high_water_mark.position, high_water_mark.position.get(), high_water_mark.blockers.len()),
        (high_water_mark.head, 5, 0)
    );
}

/// A process that starts while a writer is open goes on where the stored checkpoints are, also when old
/// gaps lie below.
#[tokio::test]
async fn a_new_process_does_not_fall_back_behind_old_gaps() {
    let (url, first) = store().await;
    let mut other = stranger(&url).await;
    sql(&mut other, "SELECT nextval('events_global_position_seq')").await;
    insert(&mut other, 1, 1).await;
    insert(&mut other, 1, 2).await;
    let id = deploy(&*first, "p").await.read_model;
    let generation = agree(&*first, Generation::NONE, 1).await;
    claim(&*first, generation, id, HashRange::ALL).await;
    assert_eq!(first.high_water_mark().await.unwrap().position.get(), 3);
    commit(&*first, &witnessed(&*first, batch(id, generation, 0, 3)).await).await;
    let mut slow = stranger(&url).await;
    let mut tx = slow.begin().await.unwrap();
    insert(&mut tx, 2, 1).await;
    insert(&mut other, 1, 3).await;
    let second = open(&url, Mode::ReadWrite).await.unwrap();
    assert_eq!(second.high_water_mark().await.unwrap().position.get(), 3);
    tx.commit().await.unwrap();
    assert_eq!(second.high_water_mark().await.unwrap().position.get(), 5);
}

#[tokio::test]
async fn appends_are_announced() {
    let (url, ours) = store().await;
    let theirs = open(&url, Mode::ReadWrite).await.unwrap();
    let soon = Duration::from_secs(20);
    // The first notification shows that the process listens now.
    timeout(soon, ours.notification()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), ours.notification()).await.is_err(), "nothing was appended");
    theirs.append(&[event(1, "a")]).await.unwrap();
    timeout(soon, ours.notification()).await.unwrap();
    ours.append(&[event(2, "a")]).await.unwrap();
    timeout(soon, ours.notification()).await.unwrap();
    // A stranger's insert says nothing until the trigger is there.
    while timeout(Duration::from_millis(300), ours.notification()).await.is_ok() {}
    ours.install_notify().await.unwrap();
    ours.install_notify().await.unwrap();
    let mut other = stranger(&url).await;
    insert(&mut other, 1, 1).await;
    timeout(soon, ours.notification()).await.unwrap();
}

/// Writers of the same new aggregates, through Kennel, at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_at_the_same_time_number_each_aggregate_without_gap() {
    let (_, store) = store().await;
    let tasks: Vec<_> = (0..4_u128)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..15 {
                    let names = ["x", "y", "z"];
                    let events: Vec<_> = (0..9)
                        .map(|i| {
                            event(writer * 10_000 + round * 10 + i, names[(i as usize + writer as usize) % 3])
                        })
                        .collect();
                    assert_eq!(store.append(&events).await.unwrap().written, 9);
                    // Two writers that append the very same events write them once.
                    let shared = [event(1_000_000 + round, "shared")];
                    store.append(&shared).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut seen = BTreeSet::new();
    follow(&store, Position::START, &mut seen).await;
    assert_eq!(seen.len(), 4 * 15 * 9 + 15);
}

/// Most of the log is of no interest, and then there is a wide gap: a reader is back soon each time, so that it can be
/// stopped, and is through in a few steps.
#[tokio::test]
async fn a_read_looks_at_so_much_and_no_more() {
    const COMMON: u64 = 2 * limits::READ_POSITIONS_MAX + 50_000;
    const FAR: u64 = 5_000_000_000;
    let (url, store) = store().await;
    let many = format!(
        "INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type, payload)
         SELECT 'c', 't', 'a', n, gen_random_uuid(), 'common', '{{}}' FROM generate_series(1, {COMMON}) n;
         SELECT setval(pg_get_serial_sequence('events', 'global_position'), {FAR})"
    );
    let mut connection = stranger(&url).await;
    sql(&mut connection, &many).await;
    insert(&mut connection, 1, 1).await;
    let scope = Scope { event_types: vec!["e".to_owned()], ..Scope::default() };
    let upto = store.high_water_mark().await.unwrap().position;
    assert_eq!(upto, Position::new(FAR + 1));
    let (mut after, mut reached, mut found) = (Position::START, Vec::new(), 0);
    while after < upto {
        let query = ReadQuery { after, upto, scope: &scope, ranges: &[HashRange::ALL], limit: 100 };
        let page = store.read(query).await.unwrap();
        (after, found) = (page.reached, found + page.events.len());
        reached.push(page.reached.get());
    }
    let max = limits::READ_POSITIONS_MAX;
    assert_eq!((reached, found), (vec![max, 2 * max, FAR, FAR + 1], 1));
}
