//! Every fault of a request, or of the host, is reported as a problem, and the host goes on.

use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::limits;
use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, now, wait_until};
use kennel_tests::components;
use kennel_tests::http::{self, Answer, Pending};
use serde_json::{Value, json};

use super::{Host, JSON, SOON, WASM, assert_problem, example_bytes};

const OPERATION_BYTES_MAX: usize = 64 * 1024;

/// Requests without a body, the status that each gets, and its message. STORED and ABSENT are digests.
const ASKED: &str = "
    GET /v1 => 404 there is nothing at /v1: /v1/openapi.json describes what there is
    GET /v1/ => 404 there is nothing at /v1/:
    GET /v1/projections/ => 404 there is nothing at /v1/projections/:
    GET /v1/projections/audit/pause/x => 404 there is nothing at
    DELETE /v1/nowhere => 404 there is nothing at /v1/nowhere:
    GET /v1/projections/absent => 404 there is no projection `absent`
    GET /v1/projections/absent/diff => 404 there is no projection `absent`
    POST /v1/projections/absent/pause => 404 there is no projection `absent`
    GET /v1/components/ABSENT => 404 the store holds no component
    GET /v1/projections/Audit => 400 `Audit` is not a valid projection name
    GET /v1/projections/a%2Fb => 400 `a/b` is not a valid projection name
    GET /v1/projections/%ff => 400 Invalid UTF-8
    GET /v1/components/12 => 400 `12` is not a component digest
    GET /v1/projections/audit/diff?samples=x => 400 the query of the URL is not valid: samples
    GET /v1/projections/audit/diff?sample=1 => 400 unknown field `sample`
    GET /v1/projections/audit/diff?samples=1001 => 400 at most 1000 documents
    GET /v1/projections/audit/diff => 409 `audit` has one read model only
    POST /v1/projections/audit/cancel => 409 `audit` has no candidate
    POST /v1/projections/audit/deployments => 415 send `Content-Type: application/json`
    PUT /v1/components/STORED => 415 send `Content-Type: application/wasm`";

/// The same for bodies of JSON that are posted to a path of the projection.
const POSTED: &str = r#"
    deployments => 400 the body does not have the expected form: EOF
    deployments { => 400 EOF while parsing
    deployments {} => 400 missing field `component`
    deployments {"component": "ABSENT"} => 404 the store holds no component
    deployments {"component": "12"} => 400 `12` is not a component digest
    deployments {"component": "STORED", "mode": "rebuild", "mode": "rebuild"} => 400 duplicate field `mode`
    deployments {"component": "STORED", "mode": "other"} => 400 unknown variant `other`, expected `continue` or `rebuild`
    deployments {"component": "STORED", "settings": []} => 400 invalid type: sequence, expected an object
    deployments {"component": "STORED", "settings": {"batch": 0}} => 400 a batch has 1 to 10000 events, not 0
    deployments {"component": "STORED", "settings": {"batch": 1.5}} => 400 expected a whole number
    deployments {"component": "STORED", "replica_set": "A"} => 400 `A` is not a valid replica set name
    pause {} {} => 400 trailing characters
    pause [null, null] => 400 invalid type: sequence, expected an object
    pause {"who": "me"} => 400 unknown field `who`
    pause {"expected_deployment": 4294967296} => 400 4294967296 is too large
    pause {"actor": "a\u0000b"} => 400 the actor has a control character"#;

/// The last word of the type that goes with a status.
fn word(status: u16) -> &'static str {
    match status {
        400 => "invalid-request",
        404 => "not-found",
        409 => "conflict",
        415 => "unsupported-media-type",
        other => panic!("{other} stands for nothing here"),
    }
}

/// The lines of a table: the request, the status, and the message.
fn lines(table: &str, stored: Digest) -> Vec<(String, u16, String)> {
    let absent = Digest::of(b"absent").to_string();
    let table = table.replace("STORED", &stored.to_string()).replace("ABSENT", &absent);
    let lines = table.trim().lines().map(|line| {
        let (sent, expected) = line.trim().split_once(" => ").expect("an expectation");
        let (status, said) = expected.split_once(' ').expect("a status and a message");
        (sent.to_owned(), status.parse().expect("a status"), said.to_owned())
    });
    lines.collect()
}

/// Begins to send a component, though at most so many bytes of it.
fn begin_put(host: &Host, bytes: &[u8], sent: usize) -> Pending {
    let path = format!("/v1/components/{}", Digest::of(bytes));
    let length = bytes.len().to_string();
    let headers = [WASM, ("Content-Length", length.as_str())];
    let sent = &bytes[..sent.min(bytes.len())];
    http::begin(host.served.address(), "PUT", &path, &headers, sent).expect("the host listens")
}

#[test]
fn every_mistake_is_reported_as_a_problem() {
    let host = Host::open();
    host.deploy("audit", "audit-log");
    let before = host.history(&["audit"]);
    let stored = Digest::of(&example_bytes("audit-log"));
    let check = |sent: &str, answer: &Answer, status: u16, said: &str| {
        let detail = assert_problem(answer, status, word(status));
        assert!(detail.contains(said), "{sent}: {detail} does not say: {said}");
    };
    for (sent, status, said) in lines(ASKED, stored) {
        let (method, path) = sent.split_once(' ').expect("a method and a path");
        check(&sent, &host.bare(method, path, &[], b""), status, &said);
    }
    for (sent, status, said) in lines(POSTED, stored) {
        let (end, body) = sent.split_once(' ').unwrap_or((&sent, ""));
        let path = format!("/v1/projections/audit/{end}");
        check(&sent, &host.bare("POST", &path, &[JSON], body.as_bytes()), status, &said);
    }
    let path = format!("/v1/components/{stored}");
    let other = host.bare("PUT", &path, &[WASM], b"other bytes");
    check("other bytes", &other, 400, "the body is not what the path says: its SHA-256 is ");
    for wrong in [("Content-Type", "text/plain"), ("Content-Type", "application/jsonx")] {
        let answer = host.bare("POST", "/v1/projections/audit/pause", &[wrong], b"{}");
        check("{}", &answer, 415, "send `Content-Type: application/json`");
        let answer = host.bare("PUT", &path, &[wrong], &example_bytes("audit-log"));
        check("a component", &answer, 415, "send `Content-Type: application/wasm`");
    }
    assert_problem(&host.put(b"no component"), 422, "unsupported");
    let deep = "{\"a\":".repeat(5000);
    let deep = host.bare("POST", "/v1/projections/audit/deployments", &[JSON], deep.as_bytes());
    check("a deep body", &deep, 400, "the body does not have the expected form");
    let too_long = host.post("/v1/projections/audit/pause", &json!({ "reason": "x".repeat(1001) }));
    check("a long reason", &too_long, 400, "the reason has 1001 characters; at most 1000 are allowed");
    for method in ["DELETE", "PATCH", "TRACE", "OPTIONS", "POST", "WHATEVER"] {
        let answer = host.bare(method, "/v1/projections", &[], b"");
        assert_problem(&answer, 405, "method-not-allowed");
        assert_eq!(answer.header("Allow"), Some("GET,HEAD"), "{method}");
    }
    assert_eq!(host.history(&["audit"]), before, "no mistake has changed anything");
}

#[test]
fn a_body_that_is_too_large_is_rejected_unread() {
    let host = Host::open();
    host.deploy("audit", "audit-log");
    let pause = "/v1/projections/audit/pause";
    // As large as it may be, and one byte more.
    let spaces = " ".repeat(OPERATION_BYTES_MAX - 2) + "{}";
    assert_eq!(host.bare("POST", pause, &[JSON], spaces.as_bytes()).status, 200);
    let larger = format!(" {spaces}");
    let answer = host.bare("POST", pause, &[JSON], larger.as_bytes());
    assert_eq!(assert_problem(&answer, 413, "too-large"), "the body of an operation has at most 64 KiB");
    // Without saying beforehand how large it is.
    let chunked = format!("{:x}\r\n{larger}\r\n0\r\n\r\n", larger.len());
    let headers = [JSON, ("Transfer-Encoding", "chunked")];
    assert_problem(&host.bare("POST", pause, &headers, chunked.as_bytes()), 413, "too-large");
    // Nothing of it is sent: that it was announced is enough.
    let announced = (limits::COMPONENT_BYTES_MAX + 1).to_string();
    let path = format!("/v1/components/{}", Digest::of(b""));
    let answer = host.bare("PUT", &path, &[WASM, ("Content-Length", &announced)], b"");
    assert_eq!(assert_problem(&answer, 413, "too-large"), "a component has at most 64 MiB");
    // As large as it may be, which is a lot.
    let largest = vec![0; limits::COMPONENT_BYTES_MAX];
    assert_problem(&host.put(&largest), 422, "unsupported");
    assert_eq!(host.get("/v1/components").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
    let host = Host::open();
    host.deploy("audit", "audit-log");
    let path = "/v1/projections/audit/pause";
    let began = now();
    let answer = host.bare("POST", path, &[JSON, ("Content-Length", "10")], b"{");
    let detail = assert_problem(&answer, 503, "timeout");
    assert_eq!(detail, "the body has not arrived within 5 s: nothing was changed, send it again");
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(host.get("/v1/projections/audit").json()["activity"], "running");
}

#[test]
fn deployments_wait_for_a_permit_and_reads_do_not() {
    let host = Host::open();
    let bytes = example_bytes("counter");
    // Each takes a compiler minutes, and is another one than the others: an empty custom section has its number.
    let bomb = |number: u8| [components::time_bomb(), vec![0, 2, 1, b'0' + number]].concat();
    let bombs: Vec<Vec<u8>> = (0..4).map(bomb).collect();
    let slow: Vec<_> = bombs.iter().map(|bomb| begin_put(&host, bomb, usize::MAX)).collect();
    // They may still be on their way when the first of these comes.
    let mut rejected = host.put(&bytes);
    wait_until("all permits are taken", SOON, || {
        let taken = rejected.status == 503;
        if !taken {
            rejected = host.put(&[&bytes[..], &[0, 2, 1, b'0']].concat());
        }
        taken
    });
    let detail = assert_problem(&rejected, 503, "busy");
    assert!(detail.starts_with("other requests like this one keep the host busy: "), "{detail}");
    assert!(detail.contains("nothing was changed, try again"), "{detail}");
    assert_eq!(rejected.header("Retry-After"), Some("5"));
    let began = now();
    assert_eq!(host.get("/v1/projections").status, 200);
    assert_eq!(host.get("/readyz").status, 200);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Clients that go away leave their permits, and nothing else.
    drop(slow);
    wait_until("a permit is free", SOON, || matches!(host.put(&bytes).status, 200 | 201));
    let stored = host.get("/v1/components").json();
    let stored: Vec<&Value> = stored.as_array().into_iter().flatten().map(|one| &one["digest"]).collect();
    assert!(stored.contains(&&Digest::of(&bytes).to_string().into()), "{stored:?}");
    assert!(bombs.iter().all(|bomb| !stored.contains(&&Digest::of(bomb).to_string().into())), "{stored:?}");
}

#[test]
fn bodies_that_do_not_come_do_not_keep_others_from_deploying() {
    let host = Host::open();
    let bytes = example_bytes("audit-log");
    let began = now();
    // More than there are permits, whatever they say is to come.
    let silent: Vec<_> = (0..50).map(|_| begin_put(&host, &example_bytes("counter"), 1)).collect();
    let silent_requests: Vec<_> = (0..50)
        .map(|_| {
            let headers = [JSON, ("Content-Length", "10")];
            let path = "/v1/projections/audit/deployments";
            http::begin(host.served.address(), "POST", path, &headers, b"{").expect("the host listens")
        })
        .collect();
    // A request that holds a permit keeps the others waiting until they fail because the host is busy.
    host.deploy("audit", "audit-log");
    assert_eq!(host.put(&bytes).status, 200);
    for pending in silent_requests {
        let detail = assert_problem(&pending.answer().expect("the host answers"), 503, "timeout");
        assert!(detail.starts_with("the body has not arrived within 5 s"), "{detail}");
    }
    for pending in silent {
        let detail = assert_problem(&pending.answer().expect("the host answers"), 503, "timeout");
        assert!(detail.starts_with("the body has not arrived within 60 s: nothing was changed"), "{detail}");
    }
    assert!(began.elapsed() < Duration::from_secs(75), "{:?}", began.elapsed());
    assert_eq!(host.get("/v1/components").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_database_that_is_away_is_a_problem_that_passes() {
    let mut cluster = Cluster::start();
    let host = Host::start(Kennel::on(&cluster.create_database()), None, "127.0.0.1:0");
    host.deploy("audit", "audit-log");
    cluster.stop();
    let away = || {
        [
            host.get("/v1/projections"),
            host.post("/v1/projections/audit/pause", &json!({})),
            host.put(b"anything"),
        ]
    };
    wait_until("it is noticed that the database is away", SOON, || {
        away().iter().all(|answer| answer.status == 503)
    });
    for answer in away() {
        let detail = if answer.json()["type"] == "urn:kennel:problem:timeout" {
            assert_problem(&answer, 503, "timeout")
        } else {
            assert_problem(&answer, 503, "unavailable")
        };
        assert!(!detail.contains("postgres"), "{detail}");
        assert!(answer.header("Retry-After").is_some(), "{}", answer.text());
    }
    assert_eq!(host.get("/healthz").status, 200);
    cluster.launch();
    wait_until("it is back", SOON, || host.get("/v1/projections").status == 200);
    assert_eq!(host.get("/v1/projections/audit").json()["activity"], Value::from("running"));
    assert_eq!(host.post("/v1/projections/audit/pause", &json!({})).status, 200);
}
