//! Where people find documents: views under names that stay, tables that come and go behind them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kennel_core::change::Expectation;
use kennel_core::lifecycle::{Mode, Operation};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CutoverOutcome};
use kennel_core::projection::ReadModelId;
use kennel_store::Store;
use kennel_test_support::conformance::lifecycle::{PROJECTION, changed, go_back, renew};
use kennel_test_support::conformance::{
    agree, ask, begin_cutover, change, claim, commit, deploy, name, new_code, of, puts, write,
};
use serde_json::{Value, json};
use sqlx::{PgConnection, Row as _};
use tokio::time::Instant;

use super::{sql, store, stranger};

/// A cutover that no session blocks takes no longer.
const PROMOTED_WITHIN: Duration = Duration::from_secs(20);

/// A store with one worker, which moves whatever it is asked to.
pub(super) struct Bed {
    pub(super) url: String,
    pub(super) store: Store,
    pub(super) generation: Generation,
}

impl Bed {
    pub(super) async fn new() -> Self {
        let (url, store) = store().await;
        let generation = agree(&*store, Generation::NONE, 1).await;
        Self { url, store, generation }
    }

    /// A batch that puts documents and moves the read model on by one position.
    pub(super) async fn batch(&self, read_model: ReadModelId, documents: &[(&str, &str, Value)]) -> Commit {
        puts(&*self.store, self.generation, read_model, documents).await
    }

    /// Claims a read model and has a batch take effect on it.
    pub(super) async fn write(&self, read_model: ReadModelId, documents: &[(&str, &str, Value)]) {
        write(&*self.store, self.generation, read_model, documents).await;
    }

    /// Brings the candidate up to date with the serving read model, and completes the cutover.
    pub(super) async fn promote(&self, projection: &str) {
        begin_cutover(&*self.store, self.generation, projection).await;
        self.finish(projection).await;
    }

    /// Tries to complete a cutover until it is done.
    pub(super) async fn finish(&self, projection: &str) {
        let began = Instant::now();
        loop {
            match self.store.complete_cutover(&name(projection)).await.unwrap() {
                CutoverOutcome::Done => return,
                CutoverOutcome::Busy if began.elapsed() < PROMOTED_WITHIN => {}
                other => panic!("{other:?} after {:?}", began.elapsed()),
            }
        }
    }
}

/// The documents of a table or a view, in one line.
pub(super) async fn shown(connection: &mut PgConnection, table: &str) -> String {
    let query = format!("SELECT key || '=' || document::text FROM {table} ORDER BY key");
    let rows = sqlx::query(sqlx::AssertSqlSafe(query)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join(" ")
}

async fn exists(connection: &mut PgConnection, table: &str) -> bool {
    let query = sqlx::query("SELECT to_regclass($1) IS NOT NULL").bind(table);
    query.fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test]
async fn views_show_what_serves_and_nothing_else() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.url).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("both", "k", json!("old")), ("old-only", "k", json!("old"))]).await;
    assert_eq!(shown(&mut people, "order_summary.\"both\"").await, "k=\"old\"");
    assert_eq!(shown(&mut people, "order_summary_1.\"both\"").await, "k=\"old\"");
    // Objects that people have made of the views outlast every cutover.
    sql(
        &mut people,
        "CREATE ROLE people; GRANT USAGE ON SCHEMA order_summary TO people; \
         GRANT SELECT ON order_summary.\"both\", order_summary.old_only TO people; \
         CREATE VIEW public.mine AS SELECT key, document AS d FROM order_summary.old_only; GRANT SELECT ON public.mine TO people",
    )
    .await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("both", "k", json!("new")), ("new only", "k", json!("new"))]).await;
    assert!(!exists(&mut people, "order_summary.new_only").await, "no view shows a candidate");
    assert_eq!(shown(&mut people, "order_summary.\"both\"").await, "k=\"old\"");
    let odd: String = sqlx::query("SELECT table_name FROM kennel.collection WHERE name = 'new only'")
        .fetch_one(&mut people)
        .await
        .unwrap()
        .get(0);
    let odd = odd.replace("order_summary_2", "order_summary");
    for _ in 0..2 {
        bed.promote(PROJECTION).await;
        sql(&mut people, "SET ROLE people").await;
        assert_eq!(shown(&mut people, "order_summary.\"both\"").await, "k=\"new\"");
        assert_eq!(shown(&mut people, "order_summary.old_only").await, "");
        let mine = sqlx::query("SELECT count(*) FROM public.mine").fetch_one(&mut people).await.unwrap();
        assert_eq!(mine.get::<i64, _>(0), 0);
        sql(&mut people, "RESET ROLE").await;
        assert_eq!(shown(&mut people, &odd).await, "k=\"new\"");
        // Collections that the new one makes from now on are shown as well.
        bed.write(new, &[("later", "k", json!(1)), ("old-only", "l", json!("again"))]).await;
        assert_eq!(shown(&mut people, "order_summary.later").await, "k=1");
        assert_eq!(shown(&mut people, "order_summary.old_only").await, "l=\"again\"");
        bed.write(new, &[("old-only", "l", json!("again"))]).await;
        go_back(&*bed.store).await;
        bed.promote(PROJECTION).await;
        assert_eq!(shown(&mut people, "order_summary.\"both\"").await, "k=\"old\"");
        assert_eq!(shown(&mut people, "order_summary.old_only").await, "k=\"old\"");
        assert_eq!(shown(&mut people, "order_summary.later").await, "");
        assert_eq!(shown(&mut people, &odd).await, "");
        go_back(&*bed.store).await;
        delete(&bed, new, "old-only", "l").await;
    }
    // A view is what it was, also when there is nothing behind it.
    let columns = "SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || \
                   coalesce(c.collname, ''), ', ' ORDER BY attnum) FROM pg_attribute a \
                   LEFT JOIN pg_collation c ON c.oid = a.attcollation WHERE a.attnum > 0 AND a.attrelid = to_regclass($1)";
    for view in ["order_summary.\"both\"", "order_summary.later"] {
        let row = sqlx::query(columns).bind(view).fetch_one(&mut people).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "key text C, document jsonb , revision bigint ");
    }
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    assert_eq!(bed.store.collect_garbage().await.unwrap(), 2);
    assert_eq!(shown(&mut people, "order_summary.\"both\"").await, "", "the views outlast everything");
    assert!(!exists(&mut people, "order_summary_1.\"both\"").await);
}

async fn delete(bed: &Bed, read_model: ReadModelId, collection: &str, key: &str) {
    claim(&*bed.store, bed.generation, read_model, HashRange::ALL).await;
    let batch = bed.batch(read_model, &[]).await;
    let gone = change(key, kennel_core::change::Access::Delete, Expectation::Unread, batch.to.position.get());
    commit(&*bed.store, &Commit { changes: of(collection, vec![gone]), ..batch }).await;
}

/// A name that is taken is left to its owner, and the collection that gets another stays apart.
#[tokio::test]
async fn names_that_are_taken_are_left_alone() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.url).await;
    sql(&mut people, "CREATE SCHEMA order_summary_2; CREATE TABLE order_summary_2.orders (mine INT)").await;
    // The stable names of some are those of the read models of others.
    let mut projections = vec!["a", "a_1", "a-1", "a_1_1", "b_2", "b", PROJECTION];
    for projection in &projections {
        let read_model = deploy(&*bed.store, projection).await.read_model;
        bed.write(read_model, &[("orders", "k", json!(projection)), ("lines", "k", json!(projection))]).await;
    }
    projections.pop();
    for projection in ["b", PROJECTION] {
        let life = bed.store.lifecycle(&name(projection)).await.unwrap().unwrap();
        let rebuild = new_code(projection, "next", Mode::Rebuild);
        let asked = ask(&*bed.store, projection, Operation::Deploy(Box::new(rebuild))).await;
        let read_model = asked.unwrap().lifecycle.candidate().unwrap().deployment.read_model;
        assert_ne!(life.serving().unwrap().deployment.read_model, read_model);
        // Of the view's name as well: it is only made when the new one serves.
        sql(&mut people, &format!("CREATE TABLE {}.late (mine INT)", projection.replace('-', "_"))).await;
        bed.write(read_model, &[("orders", "k", json!("next")), ("late", "k", json!("late"))]).await;
        bed.promote(projection).await;
    }
    let views = "SELECT p.projection, p.collection, p.view_name FROM kennel.published p ORDER BY 1, 2";
    let mut reported = String::new();
    for row in sqlx::query(views).fetch_all(&mut people).await.unwrap() {
        let (projection, collection, view): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        writeln!(reported, "{projection} {collection} {}", shown(&mut people, &view).await).unwrap();
    }
    let mut expected = String::new();
    projections.sort_unstable();
    for projection in projections.iter().copied().filter(|name| *name != "b") {
        writeln!(expected, "{projection} lines k=\"{projection}\"\n{projection} orders k=\"{projection}\"")
            .unwrap();
    }
    for (projection, before) in [("b", "b_2"), (PROJECTION, "")] {
        let lines =
            format!("{projection} late k=\"late\"\n{projection} lines \n{projection} orders k=\"next\"\n");
        let at = if before.is_empty() { expected.len() } else { expected.find("b_2").unwrap() };
        expected.insert_str(at, &lines);
    }
    assert_eq!(reported, expected);
    for mine in ["order_summary_2.orders", "order_summary.late", "b.late"] {
        let count = format!("SELECT count(mine) FROM {mine}");
        let row = sqlx::query(sqlx::AssertSqlSafe(count)).fetch_one(&mut people).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{mine}");
    }
    let namespaces = "SELECT count(*), count(DISTINCT namespace) FROM (SELECT namespace FROM kennel.projection \
                  UNION ALL SELECT namespace FROM kennel.read_model) all_namespaces";
    let row = sqlx::query(namespaces).fetch_one(&mut people).await.unwrap();
    assert_eq!((row.get::<i64, _>(0), row.get::<i64, _>(1)), (16, 16));
}

/// Takes down what this thread logs.
struct Log(Arc<Mutex<String>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("kennel")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push_str(&(line.0 + "\n"));
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// An object of another program on a table of a read model keeps it, and the log says so.
#[tokio::test]
async fn what_people_build_on_a_table_keeps_it() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.url).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old")), ("lines", "k", json!("old"))]).await;
    sql(&mut people, "CREATE VIEW mine AS SELECT key, document FROM order_summary_1.orders").await;
    changed(&*bed.store, Operation::Retire { drop: true }).await;
    let said = Arc::new(Mutex::new(String::new()));
    let listening = tracing::subscriber::set_default(Log(Arc::clone(&said)));
    assert_eq!(bed.store.collect_garbage().await.unwrap(), 0);
    drop(listening);
    let said = said.lock().unwrap().clone();
    assert!(said.starts_with("WARN") && said.contains("cannot be removed"), "{said}");
    assert!(
        said.contains("namespace=\"order_summary_1\"") && said.contains("other objects depend on it"),
        "{said}"
    );
    assert_eq!(shown(&mut people, "mine").await, "k=\"old\"", "all of it is still there");
    assert_eq!(shown(&mut people, "order_summary_1.lines").await, "k=\"old\"");
    sql(&mut people, "DROP VIEW mine; CREATE TABLE order_summary_1.mine (n INT)").await;
    assert_eq!(
        bed.store.collect_garbage().await.unwrap(),
        0,
        "nor is the schema taken from its other objects"
    );
    sql(&mut people, "DROP TABLE order_summary_1.mine").await;
    assert_eq!(
        (bed.store.collect_garbage().await.unwrap(), bed.store.collect_garbage().await.unwrap()),
        (1, 0)
    );
    assert!(!exists(&mut people, "order_summary_1.orders").await);
}

/// Another program has put a table where a view was: the cutover fails with a reason, the old one goes on
/// when the cutover is aborted, and the cutover completes once the name is free again.
#[tokio::test]
async fn a_view_that_was_replaced_is_not_overwritten() {
    let bed = Bed::new().await;
    let mut people = stranger(&bed.url).await;
    let old = deploy(&*bed.store, PROJECTION).await.read_model;
    bed.write(old, &[("orders", "k", json!("old"))]).await;
    sql(&mut people, "DROP VIEW order_summary.orders; CREATE TABLE order_summary.orders (mine INT)").await;
    let new = renew(&*bed.store, "2", Mode::Rebuild).await.read_model;
    bed.write(new, &[("orders", "k", json!("new"))]).await;
    let projection = name(PROJECTION);
    assert_eq!(bed.store.begin_cutover(&projection, 0).await.unwrap(), CutoverOutcome::Done);
    let failed = bed.store.complete_cutover(&projection).await.unwrap_err();
    let reason = std::error::Error::source(&failed).unwrap().to_string();
    assert!(reason.contains("\"orders\" is not a view"), "{failed}: {reason}");
    assert_eq!(bed.store.find(&projection).await.unwrap().unwrap().read_model, old);
    bed.store.abort_cutover(&projection).await.unwrap();
    bed.write(old, &[("orders", "k", json!("still"))]).await;
    sql(&mut people, "DROP TABLE order_summary.orders").await;
    bed.promote(PROJECTION).await;
    assert_eq!(shown(&mut people, "order_summary.orders").await, "k=\"new\"");
}
