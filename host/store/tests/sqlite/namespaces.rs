//! Where people find documents: views under names that stay, and tables that come and go behind them while
//! others read, in this process and beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kennel_core::lifecycle::{Mode, Operation};
use kennel_core::membership::Generation;
use kennel_core::port::CutoverOutcome;
use kennel_core::projection::ReadModelId;
use kennel_store::{Mode as Opening, Store};
use kennel_test_support::conformance::lifecycle::{
    PROJECTION, changed, go_back, of_two_hosts_that_deploy_at_once_one_wins, renew,
};
use kennel_test_support::conformance::{agree, ask, begin_cutover, deploy, name, new_code, write};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use super::open;

const PATIENCE: Duration = Duration::from_secs(30);

/// A store with one worker, which moves whatever it is asked to.
struct Bed {
    path: PathBuf,
    store: Store,
    generation: Generation,
    _folder: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kennel.db");
        let store = open(&path, Opening::ReadWrite).await.unwrap();
        let generation = agree(&*store, Generation::NONE, 1).await;
        Self { path, store, generation, _folder: folder }
    }

    /// Claims a read model and puts documents into it, which moves it on by one position.
    async fn write(&self, read_model: ReadModelId, documents: &[(&str, &str, Value)]) {
        write(&*self.store, self.generation, read_model, documents).await;
    }

    /// Brings the candidate up to date with the serving read model, and completes the cutover.
    async fn promote(&self, projection: &str) {
        begin_cutover(&*self.store, self.generation, projection).await;
        assert_eq!(self.store.complete_cutover(&name(projection)).await.unwrap(), CutoverOutcome::Done);
    }
}

/// Another program.
async fn stranger(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE).connect().await.unwrap()
}

async fn sql(connection: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

/// The documents of a table or a view, in one line.
async fn shown(connection: &mut SqliteConnection, table: &str) -> String {
    let query = format!("SELECT key || '=' || document FROM \"{table}\" ORDER BY key");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join(" ")
}

async fn exists(connection: &mut SqliteConnection, table: &str) -> bool {
    let query = sqlx::query("SELECT count(*) FROM sqlite_schema WHERE name = $1").bind(table);
    query.fetch_one(connection).await.unwrap().get::<i64, _>(0) > 0
}

#[tokio::test]
async fn views_show_what_serves_and_nothing_else() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.path).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old")), ("old-only", "k", json!("old"))]).await;
    assert_eq!(shown(&mut people, "order_summary_1__orders").await, "k=\"old\"");
    sql(&mut people, "CREATE VIEW mine AS SELECT key, document FROM order_summary__old_only").await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new")), ("new_only", "k", json!("new"))]).await;
    assert!(!exists(&mut people, "order_summary__new_only").await, "no view shows a candidate");
    for _ in 0..2 {
        assert_eq!(shown(&mut people, "order_summary__orders").await, "k=\"old\"");
        bed.promote(PROJECTION).await;
        assert_eq!(shown(&mut people, "order_summary__orders").await, "k=\"new\"");
        assert_eq!(shown(&mut people, "order_summary__new_only").await, "k=\"new\"");
        assert_eq!(shown(&mut people, "order_summary__old_only").await, "");
        assert_eq!(
            shown(&mut people, "mine").await,
            "",
            "a view that people build on views outlasts a cutover"
        );
        bed.write(new, &[("later", "k", json!(1))]).await;
        assert_eq!(shown(&mut people, "order_summary__later").await, "k=1");
        go_back(&*bed.store).await;
        bed.promote(PROJECTION).await;
        assert_eq!(shown(&mut people, "order_summary__later").await, "");
        assert_eq!(shown(&mut people, "mine").await, "k=\"old\"");
        go_back(&*bed.store).await;
    }
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    assert_eq!(bed.store.collect_garbage().await.unwrap(), 2);
    assert_eq!(shown(&mut people, "order_summary__orders").await, "", "the views outlast everything");
    assert!(!exists(&mut people, "order_summary_1__orders").await);
}

#[tokio::test]
async fn names_that_are_taken_are_left_alone() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.path).await;
    // Objects with the name of a table, of a view, and of both in another spelling.
    sql(
        &mut people,
        "CREATE TABLE order_summary_1__orders (mine INT); CREATE TABLE order_summary__lines (mine INT); \
         CREATE TABLE A__ORDERS (mine INT); CREATE VIEW a_1__lines AS SELECT 1 AS mine",
    )
    .await;
    let projections = ["a", "a_1", "a-1", "a_1__orders", "b", PROJECTION];
    for projection in projections {
        let read_model = deploy(&*bed.store, projection).await.read_model;
        bed.write(read_model, &[("orders", "k", json!(projection)), ("lines", "k", json!(projection))]).await;
    }
    for projection in projections {
        let rebuild = new_code(projection, "next", Mode::Rebuild);
        let asked = ask(&*bed.store, projection, Operation::Deploy(Box::new(rebuild))).await.unwrap();
        let read_model = asked.lifecycle.candidate().unwrap().deployment.read_model;
        bed.write(read_model, &[("orders", "k", json!(format!("next {projection}")))]).await;
        bed.promote(projection).await;
    }
    let mut reported = Vec::new();
    let views = "SELECT projection, collection, view_name FROM kennel_published ORDER BY 1, 2";
    for row in sqlx::query(views).fetch_all(&mut people).await.unwrap() {
        let (projection, collection, view): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        reported.push(format!("{projection} {collection} {}", shown(&mut people, &view).await));
    }
    let mut expected: Vec<String> = projections
        .iter()
        .flat_map(|name| [format!("{name} lines "), format!("{name} orders k=\"next {name}\"")])
        .collect();
    expected.sort_unstable();
    reported.sort_unstable();
    assert_eq!(reported, expected);
    for (mine, rows) in
        [("order_summary_1__orders", 0), ("order_summary__lines", 0), ("A__ORDERS", 0), ("a_1__lines", 1)]
    {
        let count = format!("SELECT count(mine) FROM {mine}");
        let row = sqlx::query(sqlx::AssertSqlSafe(count)).fetch_one(&mut people).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), rows, "{mine}");
    }
}

/// A reader sees the state from when it began, for as long as it likes, and blocks no other transaction.
#[tokio::test]
async fn a_long_reader_delays_nothing() {
    let bed = Bed::new().await;
    let mut reader = stranger(&bed.path).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old"))]).await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new"))]).await;
    sql(&mut reader, "BEGIN").await;
    assert_eq!(shown(&mut reader, "order_summary__orders").await, "k=\"old\"");
    bed.promote(PROJECTION).await;
    let third = renew(&*bed.store, "3", Mode::Rebuild).await.read_model;
    bed.write(third, &[("orders", "k", json!("third"))]).await;
    bed.promote(PROJECTION).await;
    assert_eq!(bed.store.collect_garbage().await.unwrap(), 1, "the table that is being read goes");
    assert_eq!(shown(&mut reader, "order_summary__orders").await, "k=\"old\"");
    assert_eq!(shown(&mut reader, "order_summary_1__orders").await, "k=\"old\"");
    sql(&mut reader, "COMMIT").await;
    assert_eq!(shown(&mut reader, "order_summary__orders").await, "k=\"third\"");
    assert!(!exists(&mut reader, "order_summary_1__orders").await);
}

#[tokio::test]
async fn a_view_that_was_replaced_is_not_overwritten() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.path).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old"))]).await;
    sql(&mut people, "DROP VIEW order_summary__orders; CREATE TABLE order_summary__orders (mine INT)").await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new"))]).await;
    let projection = name(PROJECTION);
    assert_eq!(bed.store.begin_cutover(&projection, 0).await.unwrap(), CutoverOutcome::Done);
    let failed = bed.store.complete_cutover(&projection).await.unwrap_err();
    let reason = std::error::Error::source(&failed).unwrap().to_string();
    assert!(reason.contains("order_summary__orders"), "{failed}: {reason}");
    assert_eq!(bed.store.find(&projection).await.unwrap().unwrap().read_model, old);
    bed.store.abort_cutover(&projection).await.unwrap();
    sql(&mut people, "DROP TABLE order_summary__orders").await;
    bed.promote(PROJECTION).await;
    assert_eq!(shown(&mut people, "order_summary__orders").await, "k=\"new\"");
}

/// One statement that reads two collections sees both of one read model; there is one of each at any time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_reader_ever_sees_a_mixture_or_an_error() {
    const CUTOVERS: u64 = 50;
    let bed = Bed::new().await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old")), ("lines", "k", json!("old"))]).await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new")), ("lines", "k", json!("new"))]).await;
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let joined = |first: &str, second: &str| {
        format!(
            "SELECT a.document ->> '$', b.document ->> '$' FROM order_summary__{first} a \
             JOIN order_summary__{second} b USING (key)"
        )
    };
    let readers: Vec<_> = [joined("orders", "lines"), joined("lines", "orders")]
        .into_iter()
        .map(|query| {
            let (path, done, seen) = (bed.path.clone(), Arc::clone(&done), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut connection = stranger(&path).await;
                while !done.load(Ordering::SeqCst) {
                    let query = sqlx::query(sqlx::AssertSqlSafe(query.as_str()));
                    let rows = query.fetch_all(&mut connection).await.unwrap();
                    assert_eq!(rows.len(), 1, "one document each");
                    let (one, other): (String, String) = (rows[0].get(0), rows[0].get(1));
                    assert_eq!(one, other, "a mixture");
                    seen[usize::from(one == "new")].fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let count = || seen.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
    for _ in 0..CUTOVERS {
        bed.promote(PROJECTION).await;
        go_back(&*bed.store).await;
        // Readers see each of them for a while.
        let before = count();
        let waited = tokio::time::Instant::now();
        while count() < before + 10 && waited.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let seen = [seen[0].load(Ordering::SeqCst), seen[1].load(Ordering::SeqCst)];
    eprintln!("{CUTOVERS} cutovers; readers saw the old one and the new one {seen:?} times");
    assert!(seen.iter().all(|count| *count >= CUTOVERS), "{seen:?}");
}

/// Two operators with two processes that have looked at the same history.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_that_deploy_at_once_one_wins() {
    let bed = Bed::new().await;
    let other = open(&bed.path, Opening::ReadWrite).await.unwrap();
    of_two_hosts_that_deploy_at_once_one_wins(bed.store.ports(), other.ports()).await;
    other.close().await;
}

/// A change in one process is noticed in the other, which no process notifies.
#[tokio::test]
async fn changes_are_noticed_in_both_processes() {
    let bed = Bed::new().await;
    let other = open(&bed.path, Opening::ReadWrite).await.unwrap();
    let noticing = tokio::spawn({
        let other = other.clone();
        async move { tokio::time::timeout(PATIENCE, other.projections_changed()).await }
    });
    // It may begin to look only after the first change, so there are several.
    for round in 0.. {
        if noticing.is_finished() {
            break;
        }
        let code = Operation::Deploy(Box::new(new_code(PROJECTION, &format!("{round}"), Mode::Continue)));
        assert!(ask(&*bed.store, PROJECTION, code).await.unwrap().changed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    noticing.await.unwrap().unwrap();
    other.close().await;
}
