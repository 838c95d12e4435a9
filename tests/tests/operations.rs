//! Operations on projections, by the command line on SQLite: their record, what an operation does that is requested
//! twice or at the wrong time, and what a comparison says before there is anything to compare.

use std::process::Stdio;
use std::time::Duration;

use kennel_tests::binary::{Kennel, Printed, wait_until};
use kennel_tests::components::{describing, guest, store};
use kennel_tests::database::Database;
use kennel_tests::events;
use kennel_tests::metrics::{Served, free_address};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const EVENTS: u64 = 3_000;

/// `audit` with all events handled, and no worker running.
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
fn rejected(printed: &Printed, code: i32, message: &str) {
    assert_eq!(printed.code, Some(code), "{}\n{}", printed.stdout, printed.stderr);
    assert!(printed.stderr.contains(message), "{}", printed.stderr);
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
fn every_operation_is_recorded_with_its_actor_and_reason() {
    let kennel = audit().with("USER", "ada");
    for arguments in [
        &["pause", "audit", "--reason", "the disk is nearly full"][..],
        &["pause", "audit", "--reason", "nothing changes"],
        &["resume", "audit"],
        &["rebuild", "audit", "--promote", "manual", "--detach"],
        &["promote", "audit", "--detach", "--reason", "looks right"],
        &["cancel", "audit", "--reason", "does not"],
        &["retire", "audit"],
        &["retire", "audit", "--drop-read-model", "--reason", "gone for good"],
    ] {
        kennel.ok(arguments);
    }
    let operations = kennel.json(&["operations", "audit", "--json"]);
    let reported: Vec<_> = operations
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["operation"], &one["deployment"], &one["reason"]))
        .collect();
    let expected = [
        ("deploy", Some(1), None),
        ("pause", None, Some("the disk is nearly full")),
        ("resume", None, None),
        ("rebuild", Some(2), None),
        ("promote", Some(2), Some("looks right")),
        ("cancel", Some(2), Some("does not")),
        ("retire", None, None),
        ("retire", None, Some("gone for good")),
    ];
    let expected =
        expected.map(|(operation, deployment, reason)| (json!(operation), json!(deployment), json!(reason)));
    let expected: Vec<_> =
        expected.iter().map(|(operation, number, reason)| (operation, number, reason)).collect();
    assert_eq!(reported, expected);
    assert!(operations[1]["actor"].as_str().is_some_and(|actor| actor.starts_with("ada@")), "{operations}");
    let printed = kennel.ok(&["operations", "audit"]);
    let latest = printed.lines().nth(1).expect("the latest comes first");
    assert!(
        latest.contains("retire with its read model")
            && latest.contains("ada@")
            && latest.ends_with("gone for good"),
        "{printed}"
    );
    rejected(&kennel.run(&["operations", "unknown"]), 7, "there is no projection `unknown`");
}

#[test]
fn a_rollback_that_is_requested_twice_does_not_bring_back_the_bad_version() {
    let kennel = audit();
    kennel.ok(&["deploy", "audit", &path("audit-log"), "--set", "bad=1"]);
    let reported = kennel.ok(&["rollback", "audit"]);
    assert!(reported.contains("deployment 3") && reported.contains(", as in deployment 1)"), "{reported}");
    let again = kennel.run(&["rollback", "audit"]);
    rejected(
        &again,
        5,
        "deployment 3 of `audit` is a rollback already, to deployment 1: say with --to which",
    );
    assert!(kennel.ok(&["deployments", "audit"]).contains("rollback to 1"));
    // It has to be requested explicitly.
    kennel.ok(&["rollback", "audit", "--to", "2"]);
    let history = kennel.json(&["deployments", "audit", "--json"]);
    let returns: Vec<_> = history.as_array().expect("a list").iter().map(|one| &one["returns_to"]).collect();
    assert_eq!(returns, [&Value::Null, &Value::Null, &json!(1), &json!(2)]);
}

#[test]
fn an_incomplete_build_is_not_compared_as_identical() {
    let kennel = audit();
    kennel.ok(&["pause", "audit"]);
    // No worker builds a paused projection: waiting for it would be in vain, and the command says so.
    let waited =
        kennel.run(&["deploy", "audit", &path("counter"), "--mode", "rebuild", "--promote", "manual"]);
    assert_eq!(waited.code, Some(0), "{}", waited.stderr);
    assert!(
        waited.stderr.contains("`audit` is paused: the build goes on after `kennel resume audit`"),
        "{}",
        waited.stderr
    );
    assert_eq!(compared(&kennel, 8), (json!("undecided"), [0, 0, 0, EVENTS]));
    let reported = kennel.run(&["diff", "audit"]);
    assert!(
        reported.stdout.contains("too early to decide: one is 3,000 positions behind"),
        "{}",
        reported.stdout
    );
    // It is other code, as shows once there is something to compare.
    kennel.ok(&["resume", "audit"]);
    kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(compared(&kennel, 8), (json!("different"), [0, EVENTS, 0, 0]));
    kennel.ok(&["cancel", "audit"]);
    let served = Served::start(&kennel, &["--workers", "1"]);
    kennel.ok(&["rebuild", "audit", "--promote", "manual"]);
    // It has been waited for: the comparison is of all.
    assert_eq!(compared(&kennel, 0), (json!("identical"), [EVENTS, 0, 0, 0]));
    drop(served);
}

#[test]
fn a_document_that_the_other_may_still_remove_is_no_difference() {
    let kennel = audit();
    kennel.ok(&["rebuild", "audit", "--promote", "manual", "--detach"]);
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
    // An event that only the serving deployment has handled has removed a document.
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
fn a_retired_projection_comes_back_by_deploying_only() {
    let kennel = audit();
    kennel.ok(&["retire", "audit"]);
    let retired = "`audit` is retired: `kennel deploy` brings it back";
    for operation in ["rebuild", "rollback", "pause", "resume"] {
        rejected(&kennel.run(&[operation, "audit"]), 5, retired);
    }
    kennel.ok(&["documents", "audit", "events", "--limit", "1"]);
    kennel.ok(&["retire", "audit", "--drop-read-model"]);
    for command in ["rebuild", "diff"] {
        rejected(&kennel.run(&[command, "audit"]), 5, retired);
    }
    rejected(&kennel.run(&["documents", "audit", "events"]), 7, retired);
    kennel.ok(&["deploy", "audit", &path("audit-log")]);
}

#[test]
fn another_guest_does_not_take_over_a_read_model_by_mistake() {
    let kennel = audit();
    let mistaken = kennel.run(&["deploy", "audit", &path("counter")]);
    rejected(&mistaken, 4, "its name changes from `audit-log` to `counter`");
    kennel.ok(&["deploy", "audit", &path("counter"), "--mode", "rebuild", "--detach"]);
}

#[test]
fn the_promotion_can_be_changed_while_the_candidate_is_built() {
    let kennel = audit();
    let deploy = |promotion: &str| {
        let file = path("counter");
        let reported =
            ["deploy", "audit", &file, "--mode", "rebuild", "--promote", promotion, "--detach", "--json"];
        let reported = kennel.json(&reported);
        (
            reported["changed"].clone(),
            reported["deployment"].clone(),
            reported["projection"]["candidate"]["promotion"].clone(),
        )
    };
    assert_eq!(deploy("auto"), (json!(true), json!(2), json!("auto")));
    assert_eq!(deploy("manual"), (json!(true), json!(2), json!("manual")));
    assert_eq!(deploy("manual"), (json!(false), json!(2), json!("manual")));
    kennel.ok(&["run", "--until-caught-up"]);
    assert_eq!(kennel.status("audit")["deployment"], 1, "no promotion was requested");
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
        kennel.status("audit")["candidate"]["position"].as_u64() > Some(0)
    });
    served.process.kill();
    let served = Served::start_at(&kennel, &address, &["--workers", "1"]);
    let output = waiting.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let reported: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&reported["deployment"], &reported["projection"]["serving"]), (&json!(2), &json!(2)));
    drop(served);
}

#[test]
fn declared_collections_are_shown_and_may_change_with_the_code() {
    let kennel = Kennel::default();
    let order_summary = path("order-summary");
    let column = |name: &str, data_type: &str| json!({"name": name, "path": name, "data_type": data_type});
    let expected = json!([{
        "name": "orders",
        "columns": [column("customer", "text"), column("status", "text"), column("total_cents", "integer")],
        "indexes": [{"columns": ["customer", "status"], "unique": false}],
    }]);
    let inspected = kennel.json(&["inspect", &order_summary, "--json"]);
    assert_eq!(inspected["descriptor"]["collections"], expected);
    let shown = kennel.ok(&["inspect", &order_summary]);
    for line in
        ["collection  orders", "column total_cents integer at total_cents", "index of customer, status"]
    {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    kennel.ok(&["deploy", "orders", &order_summary]);
    assert_eq!(kennel.json(&["deployments", "orders", "--json"])[0]["collections"], expected);

    // The next version declares a collection that the first has not declared.
    let declaring =
        [(556, 900), (560, 1), (900, 1036), (904, 11)].map(|(at, value)| store(at, value)).concat();
    let versions = [("first.wasm", describing("")), ("next.wasm", describing(&declaring))];
    let [first, next] = versions.map(|(name, bytes)| kennel.write(name, bytes));
    let file = |file: &std::path::Path| file.to_str().expect("a UTF-8 path").to_owned();
    let difference =
        "The collections that it declares differ from those of deployment 1; its tables stay as they are";
    assert!(!kennel.ok(&["deploy", "audit", &file(&first)]).contains("collections"));
    let continued = kennel.ok(&["deploy", "audit", &file(&next)]);
    assert!(continued.contains(difference), "{continued}");
    let collections = kennel.json(&["deployments", "audit", "--json"])[1]["collections"].clone();
    assert_eq!(collections, json!([{"name": "OrderPlaced", "columns": [], "indexes": []}]));
}
