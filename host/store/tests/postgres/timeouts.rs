//! Work that the database cuts short because it takes longer than is allowed is done in smaller pieces.

use kennel_core::change::Expectation;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome, ReadQuery, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::{ReadModelId, Scope};
use kennel_store::Store;
use sqlx::Row as _;

use super::{open, sql, store, stranger};
use kennel_store::Mode;
use kennel_test_support::conformance::{agree, batch, change, claim, commit, deploy, of, put};
use kennel_test_support::samples::event;

/// Each row takes so long, so that a statement with many of them takes too long.
const ROW_MS: u32 = 10;
const TIMEOUT_MS: u32 = 300;
const ROWS: u64 = 120;

/// A commit of so many documents.
fn documents(id: ReadModelId, generation: Generation, rows: u64) -> Commit {
    let changes = (0..rows).map(|row| change(&format!("{row:03}"), put("{}"), Expectation::Unread, row + 1));
    Commit { changes: of("c", changes.collect()), ..batch(id, generation, 1, 2) }
}

/// A database with a collection, and a store whose statements are ended after a while.
async fn hurried() -> (String, Store, ReadModelId, Generation, String) {
    let (url, first) = store().await;
    let id = deploy(&*first, "p").await.read_model;
    let generation = agree(&*first, Generation::NONE, 1).await;
    claim(&*first, generation, id, HashRange::ALL).await;
    commit(&*first, &Commit { ..batch(id, generation, 0, 1) }).await;
    let one = documents(id, generation, 1);
    commit(&*first, &Commit { changes: one.changes, ..batch(id, generation, 1, 1) }).await;
    first.close().await;
    let mut other = stranger(&url).await;
    let row = sqlx::query("SELECT table_name FROM kennel.collection").fetch_one(&mut other).await.unwrap();
    let table: String = row.get(0);
    let table = table.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(".");
    let store =
        open(&format!("{url}?options[statement_timeout]={TIMEOUT_MS}"), Mode::ReadWrite).await.unwrap();
    (url, store, id, generation, table)
}

#[tokio::test]
async fn a_commit_that_takes_too_long_is_cut_short_and_a_smaller_one_fits() {
    let (url, store, id, generation, table) = hurried().await;
    let mut other = stranger(&url).await;
    let slow = format!(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep({}); RETURN NEW; END $$; \
         CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION slow()",
        f64::from(ROW_MS) / 1000.0
    );
    sql(&mut other, &slow).await;
    let outcome = store.commit(&documents(id, generation, ROWS)).await.unwrap();
    let CommitOutcome::CutShort { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("statement timeout") && reason.contains("writing documents"), "{reason}");
    commit(&*store, &documents(id, generation, 5)).await;
}

/// The session is ended by a transaction timeout of later releases, by limits of memory and of temporary files; they
/// are distinguished by their codes alone.
#[tokio::test]
async fn whatever_ends_a_commit_for_its_size_cuts_it_short() {
    let (url, store, id, generation, table) = hurried().await;
    let mut other = stranger(&url).await;
    for code in ["25P04", "53200", "53400", "55P03", "57014"] {
        let raise = format!(
            "CREATE OR REPLACE FUNCTION end_it() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'too much' USING ERRCODE = '{code}'; END $$; \
             CREATE OR REPLACE TRIGGER end_it AFTER INSERT OR UPDATE ON {table} EXECUTE FUNCTION end_it()"
        );
        let raise = raise.replace(
            "CREATE OR REPLACE TRIGGER",
            &format!("DROP TRIGGER IF EXISTS end_it ON {table}; CREATE TRIGGER"),
        );
        sql(&mut other, &raise).await;
        let outcome = store.commit(&documents(id, generation, 2)).await.unwrap();
        assert!(
            matches!(&outcome, CommitOutcome::CutShort { reason } if reason.contains("too much")),
            "{code} {outcome:?}"
        );
    }
    sql(&mut other, &format!("DROP TRIGGER end_it ON {table}")).await;
    commit(&*store, &documents(id, generation, 2)).await;
}

#[tokio::test]
async fn reads_of_documents_that_take_too_long_are_done_in_pieces() {
    let (url, store, id, generation, table) = hurried().await;
    commit(&*store, &documents(id, generation, ROWS)).await;
    let mut other = stranger(&url).await;
    slow_view(&mut other, &table, "documents").await;
    let keys: Vec<String> = (0..ROWS).map(|row| format!("{row:03}")).collect();
    let wanted = [Wanted { collection: "c".to_owned(), keys: keys.clone() }];
    let found = store.fetch(id, &wanted).await.unwrap().remove(0);
    assert!(found.len() == keys.len() && found.iter().all(Option::is_some));
    let scanned = store.scan(id, "c", None, "", 100).await.unwrap();
    assert_eq!(scanned.iter().map(|found| found.key.clone()).collect::<Vec<_>>(), keys[..100]);
    let rest = store.scan(id, "c", Some("099"), "", 100).await.unwrap();
    assert_eq!(rest.len() as u64, ROWS - 100);
}

#[tokio::test]
async fn reads_of_the_log_that_take_too_long_are_done_in_pieces() {
    let (url, store, ..) = hurried().await;
    let events: Vec<_> = (1..=u128::from(ROWS)).map(|number| event(number, &format!("a{number}"))).collect();
    store.append(&events).await.unwrap();
    let mut other = stranger(&url).await;
    slow_view(&mut other, "public.events", "kept_events").await;
    let scope = Scope::default();
    let mut positions = Vec::new();
    let mut after = Position::START;
    while after < Position::new(ROWS) {
        let upto = Position::new(ROWS);
        let query = ReadQuery { after, upto, scope: &scope, ranges: &[HashRange::ALL], limit: 1000 };
        let page = store.read(query).await.unwrap();
        assert!(page.reached > after, "it makes no progress at {after}");
        positions.extend(page.events.iter().map(|event| event.position.get()));
        after = page.reached;
    }
    assert_eq!(positions, (1..=ROWS).collect::<Vec<_>>());
}

/// Puts a view in place of a table that takes its time with each row.
async fn slow_view(connection: &mut sqlx::PgConnection, table: &str, name: &str) {
    let seconds = f64::from(ROW_MS) / 1000.0;
    let unquoted = table.rsplit('.').next().unwrap();
    let namespace = table.strip_suffix(unquoted).unwrap();
    sql(
        connection,
        &format!(
            "ALTER TABLE {table} RENAME TO {name}; \
             CREATE VIEW {table} AS SELECT * FROM {namespace}{name} WHERE pg_sleep({seconds}) IS NOT NULL"
        ),
    )
    .await;
}
