//! Who may use the API: no client without the token where there is one, no web page where there is none, and no client
//! at all where others could reach a host without one.

use kennel_core::digest::Digest;
use kennel_tests::binary::Kennel;
use serde_json::{Value, json};

use super::document::{Operation, operations};
use super::{Host, JSON, TOKEN, WASM, assert_problem, example_bytes, on_postgres};

type Headers<'a> = Vec<(&'a str, &'a str)>;

/// An operation that would be carried out if it came from the right client.
struct Change {
    method: String,
    path: String,
    content_type: (&'static str, &'static str),
    body: Vec<u8>,
}

impl Change {
    fn new(operation: &Operation) -> Self {
        let unknown = example_bytes("event-statistics");
        let path = operation.path("audit", &Digest::of(&unknown).to_string());
        let method = operation.method.clone();
        if operation.method == "PUT" {
            return Self { method, path, content_type: WASM, body: unknown };
        }
        let mut body = json!({ "reason": "not to be" });
        if operation.path.ends_with("/deployments") {
            body["component"] = Digest::of(&example_bytes("audit-log")).to_string().into();
            body["settings"] = json!({ "batch": 3 });
        }
        if operation.path.ends_with("/accept-log") {
            body["after"] = 0.into();
        }
        Self { method, path, content_type: JSON, body: body.to_string().into_bytes() }
    }

    fn send(&self, host: &Host, headers: &[(&str, &str)]) -> kennel_tests::http::Answer {
        host.bare(&self.method, &self.path, &[&[self.content_type], headers].concat(), &self.body)
    }
}

/// The operations of the document of a host that change something.
fn changes(host: &Host) -> Vec<Change> {
    let document = host.get("/v1/openapi.json").json();
    let changing = operations(&document).into_iter().filter(Operation::changes);
    let changes: Vec<Change> = changing.map(|operation| Change::new(&operation)).collect();
    assert!(changes.len() >= 9, "{} operations", changes.len());
    changes
}

/// A host whose projection `audit` is such that every operation would find something to do.
fn with_something_to_do(host: Host) -> Host {
    host.deploy("audit", "audit-log");
    host.append(5);
    let built = host.post("/v1/projections/audit/rebuild", &json!({ "promotion": "manual" }));
    assert_eq!(built.status, 200, "{}", built.text());
    host
}

/// Requests every operation with each of these headers; all are denied with this problem, and nothing has changed.
fn denied(host: &Host, headers: &[Headers<'_>], status: u16, word: &str) {
    let before = host.history(&["audit"]);
    for change in changes(host) {
        for headers in headers {
            let answer = change.send(host, headers);
            assert_problem(&answer, status, word);
        }
        assert_eq!(
            host.history(&["audit"]),
            before,
            "{} {} has changed something",
            change.method,
            change.path
        );
    }
}

/// Each operation, from the right client, is carried out: otherwise nothing would follow from its being denied.
fn carried_out(host: &Host, headers: &[(&str, &str)]) {
    let mut carried_out = 0;
    for change in changes(host) {
        let answer = change.send(host, headers);
        assert!(
            matches!(answer.status, 200 | 201 | 409),
            "{} {}: {}",
            change.method,
            change.path,
            answer.text()
        );
        carried_out += usize::from(answer.status != 409);
    }
    assert!(carried_out >= 5, "{carried_out} operations found something to do");
}

fn only_the_token_opens(new_store: &dyn Fn() -> Kennel) {
    let host = with_something_to_do(Host::start(new_store(), Some(TOKEN), "127.0.0.1:0"));
    let almost = format!("Bearer {TOKEN}x");
    let basic = format!("Basic {TOKEN}");
    let with_space = format!("Bearer{TOKEN}");
    let wrong: [Headers<'_>; 6] = [
        vec![],
        vec![("Authorization", "Bearer")],
        vec![("Authorization", "Bearer 0123456789abcdef0123456789abcdef")],
        vec![("Authorization", &almost)],
        vec![("Authorization", &basic)],
        vec![("Authorization", &with_space)],
    ];
    denied(&host, &wrong, 401, "unauthorized");
    let document = host.get("/v1/openapi.json").json();
    for operation in operations(&document).iter().filter(|operation| !operation.changes()) {
        let path = operation.path("audit", &Digest::of(&example_bytes("audit-log")).to_string());
        let answer = host.bare("GET", &path, &[], b"");
        if path == "/v1/openapi.json" {
            assert_eq!(answer.status, 200);
            continue;
        }
        assert_problem(&answer, 401, "unauthorized");
        assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer realm=\"kennel\""), "{path}");
    }
    // Strangers do not learn which paths are absent either.
    for path in ["/v1", "/v1/nowhere", "/v1/projections/absent"] {
        assert_problem(&host.bare("GET", path, &[], b""), 401, "unauthorized");
    }
    let answer = host.bare("GET", "/v1/projections", &[("Authorization", &almost)], b"");
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer realm=\"kennel\", error=\"invalid_token\""));
    let right = format!("Bearer {TOKEN}");
    // With the token it does not matter where a request comes from.
    carried_out(
        &host,
        &[("Authorization", &right), ("Host", "kennel.example.com"), ("Origin", "https://ops.example.com")],
    );
}

#[test]
fn only_the_token_opens_a_host_that_has_one_on_sqlite() {
    only_the_token_opens(&Kennel::default);
}

#[test]
fn only_the_token_opens_a_host_that_has_one_on_postgres() {
    on_postgres(only_the_token_opens);
}

#[test]
fn without_a_token_web_pages_can_do_nothing() {
    let host = with_something_to_do(Host::open());
    let named = format!("evil.example:{}", host.served.address().rsplit(':').next().expect("a port"));
    let foreign: [Headers<'_>; 4] = [
        vec![("Host", &named)],
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "null")],
        vec![("Origin", "http://localhost:9090")],
    ];
    denied(&host, &foreign, 403, "forbidden");
    // A page that had its own name lead here could read what it is answered.
    assert_problem(&host.bare("GET", "/v1/projections", &[("Host", &named)], b""), 403, "forbidden");
    assert_eq!(host.bare("GET", "/v1/projections", &[("Origin", "https://evil.example")], b"").status, 200);
    carried_out(&host, &[("Host", "localhost")]);
}

#[test]
fn without_a_token_clients_behind_a_proxy_can_do_nothing() {
    let host = with_something_to_do(Host::open());
    let forwarded: [Headers<'_>; 5] = [
        vec![("Forwarded", "for=203.0.113.7")],
        vec![("X-Forwarded-For", "203.0.113.7")],
        vec![("X-Forwarded-Host", "kennel.example.com")],
        vec![("X-Real-Ip", "203.0.113.7")],
        vec![("Via", "1.1 proxy")],
    ];
    denied(&host, &forwarded, 403, "forbidden");
    for headers in &forwarded {
        for path in ["/v1/projections", "/v1/openapi.json", "/v1/nowhere"] {
            let detail = assert_problem(&host.bare("GET", path, headers, b""), 403, "forbidden");
            let name = headers[0].0.to_lowercase();
            assert!(detail.contains(&format!("the header `{name}` says that a proxy")), "{detail}");
            assert!(detail.contains("KENNEL_TOKEN") && detail.contains("token_file"), "{detail}");
        }
        assert_eq!(host.bare("GET", "/healthz", headers, b"").status, 200);
    }
    carried_out(&host, &[]);
    // With a token a proxy is as good as any other client.
    let closed = Host::closed();
    for headers in &forwarded {
        assert_eq!(closed.ask("GET", "/v1/projections", headers, b"").status, 200);
    }
}

#[test]
fn a_host_that_others_can_reach_is_closed_without_a_token() {
    let kennel = Kennel::default();
    kennel.ok(&["migrate"]);
    let mut command =
        kennel.command(&["run", "--listen", "0.0.0.0:0", "--workers", "1", "--until-caught-up"]);
    let log = String::from_utf8(command.output().expect("kennel runs").stderr).expect("UTF-8");
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("/v1 is closed"));
    assert_eq!(warned.clone().count(), 1, "{log}");
    assert!(warned.clone().all(|line| line.contains("KENNEL_TOKEN") && line.contains("token_file")), "{log}");

    let reached = Host::start(kennel, None, "0.0.0.0:0");
    let open = with_something_to_do(Host::open());
    // The paths are those of the other host: this one does not even show them.
    for change in changes(&open) {
        let detail = assert_problem(&change.send(&reached, &[("Host", "localhost")]), 403, "forbidden");
        assert!(detail.contains("KENNEL_TOKEN") && detail.contains("token_file"), "{detail}");
    }
    for path in ["/v1", "/v1/projections", "/v1/components", "/v1/openapi.json", "/v1/nowhere"] {
        assert_problem(&reached.bare("GET", path, &[("Authorization", "Bearer x")], b""), 403, "forbidden");
    }
    assert_eq!(reached.kennel.json(&["components", "--json"]), Value::Array(Vec::new()));
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/nowhere", 404)] {
        assert_eq!(reached.bare("GET", path, &[], b"").status, status, "{path}");
    }
}

#[test]
fn a_host_that_others_can_reach_is_open_to_clients_with_the_token_of_its_file() {
    let kennel = Kennel::default();
    kennel.write("token", format!("{TOKEN}\n"));
    kennel.write("kennel.toml", "[api]\ntoken_file = \"token\"\n");
    kennel.ok(&["migrate"]);
    let served = kennel_tests::metrics::Served::start_at(&kennel, "0.0.0.0:0", &["--workers", "1"]);
    let host = Host { kennel, served, token: Some(TOKEN) };
    assert_eq!(host.deploy("audit", "audit-log").json()["deployment"], 1);
    assert_problem(&host.bare("GET", "/v1/projections", &[], b""), 401, "unauthorized");
    // The same file serves the command line.
    let port = host.served.address().rsplit(':').next().expect("a port");
    let reported =
        host.kennel.json(&["deployments", "audit", "--json", "--host", &format!("http://127.0.0.1:{port}")]);
    assert_eq!(reported[0]["outcome"], "serving");
}

#[test]
fn a_token_that_cannot_be_one_keeps_the_host_from_starting() {
    for (token, file, said) in [
        (Some(""), None, "KENNEL_TOKEN is empty: put a token there, or unset it"),
        (
            Some("secret"),
            None,
            "KENNEL_TOKEN has 6 characters: a token has at least 16, such as `openssl rand -hex 32` makes them",
        ),
        (Some("two words, many letters"), None, "KENNEL_TOKEN holds a character that a token cannot have"),
        (None, Some(""), "the token file token is empty"),
        (None, None, "cannot read the token file token: "),
    ] {
        let kennel = Kennel::default();
        let kennel = match token {
            Some(token) => kennel.with("KENNEL_TOKEN", token),
            None => kennel,
        };
        kennel.write("kennel.toml", "[api]\ntoken_file = \"token\"\n");
        if let Some(content) = file {
            kennel.write("token", content);
        }
        let printed = kennel.run(&["run", "--until-caught-up"]);
        assert_eq!(printed.code, Some(6), "{}", printed.stderr);
        assert!(printed.stderr.contains(&format!("error: {said}")), "{}", printed.stderr);
        assert!(!printed.stderr.contains("secret"), "{}", printed.stderr);
    }
}
