//! A read model is built anew beside the one that serves, replaces it, and is rolled back: while events are appended,
//! and while a reader queries the views without pause. What becomes of all that when processes are killed is in
//! `rebuild/kills.rs`.
//!
//! These tests take turns, since they want the whole machine, and are a test binary by themselves.

#![expect(clippy::print_stdout, reason = "figures are what these tests are for")]

mod kills;

use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kennel_tests::binary::{Kennel, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::fixture::{Family, Fixture, Judgement, NAME, digest, judge, timed};
use kennel_tests::load::{Load, backlog};
use kennel_tests::reader::Reader;
use serde_json::{Value, json};

const LARGE: u64 = 200_000;
const SMALL: u64 = 5_000;
const EVENTS_PER_SECOND: u64 = 500;
/// On a busy machine.
const LONG: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_secs(30);
/// How long the serving read model is watched before anything is built.
const STEADY: Duration = Duration::from_secs(2);

#[test]
fn two_hundred_thousand_events_are_rebuilt_while_the_old_model_answers_on_postgres() {
    large(&Fixture::postgres());
}

#[test]
fn two_hundred_thousand_events_are_rebuilt_while_the_old_model_answers_on_sqlite() {
    large(&Fixture::sqlite());
}

#[test]
fn other_code_is_compared_promoted_rolled_back_and_cancelled_on_postgres() {
    operations(&Fixture::postgres());
}

#[test]
fn other_code_is_compared_promoted_rolled_back_and_cancelled_on_sqlite() {
    operations(&Fixture::sqlite());
}

fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `counter` over a large log: how the build shows, what it costs the serving read model, and that it is right.
fn large(fixture: &Fixture) {
    let _alone = alone();
    let (kind, mut database) = (fixture.kind(), fixture.database());
    backlog(&mut database, LARGE);
    let component = guest("counter");
    fixture.kennel.ok(&["deploy", "counter", component.to_str().expect("a UTF-8 path")]);
    let processes = fixture.start();
    let ((), seconds) = timed(|| wait_until("all is handled", LONG, || database.lag("counter") == 0));
    println!("{kind}: the first {LARGE} events in {seconds:.1} s");
    let load = Load::start(fixture.database(), EVENTS_PER_SECOND, 0);
    let reader = Reader::start(fixture.database(), grows(database.view("counter", "counts")));

    let steady = now();
    let mut before = Vec::new();
    wait_until("the steady phase is over", SOON, || {
        before.push(database.lag("counter"));
        steady.elapsed() > STEADY
    });
    let (during, seconds) = timed(|| build(&fixture.kennel, &mut database));
    println!("{kind}: built anew in {seconds:.1} s, at {EVENTS_PER_SECOND} further events a second");
    let ((usual, most), (busy, peak)) = (spread(before), spread(during));
    println!(
        "{kind}: the serving read model is behind by (median, maximum): {usual}, {most} events; while another is built: \
         {busy}, {peak}"
    );
    assert!(
        busy <= usual + EVENTS_PER_SECOND,
        "the serving read model falls behind by a second's worth of events and more"
    );

    let deployments = |outcome: &str| outcomes(&fixture.kennel, "counter", outcome);
    assert_eq!((deployments("serving"), deployments("superseded")), (vec![2], vec![1]));
    let diff = fixture.kennel.run(&["diff", "counter", "--json"]).stdout;
    let diff: Value = serde_json::from_str(&diff).expect("JSON");
    // The old read model makes no progress, and the serving one does.
    assert_ne!(diff["verdict"], "different", "{diff}");
    let ((), seconds) = timed(|| drop(fixture.kennel.ok(&["rollback", "counter"])));
    println!("{kind}: rolled back in {seconds:.1} s");
    assert_eq!((deployments("serving"), deployments("superseded")), (vec![3], vec![1, 2]));

    let events = LARGE + load.end();
    wait_until("everything is handled", SOON, || database.lag("counter") == 0);
    let seen = reader.end();
    println!("{kind}: the views answered {} queries, the slowest in {:?}", seen.queries, seen.slowest);
    assert!(seen.queries > 100, "{} queries prove little", seen.queries);
    assert_eq!(seen.answers.last(), Some(&events));
    // What was built anew is the one that was rolled back from: both must be right.
    assert_eq!(wrong_counts(&mut database), 0);
    fixture.kennel.ok(&["rollback", "counter", "--to", "2"]);
    assert_eq!(deployments("serving"), [4]);
    assert_eq!(wrong_counts(&mut database), 0);
    drop(processes);
}

/// How many events the documents of `counter` have counted: never fewer than before.
fn grows(view: String) -> impl FnMut(&mut Database) -> u64 {
    let mut before = [0; 3];
    move |database| {
        let sql = format!(
            "SELECT count(*), sum(CAST(document->>'events' AS BIGINT)), max(CAST(document->>'last_position' AS BIGINT))
             FROM {view}"
        );
        let found: [u64; 3] = database.numbers(&sql);
        let fewer = found.iter().zip(&before).any(|(found, before)| found < before);
        assert!(
            !fewer,
            "documents, events counted, and last position went back from {before:?} to {found:?}"
        );
        before = found;
        found[1]
    }
}

/// Has the serving read model built anew until it is replaced. Follows how that shows, and returns how far behind
/// the serving one was meanwhile.
fn build(kennel: &Kennel, database: &mut Database) -> Vec<u64> {
    let mut command = Background::start(kennel, &["rebuild", "counter", "--json"]);
    let (mut lag, mut positions, mut estimates) = (Vec::new(), Vec::new(), 0);
    let mut looked = now();
    wait_until("the read model is built", LONG, || {
        lag.push(database.lag("counter"));
        if looked.elapsed() > Duration::from_millis(300) {
            looked = now();
            let build = kennel.status("counter")["candidate"].take();
            if build.is_object() {
                let number = |field: &str| build[field].as_u64().expect("a number");
                assert_eq!(build["deployment"], 2);
                assert!(number("position") + number("remaining") >= LARGE, "{build}");
                positions.push(number("position"));
                // Unknown only before it has moved.
                let left = build["seconds_left"].as_f64();
                assert_eq!(left.is_some(), number("position") > 0, "{build}");
                estimates += usize::from(left.is_some_and(|left| left > 0.0));
            }
        }
        command.has_ended()
    });
    let reported = command.reported();
    assert_eq!((&reported["changed"], &reported["deployment"]), (&json!(true), &json!(2)));
    assert_eq!(reported["projection"]["serving"], 2, "{reported}");
    assert!(positions.is_sorted(), "the build went back: {positions:?}");
    assert!(positions.len() >= 3 && estimates >= 2, "too little seen of the build: {positions:?}");
    lag
}

/// Documents of `counter` that are not what the log says, and those of no aggregate.
fn wrong_counts(database: &mut Database) -> u64 {
    let view = database.view("counter", "counts");
    let [aggregates, wrong] = database.numbers(&format!(
        "SELECT count(*), count(*) FILTER (WHERE d.key IS NULL OR CAST(d.document->>'events' AS BIGINT) <> t.events
           OR CAST(d.document->>'last_position' AS BIGINT) <> t.last)
         FROM (SELECT aggregate_id, count(*) AS events, max(global_position) AS last FROM events GROUP BY aggregate_id) t
         LEFT JOIN {view} d ON d.key = t.aggregate_id"
    ));
    let [documents] = database.numbers(&format!("SELECT count(*) FROM {view}"));
    wrong + documents.abs_diff(aggregates)
}

/// `audit-log` and other code than that, which writes other documents, through every operation that there is.
fn operations(fixture: &Fixture) {
    let _alone = alone();
    let (kind, mut database, kennel) = (fixture.kind(), fixture.database(), &fixture.kennel);
    let [first, second] = [Family::First, Family::Second].map(|family| fixture.component(family, 0));
    backlog(&mut database, SMALL);
    kennel.ok(&["deploy", NAME, &first]);
    let processes = fixture.start();
    wait_until("all is handled", LONG, || database.lag(NAME) == 0);
    let load = Load::start(fixture.database(), EVENTS_PER_SECOND, 0);
    let reader = Reader::start(fixture.database(), whole(&database));

    let deploy = ["deploy", NAME, &second, "--mode", "rebuild", "--promote", "manual"];
    let reported = kennel.ok(&deploy);
    assert!(
        reported.contains("`kennel diff audit-log` compares it, `kennel promote audit-log` promotes it"),
        "{reported}"
    );
    let build = kennel.status(NAME)["candidate"].take();
    assert_eq!((&build["deployment"], &build["promotion"]), (&json!(2), &json!("manual")));
    check_difference(kennel);
    // Once more: it is being built already, and no other operation has come in between.
    let again = kennel.json(&[&deploy[..], &["--json"]].concat());
    assert_eq!((&again["changed"], &again["deployment"]), (&json!(false), &json!(2)));
    assert_eq!(outcomes(kennel, NAME, "serving"), [1], "no promotion was requested");
    let ((), seconds) = timed(|| drop(kennel.ok(&["promote", NAME])));
    println!("{kind}: promoted {seconds:.2} s after the request");
    assert_eq!((outcomes(kennel, NAME, "serving"), outcomes(kennel, NAME, "superseded")), (vec![2], vec![1]));
    wait_until("events are handled by the second", SOON, || judge(&mut database, 0).by_the_second > SMALL);
    let ((), seconds) = timed(|| drop(kennel.ok(&["rollback", NAME, "--reason", "other documents"])));
    println!("{kind}: rolled back in {seconds:.2} s");
    let back = fixture.deployments().pop().expect("a deployment");
    assert_eq!((&back["origin"], &back["reason"]), (&json!("rollback"), &json!("other documents")));
    assert_eq!((&back["component"], &back["outcome"]), (&json!(digest(&first)), &json!("serving")));

    check_same(fixture, &mut database, load);
    check_cancel(fixture, &mut database);
    let seen = reader.end();
    println!("{kind}: the views answered {} queries, the slowest in {:?}", seen.queries, seen.slowest);
    assert_eq!(seen.answers, [Family::First, Family::Second, Family::First], "which model people saw");
    drop(processes);
}

/// Which model the views show: one of the two whole, never some of both, and never fewer documents than before.
fn whole(database: &Database) -> impl FnMut(&mut Database) -> Family + use<> {
    let (events, aggregates) = (database.view(NAME, "events"), database.view(NAME, "aggregates"));
    let mut before = [0; 2];
    move |database| {
        // One statement sees both views at one moment.
        let [documents, first, second, last, last_of_aggregates] = database.numbers(&format!(
            "SELECT count(*), count(*) FILTER (WHERE document->>'count' IS NOT NULL),
               count(*) FILTER (WHERE document->>'tally' IS NOT NULL),
               coalesce(max(CAST(document->>'position' AS BIGINT)), 0),
               (SELECT coalesce(max(CAST(document->>'position' AS BIGINT)), 0) FROM {aggregates})
             FROM {events}"
        ));
        assert_eq!(last, last_of_aggregates, "the two collections are of different moments");
        let found = [documents, last];
        let fewer = found.iter().zip(&before).any(|(found, before)| found < before);
        assert!(!fewer, "documents and last position went back from {before:?} to {found:?}");
        before = found;
        match (documents - first, documents - second) {
            (0, all) if all == documents => Family::First,
            (all, 0) if all == documents => Family::Second,
            _ => panic!("of {documents} documents {first} are of the first and {second} of the second"),
        }
    }
}

/// The serving read model and the one that other code has built differ, and the comparison reports it.
fn check_difference(kennel: &Kennel) {
    let printed = kennel.run(&["diff", NAME, "--json", "--samples", "3"]);
    assert_eq!(printed.code, Some(8), "{}\n{}", printed.stdout, printed.stderr);
    let diff: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    assert_eq!(diff["verdict"], "different");
    let events =
        diff["collections"].as_array().and_then(|all| all.iter().find(|one| one["collection"] == "events"));
    let events = events.expect("the collection is compared");
    // Documents of events that one of the two may not have handled yet are in motion, and not counted.
    let count = |field: &str| events[field].as_u64().expect("a number");
    assert!(count("different") > SMALL / 2, "{events}");
    assert!(count("different") + count("in_motion") >= SMALL, "{events}");
    assert_eq!(
        (&events["only_serving"], &events["only_other"], &events["equal"]),
        (&json!(0), &json!(0), &json!(0))
    );
    let samples = events["samples"].as_array().expect("samples");
    assert_eq!(samples.len(), 3);
    assert!(samples.iter().all(|one| one["serving"]["count"] == 1 && one["other"]["tally"] == 1), "{events}");
}

/// The same code over the same log gives the same documents, compared by Kennel and by the database.
fn check_same(fixture: &Fixture, database: &mut Database, load: Load) {
    let kennel = &fixture.kennel;
    kennel.ok(&["rebuild", NAME, "--promote", "manual", "--detach"]);
    let first = fixture.component(Family::First, 0);
    kennel.ok(&["deploy", "replay", &first]);
    let events = SMALL + load.end();
    wait_until("everything is handled", SOON, || database.lag(NAME) == 0 && database.lag("replay") == 0);
    wait_until("all is built", SOON, || kennel.status(NAME)["candidate"]["remaining"] == 0);
    let diff = kennel.json(&["diff", NAME, "--json"]);
    assert_eq!(
        (&diff["verdict"], &diff["serving"]["position"]),
        (&json!("identical"), &diff["other"]["position"]),
        "{diff}"
    );
    for collection in diff["collections"].as_array().expect("collections") {
        assert_eq!(collection["in_motion"], 0, "both have caught up: {diff}");
        assert_eq!(collection["equal"], collection["serving_documents"], "{diff}");
    }
    let expected = Judgement { events, not_once: 0, by_the_second: 0, out_of_order: 0 };
    let head = database.head();
    assert_eq!(judge(database, head), expected);
    for collection in ["events", "aggregates"] {
        let (one, other) = (database.view(NAME, collection), database.view("replay", collection));
        let [equal] = database.numbers(&format!(
            "SELECT count(*) FROM {one} a JOIN {other} b ON a.key = b.key
             WHERE CAST(a.document AS TEXT) = CAST(b.document AS TEXT) AND a.revision = b.revision"
        ));
        for view in [one, other] {
            assert_eq!(database.numbers(&format!("SELECT count(*) FROM {view}")), [equal], "{collection}");
        }
    }
}

/// A cancelled candidate is removed with its documents, and nothing else is.
fn check_cancel(fixture: &Fixture, database: &mut Database) {
    let kennel = &fixture.kennel;
    let number = fixture.deployments().len();
    let reported = kennel.ok(&["cancel", NAME]);
    assert_eq!(reported, format!("deployment {number} of `{NAME}` was cancelled\n"));
    assert_eq!(outcomes(kennel, NAME, "cancelled"), [number as u64]);
    assert!(kennel.status(NAME)["candidate"].is_null());
    let read_model = fixture.deployments()[number - 1]["read_model"].clone();
    let collection = database.own("collection");
    wait_until("its tables are gone", SOON, || {
        database.numbers(&format!("SELECT count(*) FROM {collection} WHERE read_model = {read_model}")) == [0]
    });
    let rejected = kennel.run(&["cancel", NAME]);
    assert_eq!(rejected.code, Some(5), "{}", rejected.stderr);
    let head = database.head();
    assert_eq!(judge(database, head).not_once, 0);
}

/// The numbers of the deployments that have come to this.
fn outcomes(kennel: &Kennel, projection: &str, outcome: &str) -> Vec<u64> {
    let reported = kennel.json(&["deployments", projection, "--json"]);
    let all = reported.as_array().expect("a list of deployments");
    all.iter().filter(|one| one["outcome"] == outcome).filter_map(|one| one["number"].as_u64()).collect()
}

/// The middle and the largest.
fn spread(mut measured: Vec<u64>) -> (u64, u64) {
    measured.sort_unstable();
    (measured[measured.len() / 2], measured[measured.len() - 1])
}

/// A command that runs in the background and whose output is wanted.
struct Background(Option<Child>);

impl Background {
    fn start(kennel: &Kennel, arguments: &[&str]) -> Self {
        let mut command = kennel.command(arguments);
        Self(Some(command.stderr(Stdio::inherit()).spawn().expect("kennel starts")))
    }

    fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().expect("the process can be asked").is_some())
    }

    /// What it has printed. It must have succeeded.
    fn reported(mut self) -> Value {
        let child = self.0.take().expect("it was not asked before");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", output.status);
        serde_json::from_slice(&output.stdout).expect("kennel prints JSON")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // An error means that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
