//! Operations on the store, through a host from the command line, and over HTTP: the outcome is the same.

use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::{component, contract, guest};
use kennel_tests::database::Database;
use kennel_tests::http::Answer;
use serde_json::{Map, Value, json};

use super::{Host, SOON, TOKEN, assert_problem, example_bytes, on_postgres, text};

/// How operations are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Store,
    HostFromCommandLine,
    Http,
}

/// What came of an operation: the exit code that says it, the message of the error, and the output.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    step: String,
    code: i32,
    error: String,
    reported: Value,
}

struct World {
    face: Face,
    host: Host,
    /// Where commands run: beside the store, or somewhere that has none.
    client: Option<Kennel>,
    outcomes: Vec<Outcome>,
}

impl World {
    fn new(face: Face, kennel: Kennel) -> Self {
        let token = (face != Face::Store).then_some(TOKEN);
        let host = Host::start(kennel, token, "127.0.0.1:0");
        host.append(40);
        let client = (face == Face::HostFromCommandLine).then(|| {
            // A store that no command could open: all of it has to go through the host.
            let nowhere = Kennel::on("postgres://absent@127.0.0.1:1/nowhere");
            nowhere.with("KENNEL_HOST", &host.url()).with("KENNEL_TOKEN", TOKEN)
        });
        Self { face, host, client, outcomes: Vec::new() }
    }

    fn folder(&self) -> &Kennel {
        self.client.as_ref().unwrap_or(&self.host.kennel)
    }

    fn record(&mut self, step: String, code: i32, error: &str, reported: Value) {
        // The user who runs this, and what a host calls those who do not say.
        let error = error.split_inclusive(", by ").map(|part| match part.split_once(". Look at") {
            Some((_, rest)) => format!("ACTOR. Look at{rest}"),
            None => part.to_owned(),
        });
        self.outcomes.push(Outcome {
            step,
            code,
            error: error.collect(),
            reported: without_chance(reported),
        });
    }

    /// A command, or the request that stands for it.
    fn step(&mut self, arguments: &[&str], request: impl FnOnce(&Host) -> Answer) {
        if self.face == Face::Http {
            let answer = request(&self.host);
            let reported = answer.json();
            match answer.status {
                200 | 201 => self.record(arguments.join(" "), 0, "", reported),
                status => {
                    let detail = reported["detail"].as_str().expect("a detail").to_owned();
                    self.record(arguments.join(" "), code_of(status), &detail, Value::Null);
                }
            }
        } else {
            let printed = self.folder().run(&[arguments, &["--json"]].concat());
            let reported = serde_json::from_str(&printed.stdout).unwrap_or(Value::Null);
            let error = printed.stderr.trim_end().trim_start_matches("error: ");
            let code = printed.code.expect("an exit code");
            self.record(arguments.join(" "), code, error, reported);
        }
    }

    /// An operation on `audit`.
    fn operate(&mut self, verb: &str, flags: &[&str], body: Value) {
        let path = format!("/v1/projections/audit/{verb}");
        self.step(&[&[verb, "audit"], flags].concat(), |host| host.post(&path, &body));
    }

    /// Deploys bytes under the name of a file.
    fn deploy(&mut self, file: &str, bytes: &[u8], flags: &[&str], mut request: Map<String, Value>) {
        self.folder().write(file, bytes);
        request.insert("component".to_owned(), Digest::of(bytes).to_string().into());
        self.step(&[&["deploy", "audit", file], flags].concat(), |host| {
            let put = host.put(bytes);
            if put.status >= 400 {
                return put;
            }
            host.post("/v1/projections/audit/deployments", &request.into())
        });
        // The command line names the file.
        let last = self.outcomes.last_mut().expect("an outcome");
        last.error = last.error.trim_start_matches(&format!("{file}: ")).to_owned();
    }

    fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        wait_until(what, SOON, || condition(&self.host.get("/v1/projections/audit").json()));
    }

    fn wait_for_serving(&self, number: u32) {
        self.wait(&format!("{:?}: deployment {number} serves", self.face), |view| view["serving"] == number);
    }

    fn serving(mut self) -> Vec<Outcome> {
        self.deployments();
        self.builds();
        self.errors();
        self.end();
        self.outcomes
    }

    fn deployments(&mut self) {
        let audit = example_bytes("audit-log");
        self.step(&["components"], |host| host.get("/v1/components"));
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
        self.operate("pause", &[], json!({}));
        self.deploy(
            "audit.wasm",
            &audit,
            &["--reason", "the first"],
            object(json!({ "reason": "the first" })),
        );
        self.deploy("audit.wasm", &audit, &[], Map::new());
        let settings = json!({ "batch": 7, "on_failure": "dead-letter", "config": { "a": "b=c" } });
        let flags = ["--batch", "7", "--on-failure", "dead-letter", "--set", "a=b=c"];
        self.deploy("audit.wasm", &audit, &flags, object(json!({ "settings": settings })));
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
        self.step(&["components"], |host| host.get("/v1/components"));
        self.operate(
            "rollback",
            &["--to", "1", "--reason", "too\tsmall"],
            json!({ "to": 1, "reason": "too\tsmall" }),
        );
        self.operate("rollback", &["--to", "3"], json!({ "to": 3 }));
        self.operate("rollback", &["--to", "17"], json!({ "to": 17 }));
        self.operate("pause", &["--expect", "2"], json!({ "expected_deployment": 2 }));
        self.operate("pause", &[], json!({}));
        self.operate("pause", &[], json!({}));
        self.operate("resume", &[], json!({}));
        self.operate("resume", &[], json!({}));
    }

    fn builds(&mut self) {
        let diff = |world: &mut Self, samples: &str| {
            let path = format!("/v1/projections/audit/diff?samples={samples}");
            world.step(&["diff", "audit", "--samples", samples], |host| host.get(&path));
        };
        diff(self, "5");
        self.operate("cancel", &[], json!({}));
        self.operate("promote", &["--detach"], json!({}));
        let manual = ["--promote", "manual", "--detach"];
        self.operate("rebuild", &manual, json!({ "promotion": "manual" }));
        self.operate("cancel", &["--reason", "not today"], json!({ "reason": "not today" }));
        self.operate("rebuild", &manual, json!({ "promotion": "manual" }));
        self.operate("rollback", &["--detach"], json!({}));
        self.wait("the candidate has caught up", |view| view["candidate"]["remaining"] == 0);
        self.wait("the serving deployment has caught up", |view| view["position"] == view["head"]);
        diff(self, "5");
        diff(self, "1001");
        self.operate("promote", &["--detach"], json!({}));
        self.wait_for_serving(5);
        self.operate("rollback", &["--detach"], json!({}));
        self.wait_for_serving(6);
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
    }

    fn errors(&mut self) {
        self.deploy("junk.wasm", b"#!/bin/sh\necho hello\n", &[], Map::new());
        let broken = contract().replace("export handle: func(event: event) -> result<_, failure>;", "");
        self.deploy("broken.wasm", &component(&broken, "projection"), &[], Map::new());
        self.deploy("timeline.wasm", &example_bytes("timeline"), &[], Map::new());
        let elsewhere = object(json!({ "replica_set": "elsewhere" }));
        self.deploy("counter.wasm", &example_bytes("counter"), &["--replica-set", "elsewhere"], elsewhere);
        let request = json!({ "component": Digest::of(b"").to_string() });
        if self.face == Face::Http {
            // The command line looks before it deploys.
            let answer = self.host.post("/v1/projections/audit/deployments", &request);
            assert_eq!(answer.status, 404, "{}", answer.text());
        }
        self.operate("rollback", &["--reason", "a\u{7}b"], json!({ "reason": "a\u{7}b" }));
    }

    fn end(&mut self) {
        self.operate("retire", &[], json!({}));
        self.operate("retire", &[], json!({}));
        self.operate("retire", &["--drop-read-model"], json!({ "drop_read_model": true }));
        self.operate("resume", &[], json!({}));
        self.deploy("counter.wasm", &example_bytes("counter"), &[], Map::new());
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// The exit code that says the same as a status.
fn code_of(status: u16) -> i32 {
    match status {
        400 | 413 | 415 | 422 => 4,
        404 => 7,
        409 => 5,
        other => panic!("{other} is not expected here"),
    }
}

/// The output without the fields that differ from run to run.
fn without_chance(reported: Value) -> Value {
    const CHANCE: [&str; 13] = [
        "actor",
        "deployed_at",
        "decided_at",
        "stored_at",
        "seconds_elapsed",
        "seconds_left",
        "workers",
        "position",
        "remaining",
        "done",
        "head",
        "state",
        "candidate",
    ];
    match reported {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(key, _)| !CHANCE.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, without_chance(value))).collect())
        }
        Value::Array(values) => values.into_iter().map(without_chance).collect(),
        other => other,
    }
}

fn faces_agree(new_store: &dyn Fn() -> Kennel) {
    let outcomes = [Face::Store, Face::HostFromCommandLine, Face::Http]
        .map(|face| World::new(face, new_store()).serving());
    let [store, host, http] = &outcomes;
    for ((on_store, on_host), on_http) in store.iter().zip(host).zip(http) {
        assert_eq!(on_host, on_store, "through the host");
        assert_eq!(on_http, on_store, "over HTTP");
    }
    assert!(store.len() == host.len() && host.len() == http.len());
    // What the steps come to is no secret: an operation that is rejected everywhere would agree with itself, too.
    let codes: Vec<i32> = store.iter().map(|outcome| outcome.code).collect();
    let deployments = [0, 7, 7, 0, 0, 0, 0, 0, 0, 5, 5, 5, 0, 0, 0, 0];
    let builds = [5, 5, 5, 0, 0, 0, 5, 0, 4, 0, 0, 0];
    let (errors, end) = ([4, 4, 4, 5, 4], [0, 0, 0, 5, 0, 0]);
    assert_eq!(codes, [&deployments[..], &builds, &errors, &end].concat(), "{store:#?}");
    let changed = store.iter().filter(|outcome| outcome.reported["changed"] == true).count();
    assert_eq!(changed, 13, "{store:#?}");
}

#[test]
fn the_outcome_is_the_same_on_the_store_and_through_the_host_on_sqlite() {
    faces_agree(&Kennel::default);
}

#[test]
fn the_outcome_is_the_same_on_the_store_and_through_the_host_on_postgres() {
    on_postgres(faces_agree);
}

#[test]
fn the_record_names_the_actor_of_an_operation_and_the_bytes_come_back() {
    let host = Host::open();
    host.deploy("audit", "audit-log");
    let named = json!({ "actor": "ci-bot", "reason": "release 7" });
    assert_eq!(host.post("/v1/projections/audit/rebuild", &named).status, 200);
    let history = host.kennel.json(&["deployments", "audit", "--json"]);
    let attributions: Vec<_> =
        history.as_array().expect("a list").iter().map(|one| (&one["actor"], &one["reason"])).collect();
    assert_eq!(attributions, [(&json!("api"), &Value::Null), (&json!("ci-bot"), &json!("release 7"))]);
    let pause = json!({ "actor": "ada", "reason": "the disk is nearly full" });
    assert_eq!(host.post("/v1/projections/audit/pause", &pause).status, 200);
    let operations = host.get("/v1/projections/audit/operations").json();
    assert_eq!(operations, host.kennel.json(&["operations", "audit", "--json"]));
    assert_eq!(operations, host.kennel.json(&["operations", "audit", "--json", "--host", &host.url()]));
    let last = operations.as_array().and_then(|operations| operations.last()).expect("an operation");
    let reported = ["operation", "actor", "reason"].map(|field| last[field].as_str().expect("a word"));
    assert_eq!(reported, ["pause", "ada", "the disk is nearly full"]);
    let bytes = example_bytes("audit-log");
    // However the digest is written.
    for digest in [Digest::of(&bytes).to_string(), Digest::of(&bytes).to_string().to_uppercase()] {
        let answer = host.get(&format!("/v1/components/{digest}"));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/wasm")));
        assert_eq!(answer.body, bytes);
    }
}

#[test]
fn the_status_of_a_host_is_that_of_its_store() {
    let host = Host::open();
    host.append(100);
    host.deploy("audit", "audit-log");
    wait_until("all is handled", SOON, || host.kennel.status("audit")["lag"] == 0);
    // Ages differ from one look to the next.
    let timeless = |mut status: Value| {
        for worker in status["replica_sets"][0]["workers"].as_array_mut().expect("workers") {
            assert!(worker["heartbeat_age_seconds"].take().is_f64());
        }
        status
    };
    let store = timeless(host.kennel.json(&["status", "--json"]));
    assert_eq!(timeless(host.get("/v1/status").json()), store);
    let head = store["head"].as_u64().expect("a number");
    assert!(head >= 100 && store["projections"][0]["position"] == head, "{store}");
    let client = Kennel::on("postgres://absent@127.0.0.1:1/nowhere").with("KENNEL_HOST", &host.url());
    assert_eq!(timeless(client.json(&["status", "--json"])), store);
    let printed = client.ok(&["status"]);
    assert!(
        printed.contains(&format!("log: head {head}, complete up to {head}"))
            && printed.contains("replica set main"),
        "{printed}"
    );
}

#[test]
fn a_component_is_stored_once_however_often_it_is_sent() {
    let host = Host::open();
    let bytes = example_bytes("counter");
    let first = host.put(&bytes);
    let again = host.put(&bytes);
    assert_eq!((first.status, again.status), (201, 200), "{}{}", first.text(), again.text());
    assert_eq!(first.json(), again.json());
    assert_eq!(first.json()["digest"], Digest::of(&bytes).to_string());
    assert_eq!(host.get("/v1/components").json().as_array().map(Vec::len), Some(1));
}

fn one_of_two_wins(new_store: &dyn Fn() -> Kennel) {
    let host = Host::start(new_store(), None, "127.0.0.1:0");
    host.deploy("audit", "audit-log");
    let digest = Digest::of(&example_bytes("audit-log")).to_string();
    for round in 1..=10 {
        let deploy = |batch: u32| {
            let request =
                json!({ "component": digest, "settings": { "batch": batch }, "expected_deployment": round });
            host.post("/v1/projections/audit/deployments", &request)
        };
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| deploy(100 + 2 * round));
            let other = scope.spawn(|| deploy(101 + 2 * round));
            (one.join().expect("an answer"), other.join().expect("an answer"))
        });
        let (winner, loser) = if one.status == 201 { (one, other) } else { (other, one) };
        assert_eq!((winner.status, winner.json()["deployment"].as_u64()), (201, Some(u64::from(round) + 1)));
        let detail = super::assert_problem(&loser, 409, "conflict");
        assert!(detail.starts_with(&format!("deployment {} of `audit` came first: ", round + 1)), "{detail}");
    }
    assert_eq!(host.get("/v1/projections/audit").json()["serving"], 11);
}

#[test]
fn of_two_deployments_at_the_same_time_one_wins_on_sqlite() {
    one_of_two_wins(&Kennel::default);
}

#[test]
fn of_two_deployments_at_the_same_time_one_wins_on_postgres() {
    on_postgres(one_of_two_wins);
}

#[test]
fn outcomes_of_operations_are_counted() {
    let host = Host::open();
    let counted = || {
        let outcome = |outcome| {
            let labels = [("replica_set", "main"), ("outcome", outcome)];
            host.served.scrape().sum("kennel_deployments_total", &labels)
        };
        ["accepted", "unchanged", "rejected", "unsupported", "promoted"].map(outcome)
    };
    assert_eq!(counted(), [Some(0.0); 5], "there from the start");
    host.deploy("audit", "audit-log");
    host.post("/v1/projections/audit/resume", &json!({}));
    host.post("/v1/projections/audit/cancel", &json!({}));
    host.post("/v1/projections/audit/promote", &json!({}));
    host.post("/v1/projections/absent/pause", &json!({}));
    host.put(b"no component");
    // Not an operation: it cannot even be read.
    host.post("/v1/projections/audit/pause", &json!({ "wrong": true }));
    assert_eq!(counted(), [1.0, 1.0, 3.0, 1.0, 0.0].map(Some));
    host.post("/v1/projections/audit/rebuild", &json!({}));
    wait_until("the rebuild serves", SOON, || counted() == [2.0, 1.0, 3.0, 1.0, 1.0].map(Some));
}

#[test]
fn a_rebuild_is_followed_through_the_host() {
    let host = Host::open();
    host.append(100);
    let client = Kennel::on("postgres://absent@127.0.0.1:1/nowhere");
    let url = host.url();
    let file = guest("audit-log");
    client.ok(&["deploy", "audit", text(&file), "--host", &url]);
    let reported = client.ok(&["rebuild", "audit", "--host", &url]);
    assert!(
        reported.starts_with("deployment 2 of `audit`: component ") && reported.ends_with(" serves\n"),
        "{reported}"
    );
    let reported = client.ok(&["rollback", "audit", "--host", &url]);
    assert!(
        reported.starts_with("deployment 3 of `audit`: component ") && reported.ends_with(" serves\n"),
        "{reported}"
    );
    wait_until("it goes on", Duration::from_secs(20), || host.kennel.status("audit")["lag"] == 0);
}

/// A component that is damaged in the store is sent once more, by the same command as the first time.
#[test]
fn a_damaged_component_is_repaired_through_the_host() {
    let host = Host::open();
    let file = host.kennel.write("audit.wasm", example_bytes("audit-log"));
    let deploy = ["deploy", "audit", text(&file), "--host", &host.url(), "--json"];
    host.kennel.ok(&deploy);
    let path = format!("/v1/components/{}", Digest::of(&example_bytes("audit-log")));
    let mut database = Database::sqlite(&host.kennel.folder().join("kennel.db"));
    database.rows("UPDATE kennel_component SET bytes = x'00'");
    assert_problem(&host.get(&path), 500, "internal");
    host.kennel.ok(&deploy);
    assert_eq!(host.get(&path).body, example_bytes("audit-log"));
}
