//! What people order about projections, by the command line on SQLite: what is on record of it, what an order does
//! that is given twice or at the wrong time, and what a comparison says before there is anything to compare.

use std::process::Stdio;
use std::time::Duration;

use kennel_tests::binary::{Kennel, Printed, wait_until};
use kennel_tests::components::guest;
use kennel_tests::database::Database;
use kennel_tests::events;
use kennel_tests::metrics::{Served, free_address};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const EVENTS: u64 = 3_000;

/// `audit` with all events handled, and nobody at work.
fn audit() -> Kennel {
    let kennel = Kennel::default();
    let file = kennel.write("events.jsonl", events::log(EVENTS, 50));
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    kennel.ok(&["deploy", "audit", &path("audit-log")]);
    kennel.ok(&["run", "--until-caught-up"]);
    kennel
}

fn path(name: &str) -> String {
    guest(name).to_str().expect("a UTF-8 path").to_owned()
}

#[track_caller]
fn refused(printed: &Printed, code: i32, words: &str) {
    assert_eq!(printed.code, Some(code), "{}\n{}", printed.stdout, printed.stderr);
    assert!(printed.stderr.contains(words), "{}", printed.stderr);
}

/// What a comparison comes to, with the counts of the collection `events`.
#[track_caller]
fn compared(kennel: &Kennel, code: i32) -> (Value, [u64; 4]) {
    let printed = kennel.run(&["diff", "audit", "--json"]);
    assert_eq!(printed.code, Some(code), "{}\n{}", printed.stdout, printed.stderr);
    let diff: Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let events =
        diff["collections"].as_array().and_then(|all| all.iter().find(|one| one["collection"] == "events"));
    let count = |field| events.map_or(0, |events| events[field].as_u64().expect("a number"));
    (diff["verdict"].clone(), ["equal", "only_serving", "only_other", "in_motion"].map(count))
}

#[test]
fn who_has_ordered_what_and_why_is_on_record() {
    let kennel = audit().with("USER", "ada");
    for order in [
        &["pause", "audit", "--note", "the disk is nearly full"][..],
        &["pause", "audit", "--note", "nothing changes"],
        &["resume", "audit"],
        &["rebuild", "audit", "--switch", "manual", "--detach"],
        &["switch", "audit", "--detach", "--note", "looks right"],
        &["cancel", "audit", "--note", "does not"],
        &["retire", "audit"],
        &["retire", "audit", "--drop-read-model", "--note", "gone for good"],
    ] {
        kennel.ok(order);
    }
    let orders = kennel.json(&["orders", "audit", "--json"]);
    let told: Vec<_> = orders
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["order"], &one["deployment"], &one["note"]))
        .collect();
    let expected = [
        ("deploy", Some(1), None),
        ("pause", None, Some("the disk is nearly full")),
        ("resume", None, None),
        ("deploy", Some(2), None),
        ("switch", Some(2), Some("looks right")),
        ("cancel", Some(2), Some("does not")),
        ("retire", None, None),
        ("drop", None, Some("gone for good")),
    ];
    let expected = expected.map(|(order, deployment, note)| (json!(order), json!(deployment), json!(note)));
    assert_eq!(told, expected.iter().map(|(order, number, note)| (order, number, note)).collect::<Vec<_>>());
    assert!(orders[1]["author"].as_str().is_some_and(|author| author.starts_with("ada@")), "{orders}");
    let printed = kennel.ok(&["orders", "audit"]);
    let latest = printed.lines().nth(1).expect("the latest comes first");
    assert!(
        latest.contains("drop") && latest.contains("ada@") && latest.ends_with("gone for good"),
        "{printed}"
    );
    refused(&kennel.run(&["orders", "nobody"]), 7, "there is no projection `nobody`");
}

#[test]
fn a_rollback_that_is_ordered_twice_does_not_bring_back_the_bad_version() {
    let kennel = audit();
    kennel.ok(&["deploy", "audit", &path("audit-log"), "--set", "bad=1"]);
    let told = kennel.ok(&["rollback", "audit"]);
    assert!(told.contains("deployment 3") && told.contains(", as in deployment 1)"), "{told}");
    let again = kennel.run(&["rollback", "audit"]);
    refused(&again, 5, "deployment 3 of `audit` is a rollback already, to deployment 1: say with --to which");
    assert!(kennel.ok(&["deployments", "audit"]).contains("rollback to 1"));
    // Whoever means it says so.
    kennel.ok(&["rollback", "audit", "--to", "2"]);
    let history = kennel.json(&["deployments", "audit", "--json"]);
    let returns: Vec<_> = history.as_array().expect("a list").iter().map(|one| &one["returns_to"]).collect();
    assert_eq!(returns, [&Value::Null, &Value::Null, &json!(1), &json!(2)]);
}

#[test]
fn what_is_not_built_yet_is_not_taken_for_the_same() {
    let kennel = audit();
    kennel.ok(&["pause", "audit"]);
    // Nobody builds what is paused: waiting for it would be in vain, and that is said.
    let waited =
        kennel.run(&["deploy", "audit", &path("counter"), "--mode", "rebuild", "--switch", "manual"]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    assert!(
        waited.stderr.contains("`audit` is paused: the build goes on after `kennel resume audit`"),
        "{}",
        waited.stderr
    );
    assert_eq!(compared(&kennel, 8), (json!("undecided"), [0, 0, 0, EVENTS]));
    let told = kennel.run(&["diff", "audit"]);
    assert!(told.stdout.contains("too early to tell: one is 3,000 positions behind"), "{}", told.stdout);
    // It is other code, as shows once there is something to compare.
    kennel.ok(&["resume", "audit"]);
    kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(compared(&kennel, 8), (json!("different"), [0, EVENTS, 0, 0]));
    kennel.ok(&["cancel", "audit"]);
    let served = Served::start(&kennel, &["--workers", "1"]);
    kennel.ok(&["rebuild", "audit", "--switch", "manual"]);
    // It has been waited for: the comparison is of all.
    assert_eq!(compared(&kennel, 0), (json!("identical"), [EVENTS, 0, 0, 0]));
    drop(served);
}

#[test]
fn what_one_has_removed_and_the_other_may_still_remove_is_no_difference() {
    let kennel = audit();
    kennel.ok(&["rebuild", "audit", "--switch", "manual", "--detach"]);
    kennel.ok(&["run", "--until-caught-up"]);
    let mut database = Database::sqlite(&kennel.folder().join("kennel.db"));
    assert_eq!(compared(&kennel, 0), (json!("identical"), [EVENTS, 0, 0, 0]));
    let tables =
        database.rows("SELECT table_name FROM kennel_collection WHERE name = 'events' ORDER BY read_model");
    let remove = |database: &mut Database, table: &str| {
        database.rows(&format!("DELETE FROM \"{table}\" WHERE key = (SELECT min(key) FROM \"{table}\")"));
    };
    let move_serving = |database: &mut Database, by: &str| {
        database.rows(&format!(
            "UPDATE kennel_checkpoint SET position = position {by} WHERE read_model = (SELECT min(read_model) FROM kennel_checkpoint)"
        ));
    };
    // An event that only the one that serves has handled has removed a document.
    remove(&mut database, &tables[0]);
    move_serving(&mut database, "+ 10");
    assert_eq!(compared(&kennel, 8), (json!("undecided"), [EVENTS - 1, 0, 0, 1]));
    // Without such an event it is a difference.
    move_serving(&mut database, "- 10");
    assert_eq!(compared(&kennel, 8), (json!("different"), [EVENTS - 1, 0, 1, 0]));
    remove(&mut database, &tables[1]);
    assert_eq!(compared(&kennel, 0), (json!("identical"), [EVENTS - 1, 0, 0, 0]));
}

#[test]
fn a_setting_can_be_taken_away_again() {
    let kennel = audit();
    let set = |more: &[&str]| {
        kennel.ok(&[&["deploy", "audit", &path("audit-log")], more].concat());
        kennel.json(&["deployments", "audit", "--json"]).as_array().expect("a list").last().expect("one")["settings"]
            ["config"]
            .clone()
    };
    assert_eq!(set(&["--set", "a=1", "--set", "b=2"]), json!({ "a": "1", "b": "2" }));
    assert_eq!(set(&["--unset", "a", "--set", "c=3"]), json!({ "b": "2", "c": "3" }));
    assert_eq!(set(&["--unset", "never-set", "--unset", "b", "--unset", "c"]), json!({}));
}

#[test]
fn what_is_retired_comes_back_by_deploying_only() {
    let kennel = audit();
    kennel.ok(&["retire", "audit"]);
    let retired = "`audit` is retired: `kennel deploy` brings it back";
    for order in ["rebuild", "rollback", "pause", "resume"] {
        refused(&kennel.run(&[order, "audit"]), 5, retired);
    }
    kennel.ok(&["documents", "audit", "events", "--limit", "1"]);
    kennel.ok(&["retire", "audit", "--drop-read-model"]);
    for order in ["rebuild", "diff"] {
        refused(&kennel.run(&[order, "audit"]), 5, retired);
    }
    refused(&kennel.run(&["documents", "audit", "events"]), 7, retired);
    kennel.ok(&["deploy", "audit", &path("audit-log")]);
}

#[test]
fn another_guest_does_not_take_over_a_read_model_by_mistake() {
    let kennel = audit();
    let mistaken = kennel.run(&["deploy", "audit", &path("counter")]);
    refused(&mistaken, 4, "it calls itself `counter`, and what serves `audit-log`");
    kennel.ok(&["deploy", "audit", &path("counter"), "--mode", "rebuild", "--detach"]);
}

#[test]
fn when_it_takes_its_place_can_be_said_anew_while_it_is_built() {
    let kennel = audit();
    let deploy = |switch: &str| {
        let file = path("counter");
        let told = ["deploy", "audit", &file, "--mode", "rebuild", "--switch", switch, "--detach", "--json"];
        let told = kennel.json(&told);
        (
            told["changed"].clone(),
            told["deployment"].clone(),
            told["projection"]["building"]["switch"].clone(),
        )
    };
    assert_eq!(deploy("auto"), (json!(true), json!(2), json!("auto")));
    assert_eq!(deploy("manual"), (json!(true), json!(2), json!("manual")));
    assert_eq!(deploy("manual"), (json!(false), json!(2), json!("manual")));
    kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(kennel.status("audit")["deployment"], 1, "nobody has said that it may");
}

#[test]
fn a_host_that_is_started_anew_does_not_end_the_wait_for_a_build() {
    let kennel = audit();
    let file = kennel.write("more.jsonl", events::log(40_000, 50));
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    let address = free_address();
    let served = Served::start_at(&kennel, &address, &["--workers", "1"]);
    let mut command = kennel.command(&["rebuild", "audit", "--host", &format!("http://{address}"), "--json"]);
    let waiting = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kennel starts");
    wait_until("it is being built", SOON, || {
        kennel.status("audit")["building"]["position"].as_u64() > Some(0)
    });
    served.process.kill();
    let served = Served::start_at(&kennel, &address, &["--workers", "1"]);
    let output = waiting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&told["deployment"], &told["projection"]["live"]), (&json!(2), &json!(2)));
    drop(served);
}
