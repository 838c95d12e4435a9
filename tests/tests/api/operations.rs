//! Whoever gives an order, on the store, through a host from the command line, or over HTTP: the outcome is the same.

use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::{component, contract, guest};
use kennel_tests::database::Database;
use kennel_tests::http::Answer;
use serde_json::{Map, Value, json};

use super::{Host, SOON, TOKEN, assert_problem, example_bytes, on_postgres, text};

/// How orders are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Store,
    HostFromCommandLine,
    Http,
}

/// What came of an order: the exit code that says it, the error in words, and what was told.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    step: String,
    code: i32,
    error: String,
    told: Value,
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
            // A store that nobody could open: all of it has to go through the host.
            let nowhere = Kennel::on("postgres://nobody@127.0.0.1:1/nowhere");
            nowhere.with("KENNEL_HOST", &host.url()).with("KENNEL_TOKEN", TOKEN)
        });
        Self { face, host, client, outcomes: Vec::new() }
    }

    fn folder(&self) -> &Kennel {
        self.client.as_ref().unwrap_or(&self.host.kennel)
    }

    fn record(&mut self, step: String, code: i32, error: &str, told: Value) {
        // Who is running this, and what a host calls those who do not say.
        let error = error.split_inclusive(", by ").map(|part| match part.split_once(". Look at") {
            Some((_, rest)) => format!("SOMEBODY. Look at{rest}"),
            None => part.to_owned(),
        });
        self.outcomes.push(Outcome { step, code, error: error.collect(), told: without_chance(told) });
    }

    /// A command, or the request that stands for it.
    fn step(&mut self, arguments: &[&str], request: impl FnOnce(&Host) -> Answer) {
        if self.face == Face::Http {
            let answer = request(&self.host);
            let told = answer.json();
            match answer.status {
                200 | 201 => self.record(arguments.join(" "), 0, "", told),
                status => {
                    let detail = told["detail"].as_str().expect("a detail").to_owned();
                    self.record(arguments.join(" "), code_of(status), &detail, Value::Null);
                }
            }
        } else {
            let printed = self.folder().run(&[arguments, &["--json"]].concat());
            let told = serde_json::from_str(&printed.stdout).unwrap_or(Value::Null);
            let error = printed.stderr.trim_end().trim_start_matches("error: ");
            let code = printed.code.expect("an exit code");
            self.record(arguments.join(" "), code, error, told);
        }
    }

    /// An order about `audit`.
    fn order(&mut self, verb: &str, flags: &[&str], body: Value) {
        let path = format!("/v1/projections/audit/{verb}");
        self.step(&[&[verb, "audit"], flags].concat(), |host| host.post(&path, &body));
    }

    /// Deploys bytes under the name of a file.
    fn deploy(&mut self, file: &str, bytes: &[u8], flags: &[&str], mut order: Map<String, Value>) {
        self.folder().write(file, bytes);
        order.insert("component".to_owned(), Digest::of(bytes).to_string().into());
        self.step(&[&["deploy", "audit", file], flags].concat(), |host| {
            let put = host.put(bytes);
            if put.status >= 400 {
                return put;
            }
            host.post("/v1/projections/audit/deployments", &order.into())
        });
        // The command line names the file.
        let last = self.outcomes.last_mut().expect("an outcome");
        last.error = last.error.trim_start_matches(&format!("{file}: ")).to_owned();
    }

    fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        wait_until(what, SOON, || condition(&self.host.get("/v1/projections/audit").json()));
    }

    fn wait_for_live(&self, number: u32) {
        self.wait(&format!("{:?}: deployment {number} serves", self.face), |view| view["live"] == number);
    }

    fn live(mut self) -> Vec<Outcome> {
        self.deployments();
        self.builds();
        self.refusals();
        self.end();
        self.outcomes
    }

    fn deployments(&mut self) {
        let audit = example_bytes("audit-log");
        self.step(&["components"], |host| host.get("/v1/components"));
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
        self.order("pause", &[], json!({}));
        self.deploy("audit.wasm", &audit, &["--note", "the first"], object(json!({ "note": "the first" })));
        self.deploy("audit.wasm", &audit, &[], Map::new());
        let settings = json!({ "batch": 7, "on_failure": "dead-letter", "config": { "a": "b=c" } });
        let flags = ["--batch", "7", "--on-failure", "dead-letter", "--set", "a=b=c"];
        self.deploy("audit.wasm", &audit, &flags, object(json!({ "settings": settings })));
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
        self.step(&["components"], |host| host.get("/v1/components"));
        self.order(
            "rollback",
            &["--to", "1", "--note", "too\tsmall"],
            json!({ "to": 1, "note": "too\tsmall" }),
        );
        self.order("rollback", &["--to", "3"], json!({ "to": 3 }));
        self.order("rollback", &["--to", "17"], json!({ "to": 17 }));
        self.order("pause", &["--seen", "2"], json!({ "seen": 2 }));
        self.order("pause", &[], json!({}));
        self.order("pause", &[], json!({}));
        self.order("resume", &[], json!({}));
        self.order("resume", &[], json!({}));
    }

    fn builds(&mut self) {
        let diff = |world: &mut Self, samples: &str| {
            let path = format!("/v1/projections/audit/diff?samples={samples}");
            world.step(&["diff", "audit", "--samples", samples], |host| host.get(&path));
        };
        diff(self, "5");
        self.order("cancel", &[], json!({}));
        self.order("switch", &["--detach"], json!({}));
        let manual = ["--switch", "manual", "--detach"];
        self.order("rebuild", &manual, json!({ "switch": "manual" }));
        self.order("cancel", &["--note", "not today"], json!({ "note": "not today" }));
        self.order("rebuild", &manual, json!({ "switch": "manual" }));
        self.order("rollback", &["--detach"], json!({}));
        self.wait("what is built has caught up", |view| view["building"]["remaining"] == 0);
        self.wait("what serves has caught up", |view| view["position"] == view["head"]);
        diff(self, "5");
        diff(self, "1001");
        self.order("switch", &["--detach"], json!({}));
        self.wait_for_live(5);
        self.order("rollback", &["--detach"], json!({}));
        self.wait_for_live(6);
        self.step(&["deployments", "audit"], |host| host.get("/v1/projections/audit/deployments"));
    }

    fn refusals(&mut self) {
        self.deploy("junk.wasm", b"#!/bin/sh\necho hello\n", &[], Map::new());
        let broken = contract().replace("export handle: func(event: event) -> result<_, failure>;", "");
        self.deploy("broken.wasm", &component(&broken, "projection"), &[], Map::new());
        self.deploy("timeline.wasm", &example_bytes("timeline"), &[], Map::new());
        let elsewhere = object(json!({ "replica_set": "elsewhere" }));
        self.deploy("counter.wasm", &example_bytes("counter"), &["--replica-set", "elsewhere"], elsewhere);
        let order = json!({ "component": Digest::of(b"").to_string() });
        if self.face == Face::Http {
            // The command line looks before it orders.
            let answer = self.host.post("/v1/projections/audit/deployments", &order);
            assert_eq!(answer.status, 404, "{}", answer.text());
        }
        self.order("rollback", &["--note", "a\u{7}b"], json!({ "note": "a\u{7}b" }));
    }

    fn end(&mut self) {
        self.order("retire", &[], json!({}));
        self.order("retire", &[], json!({}));
        self.order("retire", &["--drop-read-model"], json!({ "drop_read_model": true }));
        self.order("resume", &[], json!({}));
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

/// What was told without what differs from run to run.
fn without_chance(told: Value) -> Value {
    const CHANCE: [&str; 13] = [
        "author",
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
        "building",
    ];
    match told {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(key, _)| !CHANCE.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, without_chance(value))).collect())
        }
        Value::Array(values) => values.into_iter().map(without_chance).collect(),
        other => other,
    }
}

fn faces_agree(new_store: &dyn Fn() -> Kennel) {
    let outcomes =
        [Face::Store, Face::HostFromCommandLine, Face::Http].map(|face| World::new(face, new_store()).live());
    let [store, host, http] = &outcomes;
    for ((on_store, on_host), on_http) in store.iter().zip(host).zip(http) {
        assert_eq!(on_host, on_store, "through the host");
        assert_eq!(on_http, on_store, "over HTTP");
    }
    assert!(store.len() == host.len() && host.len() == http.len());
    // What the steps come to is no secret: an order that is declined everywhere would agree with itself, too.
    let codes: Vec<i32> = store.iter().map(|outcome| outcome.code).collect();
    let deployments = [0, 7, 7, 0, 0, 0, 0, 0, 0, 5, 5, 5, 0, 0, 0, 0];
    let builds = [5, 5, 5, 0, 0, 0, 5, 0, 4, 0, 0, 0];
    let (refusals, end) = ([4, 4, 4, 5, 4], [0, 0, 0, 5, 0, 0]);
    assert_eq!(codes, [&deployments[..], &builds, &refusals, &end].concat(), "{store:#?}");
    let changed = store.iter().filter(|outcome| outcome.told["changed"] == true).count();
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
fn the_record_says_who_gave_an_order_and_the_bytes_come_back() {
    let host = Host::open();
    host.deploy("audit", "audit-log");
    let named = json!({ "author": "ci-bot", "note": "release 7" });
    assert_eq!(host.post("/v1/projections/audit/rebuild", &named).status, 200);
    let history = host.kennel.json(&["deployments", "audit", "--json"]);
    let signatures: Vec<_> =
        history.as_array().expect("a list").iter().map(|one| (&one["author"], &one["note"])).collect();
    assert_eq!(signatures, [(&json!("api"), &Value::Null), (&json!("ci-bot"), &json!("release 7"))]);
    let pause = json!({ "author": "ada", "note": "the disk is nearly full" });
    assert_eq!(host.post("/v1/projections/audit/pause", &pause).status, 200);
    let orders = host.get("/v1/projections/audit/orders").json();
    assert_eq!(orders, host.kennel.json(&["orders", "audit", "--json"]));
    assert_eq!(orders, host.kennel.json(&["orders", "audit", "--json", "--host", &host.url()]));
    let last = orders.as_array().and_then(|orders| orders.last()).expect("an order");
    let told = ["order", "author", "note"].map(|field| last[field].as_str().expect("a word"));
    assert_eq!(told, ["pause", "ada", "the disk is nearly full"]);
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
    let client = Kennel::on("postgres://nobody@127.0.0.1:1/nowhere").with("KENNEL_HOST", &host.url());
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
        let order = |batch: u32| {
            let order = json!({ "component": digest, "settings": { "batch": batch }, "seen": round });
            host.post("/v1/projections/audit/deployments", &order)
        };
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| order(100 + 2 * round));
            let other = scope.spawn(|| order(101 + 2 * round));
            (one.join().expect("an answer"), other.join().expect("an answer"))
        });
        let (winner, loser) = if one.status == 201 { (one, other) } else { (other, one) };
        assert_eq!((winner.status, winner.json()["deployment"].as_u64()), (201, Some(u64::from(round) + 1)));
        let detail = super::assert_problem(&loser, 409, "conflict");
        assert!(detail.starts_with(&format!("deployment {} of `audit` came first: ", round + 1)), "{detail}");
    }
    assert_eq!(host.get("/v1/projections/audit").json()["live"], 11);
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
fn what_becomes_of_orders_is_counted() {
    let host = Host::open();
    let counted = || {
        let outcome = |outcome| {
            let labels = [("replica_set", "main"), ("outcome", outcome)];
            host.served.scrape().sum("kennel_deployments_total", &labels)
        };
        ["accepted", "unchanged", "declined", "refused", "switched"].map(outcome)
    };
    assert_eq!(counted(), [Some(0.0); 5], "there from the start");
    host.deploy("audit", "audit-log");
    host.post("/v1/projections/audit/resume", &json!({}));
    host.post("/v1/projections/audit/cancel", &json!({}));
    host.post("/v1/projections/audit/switch", &json!({}));
    host.post("/v1/projections/nobody/pause", &json!({}));
    host.put(b"no component");
    // Not an order: it cannot even be read.
    host.post("/v1/projections/audit/pause", &json!({ "wrong": true }));
    assert_eq!(counted(), [1.0, 1.0, 3.0, 1.0, 0.0].map(Some));
    host.post("/v1/projections/audit/rebuild", &json!({}));
    wait_until("the rebuild serves", SOON, || counted() == [2.0, 1.0, 3.0, 1.0, 1.0].map(Some));
}

#[test]
fn a_rebuild_is_followed_through_the_host() {
    let host = Host::open();
    host.append(100);
    let client = Kennel::on("postgres://nobody@127.0.0.1:1/nowhere");
    let url = host.url();
    let file = guest("audit-log");
    client.ok(&["deploy", "audit", text(&file), "--host", &url]);
    let told = client.ok(&["rebuild", "audit", "--host", &url]);
    assert!(told.starts_with("deployment 2 of `audit`: component ") && told.ends_with(" serves\n"), "{told}");
    let told = client.ok(&["rollback", "audit", "--host", &url]);
    assert!(told.starts_with("deployment 3 of `audit`: component ") && told.ends_with(" serves\n"), "{told}");
    wait_until("it goes on", Duration::from_secs(20), || host.kennel.status("audit")["lag"] == 0);
}

/// What has rotted in the store is sent once more, by the same command as the first time.
#[test]
fn a_damaged_component_is_mended_through_the_host() {
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
