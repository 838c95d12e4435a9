//! The API of a host: the same operations as on its store, for clients that may use them, and problems for all others.

mod authentication;
mod connections;
mod document;
mod fuzz;
mod hosts;
mod operations;
mod problems;

use std::path::Path;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::Kennel;
use kennel_tests::components::guest;
use kennel_tests::events::orders;
use kennel_tests::http::{self, Answer};
use kennel_tests::metrics::Served;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const TOKEN: &str = "a-token-of-the-tests-0123456789";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const WASM: (&str, &str) = ("Content-Type", "application/wasm");

/// A process that serves the API of a store, and the commands on that store beside it.
struct Host {
    kennel: Kennel,
    served: Served,
    token: Option<&'static str>,
}

impl Host {
    /// On a new SQLite store.
    fn open() -> Self {
        Self::start(Kennel::default(), None, "127.0.0.1:0")
    }

    /// The same, asking for the token.
    fn closed() -> Self {
        Self::start(Kennel::default(), Some(TOKEN), "127.0.0.1:0")
    }

    fn start(kennel: Kennel, token: Option<&'static str>, address: &str) -> Self {
        let kennel = match token {
            Some(token) => kennel.with("KENNEL_TOKEN", token),
            None => kennel,
        };
        kennel.ok(&["migrate"]);
        let served = Served::start_at(&kennel, address, &["--workers", "1"]);
        Self { kennel, served, token }
    }

    fn url(&self) -> String {
        format!("http://{}", self.served.address())
    }

    /// What it answers to exactly these headers.
    #[track_caller]
    fn bare(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        http::request(self.served.address(), method, path, headers, body).expect("the host answers")
    }

    /// What it answers to a client that may ask.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = self.token.map(|token| format!("Bearer {token}"));
        let authorization = authorization.iter().map(|value| ("Authorization", value.as_str()));
        self.bare(method, path, &authorization.chain(headers.iter().copied()).collect::<Vec<_>>(), body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[JSON], body.to_string().as_bytes())
    }

    #[track_caller]
    fn put(&self, bytes: &[u8]) -> Answer {
        self.ask("PUT", &format!("/v1/components/{}", Digest::of(bytes)), &[WASM], bytes)
    }

    /// Stores an example and deploys it.
    #[track_caller]
    fn deploy(&self, projection: &str, example: &str) -> Answer {
        let bytes = example_bytes(example);
        let put = self.put(&bytes);
        assert!(matches!(put.status, 200 | 201), "{}", put.text());
        let request = json!({ "component": Digest::of(&bytes).to_string() });
        let deployed = self.post(&format!("/v1/projections/{projection}/deployments"), &request);
        assert_eq!(deployed.status, 201, "{}", deployed.text());
        deployed
    }

    /// Appends events of so many orders.
    fn append(&self, count: u64) {
        let file = self.kennel.write("events.jsonl", orders(count));
        self.kennel.ok(&["append", "--from", text(&file)]);
    }

    /// All that its store holds about projections and components, asked of the store itself.
    fn history(&self, projections: &[&str]) -> Vec<Value> {
        let mut reported = vec![self.kennel.json(&["components", "--json"])];
        let all = self.get("/v1/projections").json();
        reported.push(all.as_array().map(Vec::len).into());
        for projection in projections {
            reported.push(self.kennel.json(&["deployments", projection, "--json"]));
            reported.push(self.get(&format!("/v1/projections/{projection}")).json()["activity"].clone());
        }
        reported
    }
}

fn example_bytes(example: &str) -> Vec<u8> {
    std::fs::read(guest(example)).expect("the guest is built")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Every error has this form.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, word: &str) -> String {
    let shown = answer.text();
    assert_eq!(answer.status, status, "{shown}");
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{shown}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{shown}");
    assert_eq!(problem["type"], format!("urn:kennel:problem:{word}"), "{shown}");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{shown}");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(!detail.is_empty(), "{shown}");
    assert_eq!(problem.as_object().map(serde_json::Map::len), Some(4), "{shown}");
    detail.to_owned()
}

/// Runs a test on a store of each kind.
fn on_postgres(test: impl FnOnce(&dyn Fn() -> Kennel)) {
    let cluster = Cluster::start();
    test(&|| Kennel::on(&cluster.create_database()));
}
