//! Only the log goes back: events that were handled are gone, and their positions are given out anew.

use std::time::Duration;

use kennel_tests::binary::{Printed, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::fixture::{Fixture, NAME, judge};
use kennel_tests::metrics::{self, Served};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// A store in which 100 events were handled.
fn handled(fixture: &Fixture) -> Database {
    let mut database = fixture.database();
    append(&mut database, 0, 100);
    handle(fixture, &mut database);
    database
}

/// Has a new projection handle the 100 events that there are.
fn handle(fixture: &Fixture, database: &mut Database) {
    fixture.kennel.ok(&["deploy", NAME, guest(NAME).to_str().expect("a UTF-8 path")]);
    fixture.kennel.ok(&["run", "--until-caught-up"]);
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
fn condition(fixture: &Fixture) -> Value {
    let status = fixture.kennel.status(NAME);
    assert_eq!(status["state"], "halted", "{status}");
    let condition = &status["conditions"][0];
    assert_eq!(
        (&condition["reason"], &condition["source"]),
        (&"LogSetBack".into(), &"store".into()),
        "{status}"
    );
    condition["message"].clone()
}

fn ready(process: &Served) -> (u16, String) {
    metrics::get(process.address(), "/readyz").expect("the host answers")
}

fn accept(fixture: &Fixture, after: u64) -> Printed {
    let after = after.to_string();
    fixture.kennel.run(&["accept-log", NAME, "--after", &after, "--reason", "restored"])
}

/// Every event of the log is handled once, and the documents of those that are gone are still there.
fn assert_all_handled(fixture: &Fixture, database: &mut Database, gone: u64) {
    let head = database.head();
    let began = now();
    wait_until("the log is handled", PATIENCE * 2, || {
        let status = fixture.kennel.status(NAME);
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

fn a_shorter_log_halts_and_is_accepted(fixture: &Fixture) {
    let mut database = handled(fixture);
    let process = Served::start(&fixture.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    cut(&mut database, 60);
    wait_until("it is halted", PATIENCE, || ready(&process).0 == 503);
    let (_, lines) = ready(&process);
    let expected = "the log ends at 60, but events up to 100 were handled";
    assert!(lines.contains(expected), "{lines}");
    assert!(condition(fixture).to_string().contains(expected));
    assert!(condition(fixture).to_string().contains("kennel accept-log audit-log --after 60"));
    assert_eq!(process.scrape().sum("kennel_projection_halted", &[("projection", NAME)]), Some(1.0));
    assert!(process.scrape().sum("kennel_log_incarnations_total", &[]).is_some_and(|times| times >= 1.0));
    let printed = fixture.kennel.ok(&["status"]);
    assert!(printed.contains(expected) && printed.contains("kennel rebuild audit-log"), "{printed}");

    // It grows beyond what was handled: nothing is taken for handled.
    append(&mut database, 100, 50);
    wait_until("the new end is seen", PATIENCE, || fixture.kennel.json(&["status", "--json"])["head"] == 110);
    assert!(condition(fixture).to_string().contains("the log does not hold it there any more"));
    assert_eq!(judge(&mut database, 60).not_once, 40, "documents of events that are gone");
    assert!(condition(fixture).to_string().contains("--after 60"), "{}", condition(fixture));

    let rejected = accept(fixture, 111);
    assert_eq!(rejected.code, Some(4), "{}", rejected.stderr);
    let accepted = accept(fixture, 60);
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert_all_handled(fixture, &mut database, 40);
    wait_until("it is ready again", PATIENCE, || ready(&process).0 == 200);
    assert_eq!(process.scrape().sum("kennel_projection_halted", &[("projection", NAME)]), Some(0.0));
    let operations = fixture.kennel.json(&["operations", NAME, "--json"]);
    let last = operations.as_array().and_then(|operations| operations.last()).expect("an operation");
    assert_eq!((&last["operation"], &last["detail"]), (&"accept-log".into(), &"after 60".into()));
    assert_eq!(last["reason"], "restored");
    let again = accept(fixture, 60);
    assert_eq!(again.code, Some(5), "{}", again.stderr);
    assert!(again.stderr.contains("nothing to accept"), "{}", again.stderr);
}

#[test]
fn a_shorter_log_halts_and_is_accepted_on_postgres() {
    a_shorter_log_halts_and_is_accepted(&Fixture::postgres());
}

#[test]
fn a_shorter_log_halts_and_is_accepted_on_sqlite() {
    a_shorter_log_halts_and_is_accepted(&Fixture::sqlite());
}

/// The log grows to exactly where it was, or beyond, before any process looks.
fn a_log_that_was_written_anew_is_found_out(fixture: &Fixture) {
    let mut database = handled(fixture);
    for new in [40, 90] {
        cut(&mut database, 60);
        append(&mut database, 1000 + new, new);
        let ended = fixture.kennel.run(&["run", "--until-caught-up"]);
        assert_eq!(ended.code, Some(8), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("was handled, and the log does not hold it there any more"),
            "{}",
            ended.stderr
        );
        assert!(condition(fixture).to_string().contains("--after 60"), "{}", condition(fixture));
    }
    // The other way on: from the start, beside the one that is halted, although that has gone farther than the log does.
    cut(&mut database, 70);
    let process = Served::start(&fixture.kennel, &[]);
    fixture.kennel.ok(&["rebuild", NAME, "--reason", "the log was set back"]);
    let serving = fixture.kennel.status(NAME);
    assert_eq!(
        (&serving["state"], &serving["conditions"]),
        (&"running".into(), &Value::Array(Vec::new())),
        "{serving}"
    );
    assert_all_handled(fixture, &mut database, 0);
    append(&mut database, 2000, 5);
    assert_all_handled(fixture, &mut database, 0);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
}

#[test]
fn a_log_that_was_written_anew_is_found_out_on_postgres() {
    a_log_that_was_written_anew_is_found_out(&Fixture::postgres());
}

#[test]
fn a_log_that_was_written_anew_is_found_out_on_sqlite() {
    a_log_that_was_written_anew_is_found_out(&Fixture::sqlite());
}

fn a_log_that_begins_anew_under_a_running_host_is_found_out(fixture: &Fixture) {
    let mut database = handled(fixture);
    let process = Served::start(&fixture.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    cut(&mut database, 0);
    append(&mut database, 5000, 100);
    wait_until("it is halted", PATIENCE, || ready(&process).0 == 503);
    assert_eq!(accept(fixture, 0).code, Some(0));
    assert_all_handled(fixture, &mut database, 100);
}

#[test]
fn a_log_that_begins_anew_under_a_running_host_is_found_out_on_postgres() {
    a_log_that_begins_anew_under_a_running_host_is_found_out(&Fixture::postgres());
}

#[test]
fn a_log_that_begins_anew_under_a_running_host_is_found_out_on_sqlite() {
    a_log_that_begins_anew_under_a_running_host_is_found_out(&Fixture::sqlite());
}

#[test]
fn an_events_table_that_is_restored_from_an_older_dump_is_found_out() {
    let fixture = Fixture::postgres();
    let mut database = fixture.database();
    append(&mut database, 0, 60);
    let dump = fixture.dump("events");
    append(&mut database, 60, 40);
    handle(&fixture, &mut database);
    let process = Served::start(&fixture.kennel, &[]);
    wait_until("it is ready", PATIENCE, || ready(&process).0 == 200);
    fixture.restore(&dump);
    append(&mut database, 100, 50);
    wait_until("it is halted", PATIENCE, || {
        let (status, lines) = ready(&process);
        status == 503 && lines.contains("does not hold it there any more")
    });
    assert!(condition(&fixture).to_string().contains("--after 60"), "{}", condition(&fixture));
    assert_eq!(accept(&fixture, 60).code, Some(0));
    assert_all_handled(&fixture, &mut database, 40);
}

#[test]
fn a_sqlite_file_that_is_put_back_goes_on_from_where_it_was() {
    let fixture = Fixture::sqlite();
    let file = fixture.kennel.folder().join("kennel.db");
    let mut database = fixture.database();
    append(&mut database, 0, 100);
    handle(&fixture, &mut database);
    let copy = fixture.kennel.folder().join("copy.db");
    database.rows(&format!("VACUUM INTO '{}'", copy.display()));
    append(&mut database, 100, 100);
    fixture.kennel.ok(&["run", "--until-caught-up"]);
    drop(database);
    // What SQLite keeps beside it belongs to the file that was there.
    for beside in ["kennel.db-wal", "kennel.db-shm"] {
        let _ = std::fs::remove_file(fixture.kennel.folder().join(beside));
    }
    std::fs::rename(copy, &file).expect("the copy can be renamed");
    let mut database = fixture.database();
    append(&mut database, 500, 150);
    fixture.kennel.ok(&["run", "--until-caught-up"]);
    assert_all_handled(&fixture, &mut database, 0);
    assert_eq!(database.head(), 250);
}
