//! Cutovers among readers, runners and other processes that all work at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kennel_core::change::Expectation;
use kennel_core::lifecycle::{Mode, Operation};
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome, CutoverOutcome, StoreError};
use kennel_store::{Mode as Opening, Store};
use kennel_test_support::conformance::lifecycle::{
    PROJECTION, changed, current, go_back, of_two_hosts_that_deploy_at_once_one_wins, renew,
};
use kennel_test_support::conformance::{
    agree, ask, batch, change, claim, commit, deploy, name, new_code, of, put, replica_set,
};
use kennel_test_support::samples::request;
use serde_json::json;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::Instant;

use super::namespaces::{Bed, shown};
use super::{open, sql, stranger};

/// What answers after half a second has not waited for a reader, however busy the machine is.
const AT_ONCE: Duration = Duration::from_secs(3);
/// How long two that might wait for each other are given.
const PATIENCE: Duration = Duration::from_secs(30);

/// A serving read model with a document and a new one that has caught up with it, about to replace it.
async fn about_to_cut_over() -> (Bed, PgConnection) {
    let bed = Bed::new().await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old"))]).await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new"))]).await;
    assert_eq!(bed.store.begin_cutover(&name(PROJECTION), 0).await.unwrap(), CutoverOutcome::Done);
    let people = stranger(&bed.url).await;
    (bed, people)
}

async fn quickly<T>(work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = tokio::time::timeout(PATIENCE, work).await.expect("it hangs");
    let took = began.elapsed();
    assert!(took < AT_ONCE, "{took:?}");
    done
}

#[tokio::test]
async fn a_long_reader_delays_a_cutover_and_nothing_else() {
    let (bed, mut reader) = about_to_cut_over().await;
    sql(&mut reader, "BEGIN").await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "k=\"old\"");
    let projection = name(PROJECTION);
    for _ in 0..2 {
        assert_eq!(quickly(bed.store.complete_cutover(&projection)).await.unwrap(), CutoverOutcome::Busy);
        // Meanwhile all others get on: other readers, other projections, new collections.
        let mut other = stranger(&bed.url).await;
        assert_eq!(quickly(shown(&mut other, "order_summary.orders")).await, "k=\"old\"");
    }
    let other = quickly(deploy(&*bed.store, "another")).await.read_model;
    quickly(bed.write(other, &[("orders", "k", json!("other"))])).await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "k=\"old\"");
    sql(&mut reader, "COMMIT").await;
    bed.finish(PROJECTION).await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "k=\"new\"");
}

/// An operation that a reader blocks is not done, and reports why.
#[tokio::test]
async fn a_long_reader_keeps_views_from_being_emptied() {
    let (bed, mut reader) = about_to_cut_over().await;
    bed.finish(PROJECTION).await;
    sql(&mut reader, "BEGIN").await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "k=\"new\"");
    let before = current(&*bed.store).await;
    let retire = request(Operation::Retire { drop: true });
    let rejected = quickly(bed.store.carry_out(&name(PROJECTION), &retire)).await.unwrap_err();
    assert!(matches!(&rejected, StoreError::Unavailable { .. }), "{rejected:?}");
    assert!(rejected.to_string().contains("whose views another session may be holding open"), "{rejected}");
    assert_eq!(current(&*bed.store).await, before);
    sql(&mut reader, "COMMIT").await;
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "");
}

/// A view that shows nothing yet is read for hours: batches do not wait until it can show what they write.
#[tokio::test]
async fn a_long_reader_of_an_empty_view_delays_no_batch() {
    let (bed, mut reader) = about_to_cut_over().await;
    bed.finish(PROJECTION).await;
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    let anew = renew(&*bed.store, "3", Mode::Continue).await.read_model;
    sql(&mut reader, "BEGIN").await;
    assert_eq!(shown(&mut reader, "order_summary.orders").await, "");
    quickly(bed.write(anew, &[("orders", "k", json!("anew")), ("lines", "k", json!("anew"))])).await;
    bed.store.collect_garbage().await.unwrap();
    let mut other = stranger(&bed.url).await;
    assert_eq!(shown(&mut other, "order_summary.orders").await, "", "it cannot be replaced now");
    assert_eq!(shown(&mut other, "order_summary.lines").await, "k=\"anew\"");
    quickly(bed.write(anew, &[("orders", "k", json!("again"))])).await;
    sql(&mut reader, "COMMIT").await;
    bed.store.collect_garbage().await.unwrap();
    assert_eq!(shown(&mut other, "order_summary.orders").await, "k=\"again\"");
    // A view that a cutover leaves empty is shown in the same way.
    let next = renew(&*bed.store, "4", Mode::Rebuild).await.read_model;
    bed.write(next, &[("lines", "k", json!("next"))]).await;
    bed.promote(PROJECTION).await;
    assert_eq!(shown(&mut other, "order_summary.orders").await, "");
    bed.store.collect_garbage().await.unwrap();
    assert_eq!(shown(&mut other, "order_summary.orders").await, "", "there is nothing to show");
}

/// A process that was suspended in the middle of a batch keeps the rows that it has moved.
#[tokio::test]
async fn a_suspended_batch_delays_a_cutover_and_nothing_else() {
    let (bed, mut suspended) = about_to_cut_over().await;
    let projection = name(PROJECTION);
    bed.store.abort_cutover(&projection).await.unwrap();
    sql(&mut suspended, "BEGIN; SELECT * FROM kennel.checkpoint FOR UPDATE").await;
    assert_eq!(quickly(bed.store.begin_cutover(&projection, 0)).await.unwrap(), CutoverOutcome::Busy);
    assert!(!current(&*bed.store).await.fenced);
    quickly(deploy(&*bed.store, "another")).await;
    sql(&mut suspended, "COMMIT").await;
    bed.promote(PROJECTION).await;
}

/// Asks for a document of each of two collections until it is `done`, and counts which read model they are of.
async fn read_both(
    url: String,
    query: String,
    prepared: bool,
    done: Arc<AtomicBool>,
    seen: Arc<[AtomicU64; 2]>,
) {
    let mut connection = PgConnection::connect(&url).await.unwrap();
    while !done.load(Ordering::SeqCst) {
        let rows = if prepared {
            sqlx::query(sqlx::AssertSqlSafe(query.as_str())).fetch_all(&mut connection).await
        } else {
            sqlx::raw_sql(sqlx::AssertSqlSafe(query.as_str())).fetch_all(&mut connection).await
        };
        let rows = rows.unwrap();
        assert_eq!(rows.len(), 1, "one document each");
        let (one, other): (String, String) = (rows[0].get(0), rows[0].get(1));
        assert_eq!(one, other, "a mixture");
        seen[usize::from(one == "new")].fetch_add(1, Ordering::SeqCst);
    }
}

/// One statement that reads two collections sees both of one read model, however it is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_ever_sees_a_mixture_or_an_error() {
    const CUTOVERS: u64 = 50;
    let (bed, _) = about_to_cut_over().await;
    bed.finish(PROJECTION).await;
    let life = current(&*bed.store).await;
    for (entry, model) in life.history.iter().zip(["old", "new"]) {
        if entry.deployment.read_model == life.serving().unwrap().deployment.read_model {
            bed.write(entry.deployment.read_model, &[("lines", "k", json!(model))]).await;
        } else {
            go_back(&*bed.store).await;
            bed.write(entry.deployment.read_model, &[("lines", "k", json!(model))]).await;
            changed(&*bed.store, Operation::Cancel).await;
        }
    }
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let joined = |first: &str, second: &str| {
        format!(
            "SELECT a.document #>> '{{}}', b.document #>> '{{}}' FROM order_summary.{first} a \
             JOIN order_summary.{second} b USING (key)"
        )
    };
    let queries = [
        (joined("orders", "lines"), true),
        (joined("lines", "orders"), true),
        (joined("lines", "orders"), false),
    ];
    let readers: Vec<_> = queries
        .into_iter()
        .map(|(query, prepared)| {
            tokio::spawn(read_both(bed.url.clone(), query, prepared, Arc::clone(&done), Arc::clone(&seen)))
        })
        .collect();
    let mut longest = Duration::ZERO;
    for _ in 0..CUTOVERS {
        go_back(&*bed.store).await;
        let began = Instant::now();
        bed.promote(PROJECTION).await;
        longest = longest.max(began.elapsed());
        // Readers see each of them for a while.
        let before = seen.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
        let waited = Instant::now();
        while seen.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>() < before + 10
            && waited.elapsed() < PATIENCE
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let seen = [seen[0].load(Ordering::SeqCst), seen[1].load(Ordering::SeqCst)];
    eprintln!(
        "{CUTOVERS} cutovers, the longest of {longest:?}; readers saw the old one and the new one {seen:?} times"
    );
    assert!(seen.iter().all(|count| *count >= CUTOVERS), "{seen:?}");
}

#[tokio::test]
async fn a_read_model_that_is_being_read_is_removed_later() {
    let (bed, mut reader) = about_to_cut_over().await;
    sql(&mut reader, "BEGIN").await;
    assert_eq!(shown(&mut reader, "order_summary_1.orders").await, "k=\"old\"");
    bed.store.abort_cutover(&name(PROJECTION)).await.unwrap();
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    // The new one goes, the old one is in use.
    assert_eq!(quickly(bed.store.collect_garbage()).await.unwrap(), 1);
    assert_eq!(quickly(bed.store.collect_garbage()).await.unwrap(), 0);
    assert_eq!(shown(&mut reader, "order_summary_1.orders").await, "k=\"old\"");
    quickly(deploy(&*bed.store, "another")).await;
    sql(&mut reader, "COMMIT").await;
    assert_eq!(
        (bed.store.collect_garbage().await.unwrap(), bed.store.collect_garbage().await.unwrap()),
        (1, 0)
    );
}

/// Three batches, each of which makes a collection, as far as they are not fenced. How many took effect.
async fn make_collections(store: Store, first: Commit, round: u64) -> u64 {
    let (read_model, from) = (first.read_model, first.from.get());
    for step in 0..3 {
        let collection = format!("c{round} {step} of {read_model}");
        let made = change("k", put("1"), Expectation::Unread, from + step + 1);
        let batch = Commit {
            changes: of(&collection, vec![made]),
            ..batch(read_model, first.generation, from + step, from + step + 1)
        };
        match store.commit(&batch).await.unwrap() {
            CommitOutcome::Committed => {}
            CommitOutcome::Fenced => return step,
            other => panic!("{other:?}"),
        }
    }
    3
}

/// Runners of both read models make collections while one replaces the other, time and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn collections_that_are_made_during_a_cutover_are_shown_with_the_rest() {
    const ROUNDS: u64 = 24;
    let (bed, mut people) = about_to_cut_over().await;
    bed.finish(PROJECTION).await;
    let (projection, mut made) = (name(PROJECTION), [0, 0]);
    for round in 0..ROUNDS {
        go_back(&*bed.store).await;
        let life = current(&*bed.store).await;
        let both = [life.serving(), life.candidate()].map(|entry| entry.unwrap().deployment.read_model);
        for read_model in both {
            claim(&*bed.store, bed.generation, read_model, HashRange::ALL).await;
        }
        let [ahead, behind] = [both[0], both[1]].map(|read_model| bed.store.position(read_model));
        let (ahead, behind) = (ahead.await.unwrap().get(), behind.await.unwrap().get());
        commit(&*bed.store, &batch(both[1], bed.generation, behind, ahead)).await;
        let making = both.map(|read_model| {
            let first = batch(read_model, bed.generation, ahead, ahead + 1);
            tokio::spawn(make_collections(bed.store.clone(), first, round))
        });
        // Sooner in one round and later in another.
        tokio::time::sleep(Duration::from_millis(round % 6 * 3)).await;
        while bed.store.begin_cutover(&projection, u64::MAX).await.unwrap() != CutoverOutcome::Done {}
        while bed.store.complete_cutover(&projection).await.unwrap() != CutoverOutcome::Done {}
        for (task, made) in making.into_iter().zip(&mut made) {
            *made += task.await.unwrap();
        }
        assert_shown(&mut people).await;
    }
    let [by_old, by_new] = made;
    eprintln!("of {} collections each, the old ones made {by_old} and the new ones {by_new}", ROUNDS * 3);
    assert!(by_old > 0 && by_old < ROUNDS * 3 && by_new == ROUNDS * 3, "no cutover came in between");
}

/// Every view shows the table of its collection in the read model that serves, or nothing.
async fn assert_shown(people: &mut PgConnection) {
    let serving = "SELECT c.name, c.table_name, p.view_name FROM kennel.deployment d \
                JOIN kennel.collection c ON c.read_model = d.read_model \
                LEFT JOIN kennel.published p ON p.projection = d.projection AND p.collection = c.name \
                WHERE d.outcome = 'serving' ORDER BY c.name";
    let mut views = Vec::new();
    for row in sqlx::query(serving).fetch_all(&mut *people).await.unwrap() {
        let (collection, table): (String, String) = (row.get(0), row.get(1));
        let view: Option<String> = row.get(2);
        let view = view.unwrap_or_else(|| panic!("no view shows {collection}"));
        assert_eq!(shown(people, &view).await, shown(people, &table).await, "{collection}");
        views.push(view);
    }
    let others = "SELECT view_name FROM kennel.published WHERE NOT view_name = ANY($1)";
    for row in sqlx::query(others).bind(&views).fetch_all(&mut *people).await.unwrap() {
        let view: String = row.get(0);
        assert_eq!(shown(people, &view).await, "", "{view}");
    }
}

/// The batch has its checkpoints and wants the catalog; the deploy wants both as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebuild_that_is_replaced_while_it_makes_a_collection_goes_first() {
    let (bed, mut blocker) = about_to_cut_over().await;
    bed.store.abort_cutover(&name(PROJECTION)).await.unwrap();
    let candidate = current(&*bed.store).await.candidate().unwrap().deployment.read_model;
    let batch = bed.batch(candidate, &[("fresh", "k", json!(1))]).await;
    let waiting = async |count: i64, watching: &mut PgConnection| {
        let asked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        let began = Instant::now();
        while sqlx::query(asked).fetch_one(&mut *watching).await.unwrap().get::<i64, _>(0) < count {
            assert!(began.elapsed() < PATIENCE, "{count} should be waiting");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let mut watching = stranger(&bed.url).await;
    sql(&mut blocker, "BEGIN; SELECT pg_advisory_xact_lock(7308604896915810931)").await;
    let deploying = tokio::spawn({
        let store = bed.store.clone();
        async move {
            let deploy = new_code(PROJECTION, "3", Mode::Rebuild);
            ask(&*store, PROJECTION, Operation::Deploy(Box::new(deploy))).await.unwrap()
        }
    });
    waiting(1, &mut watching).await;
    let committing = tokio::spawn({
        let store = bed.store.clone();
        async move { store.commit(&batch).await }
    });
    // Either it waits for the catalog, or it was fenced as soon as it was cancelled.
    let began = Instant::now();
    while !committing.is_finished() && began.elapsed() < Duration::from_millis(500) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sql(&mut blocker, "COMMIT").await;
    let changed = tokio::time::timeout(PATIENCE, deploying).await.unwrap().unwrap();
    assert_eq!(changed.number, Some(3));
    let committed = tokio::time::timeout(PATIENCE, committing).await.unwrap().unwrap();
    assert!(matches!(committed, Ok(CommitOutcome::Committed | CommitOutcome::Fenced)), "{committed:?}");
}

/// Two operators at two machines that have looked at the same history.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_that_deploy_at_once_one_wins() {
    let bed = Bed::new().await;
    let other = open(&bed.url, Opening::ReadWrite).await.unwrap();
    of_two_hosts_that_deploy_at_once_one_wins(bed.store.ports(), other.ports()).await;
    other.close().await;
}

/// Many more than one transaction may remove: each takes locks that all clients of the server share.
#[tokio::test]
async fn read_models_of_many_collections_are_removed() {
    const COLLECTIONS: usize = 450;
    let bed = Bed::new().await;
    let read_model = deploy(&*bed.store, PROJECTION).await.read_model;
    let names: Vec<String> = (0..COLLECTIONS).map(|number| format!("c{number}")).collect();
    for some in names.chunks(150) {
        let documents: Vec<_> = some.iter().map(|name| (name.as_str(), "k", json!(1))).collect();
        bed.write(read_model, &documents).await;
    }
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    assert_eq!(
        (bed.store.collect_garbage().await.unwrap(), bed.store.collect_garbage().await.unwrap()),
        (1, 0)
    );
    let left = "SELECT (SELECT count(*) FROM kennel.collection) + \
                (SELECT count(*) FROM pg_tables WHERE schemaname = 'order_summary_1')";
    let left = sqlx::query(left).fetch_one(&mut stranger(&bed.url).await).await.unwrap();
    assert_eq!(left.get::<i64, _>(0), 0);
}

/// Another session makes an index on a table that a batch has to write to. The batch waits, gives way and is tried
/// again; an operation on its projection runs in between, or is reported as blocked; no other transaction waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_table_that_is_locked_holds_up_its_own_projection_only() {
    let bed = Arc::new(Bed::new().await);
    let read_model = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(read_model, &[("orders", "k", json!(1))]).await;
    let mut indexer = stranger(&bed.url).await;
    sql(&mut indexer, "BEGIN; LOCK TABLE order_summary_1.orders IN SHARE MODE").await;
    // One that also makes a collection must not wait: no other transaction could make one meanwhile.
    let making = bed.batch(read_model, &[("made", "k", json!(2)), ("orders", "k", json!(2))]).await;
    let making = quickly(bed.store.commit(&making)).await;
    assert!(matches!(making, Ok(CommitOutcome::CutShort { .. })), "{making:?}");
    let batch = bed.batch(read_model, &[("orders", "k", json!(2))]).await;
    let store = bed.store.clone();
    let waiting = tokio::spawn(async move {
        loop {
            match store.commit(&batch).await {
                Ok(CommitOutcome::CutShort { .. }) => {}
                done => return done,
            }
        }
    });
    let mut other = stranger(&bed.url).await;
    let held =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'order_summary_1.orders'::regclass";
    while sqlx::query(held).fetch_one(&mut other).await.unwrap().get::<i64, _>(0) == 0 {}
    let paused = quickly(bed.store.carry_out(&name(PROJECTION), &request(Operation::Pause))).await;
    assert!(matches!(paused, Ok(_) | Err(StoreError::Unavailable { .. })), "{paused:?}");
    // While one is waiting in vain, others can run.
    let store = bed.store.clone();
    let pausing =
        tokio::spawn(async move { store.carry_out(&name(PROJECTION), &request(Operation::Pause)).await });
    quickly(deploy(&*bed.store, "another")).await;
    let pausing = pausing.await.unwrap();
    assert!(matches!(pausing, Ok(_) | Err(StoreError::Unavailable { .. })), "{pausing:?}");
    // So can workers that want to agree on another generation, although a worker wants to take the checkpoints
    // over.
    let (store, generation) = (bed.store.clone(), bed.generation);
    let claiming =
        tokio::spawn(
            async move { store.claim(&replica_set(), generation, read_model, HashRange::ALL).await },
        );
    let next = quickly(agree(&*bed.store, bed.generation, 1)).await;
    assert!(next > bed.generation);
    sql(&mut indexer, "COMMIT").await;
    // A read model that was paused meanwhile is not moved any more.
    let waited = waiting.await.unwrap().unwrap();
    assert!(matches!(waited, CommitOutcome::Committed | CommitOutcome::Fenced), "{waited:?}");
    claiming.await.unwrap().unwrap();
    let paused = bed.store.carry_out(&name(PROJECTION), &request(Operation::Pause)).await;
    assert!(matches!(paused, Ok(Ok(_))), "{paused:?}");
}

/// The new read model has a collection that no other ever had, and its table is locked at the moment of the
/// cutover.
#[tokio::test]
async fn a_view_that_could_not_be_made_is_made_later() {
    let (bed, mut indexer) = about_to_cut_over().await;
    bed.store.abort_cutover(&name(PROJECTION)).await.unwrap();
    let new = current(&*bed.store).await.candidate().unwrap().deployment.read_model;
    bed.write(new, &[("fresh-one", "k", json!(1))]).await;
    let old = current(&*bed.store).await.serving().unwrap().deployment.read_model;
    bed.write(old, &[("orders", "k", json!("older"))]).await;
    assert_eq!(bed.store.begin_cutover(&name(PROJECTION), 0).await.unwrap(), CutoverOutcome::Done);
    sql(&mut indexer, "BEGIN; LOCK TABLE order_summary_2.fresh_one IN ACCESS EXCLUSIVE MODE").await;
    bed.finish(PROJECTION).await;
    let mut people = stranger(&bed.url).await;
    assert_eq!(shown(&mut people, "order_summary.orders").await, "k=\"new\"");
    // Another collection that would have a view of that name takes another.
    bed.write(new, &[("fresh_one", "k", json!(2))]).await;
    sql(&mut indexer, "COMMIT").await;
    bed.store.collect_garbage().await.unwrap();
    assert_eq!(shown(&mut people, "order_summary.fresh_one").await, "k=1");
    assert_shown(&mut people).await;
}
