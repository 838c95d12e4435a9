//! The specifics of SQLite: files, several processes beside each other, durability across them, and the
//! names under which people find documents. Two stores on one file stand for two processes.
#![expect(clippy::unwrap_used, reason = "a failing test should panic")]

mod namespaces;

use std::path::Path;
use std::time::Duration;

use kennel_core::change::Expectation;
use kennel_core::checkpoint::Mark;
use kennel_core::digest::Digest;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, ReadQuery};
use kennel_core::position::Position;
use kennel_core::projection::Scope;
use kennel_core::witness::Witness;
use kennel_store::{ConnectError, ConnectOptions, Mode, Store, StoreUrl};
use kennel_test_support::conformance::{
    agree, batch, change, claim, commit, deploy, document, increment, of, put, witnessed,
};
use kennel_test_support::samples::event;
use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;

async fn open(path: &Path, mode: Mode) -> Result<Store, ConnectError> {
    let options = ConnectOptions { mode, ..ConnectOptions::default() };
    kennel_store::connect(&StoreUrl::Sqlite(path.to_owned()), &options).await
}

#[tokio::test]
async fn a_path_that_is_of_no_use_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("notes.txt"), "these are not the bytes of a database").unwrap();
    std::fs::write(at("short"), "SQLite").unwrap();
    std::fs::write(at("file"), "").unwrap();
    for (name, mode, expected) in [
        (
            "missing.db",
            Mode::Existing,
            "there is no store at DIR/missing.db: create it with `kennel migrate --store sqlite:DIR/missing.db`",
        ),
        (
            "none/a.db",
            Mode::ReadWrite,
            "DIR/none/a.db cannot be created: there is no directory DIR/none; create it first",
        ),
        (
            "",
            Mode::ReadWrite,
            "DIR/ is a directory: give the path of a file in it, such as sqlite:DIR//kennel.db",
        ),
        (
            "notes.txt",
            Mode::ReadWrite,
            "DIR/notes.txt is not a SQLite database: check the path; the file was left as it is",
        ),
        (
            "short",
            Mode::Existing,
            "DIR/short is not a SQLite database: check the path; the file was left as it is",
        ),
    ] {
        let error = open(&at(name), mode).await.unwrap_err().to_string();
        assert_eq!(error.replace(&folder.path().display().to_string(), "DIR"), expected);
    }
    assert_eq!(std::fs::read(at("short")).unwrap(), b"SQLite");
    let error = open(Path::new("/proc/kennel.db"), Mode::ReadWrite).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotWritable { .. }), "{error:?}");
    // An empty file is a database that no process has written to yet.
    open(&at("file"), Mode::Existing).await.unwrap().close().await;
}

#[tokio::test]
async fn a_damaged_file_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    open(&path, Mode::ReadWrite).await.unwrap().close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[16..].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    assert!(open(&path, Mode::ReadWrite).await.is_err());
}

#[tokio::test]
async fn a_store_of_a_newer_kennel_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    open(&path, Mode::ReadWrite).await.unwrap().close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let newer = "INSERT INTO kennel_migration SELECT 9999, 'newer', installed_on, true, checksum, 1 FROM kennel_migration LIMIT 1";
    sqlx::query(newer).execute(&mut other).await.unwrap();
    let error = open(&path, Mode::ReadWrite).await.unwrap_err();
    assert!(error.to_string().contains("made by a newer Kennel"), "{error:?}");
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a folder, with ? and #.db");
    let store = open(&path, Mode::ReadWrite).await.unwrap();
    store.append(&[event(1, "a")]).await.unwrap();
    let id = deploy(&*store, "p").await.read_model;
    let generation = agree(&*store, Generation::NONE, 1).await;
    claim(&*store, generation, id, HashRange::ALL).await;
    let changes = of("Orders", vec![change("a", put("1"), Expectation::Unread, 1)]);
    let batch = witnessed(&*store, Commit { changes, ..batch(id, generation, 0, 1) }).await;
    commit(&*store, &batch).await;
    store.close().await;
    assert!(path.exists());
    assert!(!path.with_extension("db-wal").exists(), "closing moves the log into the file");
    let store = open(&path, Mode::Existing).await.unwrap();
    assert_eq!(store.high_water_mark().await.unwrap().position, Position::new(1));
    assert_eq!(document(&*store, id, "Orders", "a").await, Some((json!(1), 1)));
    assert_eq!(claim(&*store, generation, id, HashRange::ALL).await[0].position, Position::new(1));
}

#[tokio::test]
async fn one_process_runs_a_file_and_others_look_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let running = open(&path, Mode::ReadWrite).await.unwrap();
    let lock = running.acquire_run_lock().unwrap();
    let beside = open(&path, Mode::Existing).await.unwrap();
    let rejected = beside.acquire_run_lock().unwrap_err().to_string();
    assert!(rejected.contains(&format!("is being run by process {}", std::process::id())), "{rejected}");
    beside.append(&[event(1, "a")]).await.unwrap();
    drop(lock);
    beside.acquire_run_lock().unwrap();
}

#[tokio::test]
async fn appends_are_noticed_in_both_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let (ours, theirs) =
        (open(&path, Mode::ReadWrite).await.unwrap(), open(&path, Mode::ReadWrite).await.unwrap());
    let soon = Duration::from_secs(10);
    for number in 1..=3 {
        let hint = tokio::spawn({
            let ours = ours.clone();
            async move { tokio::time::timeout(soon, ours.notification()).await }
        });
        // The eye may open only after the append, so it is repeated until it is seen.
        let mut repeat = 0;
        while !hint.is_finished() {
            repeat += 1;
            theirs.append(&[event(number * 10_000 + repeat, "a")]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        hint.await.unwrap().unwrap();
    }
    let last = [event(99, "a")];
    let (hint, appended) = tokio::join!(tokio::time::timeout(soon, ours.notification()), ours.append(&last));
    hint.unwrap();
    appended.unwrap();
}

/// A writer of events and a committing projection get in each other's way only for a moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_two_processes_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let (ours, theirs) =
        (open(&path, Mode::ReadWrite).await.unwrap(), open(&path, Mode::ReadWrite).await.unwrap());
    let id = deploy(&*ours, "p").await.read_model;
    let generation = agree(&*ours, Generation::NONE, 1).await;
    claim(&*ours, generation, id, HashRange::ALL).await;
    // As far as it goes, the log is there from the beginning.
    let first: Vec<_> = (0..200).map(|number| event(100_000 + number, "b")).collect();
    theirs.append(&first).await.unwrap();
    let appending = tokio::spawn(async move {
        for number in 0..200 {
            let events: Vec<_> = (0..50).map(|i| event(number * 50 + i, "a")).collect();
            theirs.append(&events).await.unwrap();
        }
    });
    for at in 0..200 {
        let changes = of("c", vec![change("n", increment("n", 1), Expectation::Unread, at + 1)]);
        let event_id = uuid::Uuid::from_u128(100_000 + u128::from(at));
        let position = Position::new(at + 1);
        let to = Mark { position, witness: Some(Witness { position, event_id }) };
        commit(&*ours, &Commit { changes, to, ..batch(id, generation, at, at + 1) }).await;
    }
    appending.await.unwrap();
    assert_eq!(document(&*ours, id, "c", "n").await, Some((json!({"n": 200}), 200)));
    assert_eq!(ours.high_water_mark().await.unwrap().head, Position::new(10_200));
}

/// A reader is through in a few steps, however wide the gap.
#[tokio::test]
async fn gaps_are_passed_over() {
    const FAR: u64 = 5_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let store = open(&path, Mode::ReadWrite).await.unwrap();
    store.append(&[event(1, "a"), event(2, "a")]).await.unwrap();
    let mut stranger = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let far = format!("UPDATE events SET global_position = {FAR} WHERE global_position = 2");
    sqlx::raw_sql(sqlx::AssertSqlSafe(far.as_str())).execute(&mut stranger).await.unwrap();
    let upto = store.high_water_mark().await.unwrap().position;
    assert_eq!(upto, Position::new(FAR));
    let (mut after, mut reached) = (Position::START, Vec::new());
    while after < upto {
        let query = ReadQuery { after, upto, scope: &Scope::default(), ranges: &[HashRange::ALL], limit: 1 };
        after = store.read(query).await.unwrap().reached;
        reached.push(after.get());
    }
    assert_eq!(reached, [1, FAR - 1, FAR]);
}

#[tokio::test]
async fn components_that_were_never_deployed_go_in_the_end_and_damaged_ones_are_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let store = open(&path, Mode::ReadWrite).await.unwrap();
    let digest = |code: &str| Digest::of(code.as_bytes());
    for code in ["old", "new"] {
        store.put_component(digest(code), code.as_bytes()).await.unwrap();
    }
    let mut stranger = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let age = format!(
        "UPDATE kennel_component SET wanted_at = wanted_at - 25 * 3600 * 1000000, bytes = x'00' WHERE digest = '{}'",
        digest("old")
    );
    let age = || sqlx::raw_sql(sqlx::AssertSqlSafe(age.as_str()));
    age().execute(&mut stranger).await.unwrap();
    store.put_component(digest("old"), b"old").await.unwrap();
    assert_eq!(store.component(digest("old")).await.unwrap().unwrap(), b"old");
    store.collect_garbage().await.unwrap();
    assert!(store.component(digest("old")).await.unwrap().is_some(), "it was stored again a moment ago");
    age().execute(&mut stranger).await.unwrap();
    store.collect_garbage().await.unwrap();
    let left = ["old", "new"].map(|code| store.component(digest(code)));
    let [old, new] = left;
    assert_eq!((old.await.unwrap(), new.await.unwrap()), (None, Some(b"new".to_vec())));
}

#[tokio::test]
async fn a_condition_that_is_not_reported_again_expires() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kennel.db");
    let store = open(&path, Mode::ReadWrite).await.unwrap();
    let pass = async || {
        let mut stranger = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let age = "UPDATE kennel_condition SET reported_at = reported_at - 600000000";
        sqlx::raw_sql(age).execute(&mut stranger).await.unwrap();
    };
    kennel_test_support::conformance::deployments::a_condition_that_is_not_reported_again_expires(
        &*store, pass,
    )
    .await;
}
