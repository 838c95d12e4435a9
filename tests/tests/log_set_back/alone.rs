//! Only the log goes back: events that were handled are gone, and their positions are given out anew.

use std::time::Duration;

use kennel_tests::binary::{Printed, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::metrics::{self, Served};
use kennel_tests::stage::{NAME, Stage, judge};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A store in which 100 events were handled.
fn handled(stage: &Stage) -> Database {
    let mut database = stage.database();
    append(&mut database, 0, 100);
    handle(stage, &mut database);
    database
}

/// Has a new projection handle the 100 events that there are.
fn handle(stage: &Stage, database: &mut Database) {
    stage.kennel.ok(&["deploy", NAME, guest(NAME).to_str().expect("a UTF-8 path")]);
    stage.kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(judge(database, 100).not_once, 0);
}

/// Appends so many events, with numbers of their own, one aggregate for each ten of them.
fn append(database: &mut Database, first: u64, count: u64) {
    let (payload, digits) = match database {
        Database::Postgres(_) => ("'{}'::bytea", "lpad(to_hex(n), 12, '0')"),
        Database::Sqlite(_) => ("CAST('{}' AS BLOB)", "printf('%012x', n)"),
    };
    let id = format!("'00000000-0000-4000-a000-' || {digits}");
    let id = if matches!(database, Database::Postgres(_)) { format!("({id})::uuid") } else { id };
    let (from, to) = (first + 1, first + count);
    database.rows(&format!(
        "WITH RECURSIVE given(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM given WHERE n < {to})
         INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id, event_type,
           payload)
         SELECT 'Test', 'Case', 'case-' || (n / 10), n, {id}, 'Happened', {payload} FROM given ORDER BY n"
    ));
}

/// Cuts the log after a position: what follows is numbered from there.
fn cut(database: &mut Database, last: u64) {
    database.rows(&format!("DELETE FROM events WHERE global_position > {last}"));
    match database {
        Database::Postgres(_) if last == 0 => {
            database.rows("TRUNCATE events RESTART IDENTITY");
        }
        Database::Postgres(_) => {
            database.rows(&format!("SELECT setval('events_global_position_seq', {last})"));
        }
        Database::Sqlite(_) => {
            database.rows(&format!("UPDATE sqlite_sequence SET seq = {last} WHERE name = 'events'"));
        }
    }
}

/// What the condition of the projection says.
fn condition(stage: &Stage) -> Value {
    let status = stage.kennel.status(NAME);
    assert_eq!(status["state"], "halted", "{status}");
    assert_eq!(status["condition"]["reason"], "log-set-back", "{status}");
    status["condition"]["message"].clone()
}

fn ready(process: &Served) -> (u16, String) {
    metrics::get(process.address(), "/readyz").expect("the host answers")
}

fn accept(stage: &Stage, after: u64) -> Printed {
    let after = after.to_string();
    stage.kennel.run(&["accept-log", NAME, "--after", &after, "--note", "restored"])
}

/// Every event of the log is handled once, and the documents of those that are gone are still there.
fn assert_all_handled(stage: &Stage, database: &mut Database, gone: u64) {
    let head = database.head();
    let began = now();
    wait_until("the log is handled", PATIENCE * 2, || {
        let status = stage.kennel.status(NAME);
        assert!(began.elapsed() < PATIENCE, "it should be at {head}: {status:#}");
        status["position"] == head
    });
    let judged = judge(database, head);
    assert_eq!((judged.events, judged.not_once), (database_events(database), gone), "{judged:?}");
}

fn database_events(database: &mut Database) -> u64 {
    let [events] = database.numbers("SELECT count(*) FROM events");
    events
}

fn a_shorter_log_halts_and_is_accepted(stage: &Stage) {
    let mut database = handled(stage);
    let process = Served::start(&stage.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    cut(&mut database, 60);
    wait_until("it is halted", PATIENCE, || ready(&process).0 == 503);
    let (_, lines) = ready(&process);
    let expected = "the log ends at 60, but events up to 100 were handled";
    assert!(lines.contains(expected), "{lines}");
    assert!(condition(stage).to_string().contains(expected));
    assert!(condition(stage).to_string().contains("kennel accept-log audit-log --after 60"));
    assert_eq!(process.scrape().sum("kennel_projection_halted", &[("projection", NAME)]), Some(1.0));
    assert!(process.scrape().sum("kennel_log_incarnations_total", &[]).is_some_and(|times| times >= 1.0));
    let printed = stage.kennel.ok(&["status"]);
    assert!(printed.contains(expected) && printed.contains("kennel rebuild audit-log"), "{printed}");

    // It grows beyond what was handled: nothing is taken for handled.
    append(&mut database, 100, 50);
    wait_until("the new end is seen", PATIENCE, || stage.kennel.json(&["status", "--json"])["head"] == 110);
    assert!(condition(stage).to_string().contains("the log does not hold it there any more"));
    assert_eq!(judge(&mut database, 60).not_once, 40, "documents of events that are gone");
    assert!(condition(stage).to_string().contains("--after 60"), "{}", condition(stage));

    let declined = accept(stage, 111);
    assert_eq!(declined.code, Some(4), "{}", declined.stderr);
    let accepted = accept(stage, 60);
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert_all_handled(stage, &mut database, 40);
    wait_until("it is ready again", PATIENCE, || ready(&process).0 == 200);
    assert_eq!(process.scrape().sum("kennel_projection_halted", &[("projection", NAME)]), Some(0.0));
    let orders = stage.kennel.json(&["orders", NAME, "--json"]);
    let last = orders.as_array().and_then(|orders| orders.last()).expect("an order");
    assert_eq!((&last["order"], &last["note"]), (&"accept-log after 60".into(), &"restored".into()));
    let again = accept(stage, 60);
    assert_eq!(again.code, Some(5), "{}", again.stderr);
    assert!(again.stderr.contains("nothing to accept"), "{}", again.stderr);
}

#[test]
fn a_shorter_log_halts_and_is_accepted_on_postgres() {
    a_shorter_log_halts_and_is_accepted(&Stage::postgres());
}

#[test]
fn a_shorter_log_halts_and_is_accepted_on_sqlite() {
    a_shorter_log_halts_and_is_accepted(&Stage::sqlite());
}

/// The log grows to exactly where it was, or beyond, before anybody looks.
fn a_log_that_was_written_anew_is_found_out(stage: &Stage) {
    let mut database = handled(stage);
    for new in [40, 90] {
        cut(&mut database, 60);
        append(&mut database, 1000 + new, new);
        let ended = stage.kennel.run(&["run", "--until-caught-up"]);
        assert_eq!(ended.code, Some(8), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("was handled, and the log does not hold it there any more"),
            "{}",
            ended.stderr
        );
        assert!(condition(stage).to_string().contains("--after 60"), "{}", condition(stage));
    }
    // The other way on: from the start, beside the one that is halted, although that has gone farther than the log does.
    cut(&mut database, 70);
    let process = Served::start(&stage.kennel, &[]);
    stage.kennel.ok(&["rebuild", NAME, "--note", "the log was set back"]);
    let serving = stage.kennel.status(NAME);
    assert_eq!((&serving["state"], &serving["condition"]), (&"running".into(), &Value::Null), "{serving}");
    assert_all_handled(stage, &mut database, 0);
    append(&mut database, 2000, 5);
    assert_all_handled(stage, &mut database, 0);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
}

#[test]
fn a_log_that_was_written_anew_is_found_out_on_postgres() {
    a_log_that_was_written_anew_is_found_out(&Stage::postgres());
}

#[test]
fn a_log_that_was_written_anew_is_found_out_on_sqlite() {
    a_log_that_was_written_anew_is_found_out(&Stage::sqlite());
}

fn a_log_that_begins_anew_under_a_running_host_is_found_out(stage: &Stage) {
    let mut database = handled(stage);
    let process = Served::start(&stage.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    cut(&mut database, 0);
    append(&mut database, 5000, 100);
    wait_until("it is halted", PATIENCE, || ready(&process).0 == 503);
    assert_eq!(accept(stage, 0).code, Some(0));
    assert_all_handled(stage, &mut database, 100);
}

#[test]
fn a_log_that_begins_anew_under_a_running_host_is_found_out_on_postgres() {
    a_log_that_begins_anew_under_a_running_host_is_found_out(&Stage::postgres());
}

#[test]
fn a_log_that_begins_anew_under_a_running_host_is_found_out_on_sqlite() {
    a_log_that_begins_anew_under_a_running_host_is_found_out(&Stage::sqlite());
}

#[test]
fn an_events_table_that_is_restored_from_an_older_dump_is_found_out() {
    let stage = Stage::postgres();
    let mut database = stage.database();
    append(&mut database, 0, 60);
    let dump = stage.dump("events");
    append(&mut database, 60, 40);
    handle(&stage, &mut database);
    let process = Served::start(&stage.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    stage.restore(&dump);
    append(&mut database, 100, 50);
    wait_until("it is halted", PATIENCE, || {
        let (status, lines) = ready(&process);
        status == 503 && lines.contains("does not hold it there any more")
    });
    assert!(condition(&stage).to_string().contains("--after 60"), "{}", condition(&stage));
    assert_eq!(accept(&stage, 60).code, Some(0));
    assert_all_handled(&stage, &mut database, 40);
}

#[test]
fn a_sqlite_file_that_is_put_back_goes_on_from_where_it_was() {
    let stage = Stage::sqlite();
    let file = stage.kennel.folder().join("kennel.db");
    let mut database = stage.database();
    append(&mut database, 0, 100);
    handle(&stage, &mut database);
    let copy = stage.kennel.folder().join("copy.db");
    database.rows(&format!("VACUUM INTO '{}'", copy.display()));
    append(&mut database, 100, 100);
    stage.kennel.ok(&["run", "--until-caught-up"]);
    drop(database);
    // What SQLite keeps beside it belongs to the file that was there.
    for beside in ["kennel.db-wal", "kennel.db-shm"] {
        let _ = std::fs::remove_file(stage.kennel.folder().join(beside));
    }
    std::fs::rename(copy, &file).expect("the copy can be put in place");
    let mut database = stage.database();
    append(&mut database, 500, 150);
    stage.kennel.ok(&["run", "--until-caught-up"]);
    assert_all_handled(&stage, &mut database, 0);
    assert_eq!(database.head(), 250);
}
