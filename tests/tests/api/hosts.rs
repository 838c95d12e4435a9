//! The command line as a client: what it says of URLs, tokens and hosts with which it cannot work.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use kennel_tests::binary::{Kennel, Printed};
use kennel_tests::components::guest;
use kennel_tests::metrics::free_address;
use serde_json::json;

use super::{Host, TOKEN, example_bytes, text};

/// A client without a store.
fn client() -> Kennel {
    Kennel::on("postgres://absent@127.0.0.1:1/nowhere")
}

#[track_caller]
fn assert_fails(printed: &Printed, code: i32, said: &str) {
    assert_eq!(printed.code, Some(code), "{}{}", printed.stdout, printed.stderr);
    assert_eq!(printed.stdout, "");
    assert!(printed.stderr.contains(said), "{} does not say: {said}", printed.stderr);
}

/// A server that answers every request with these lines. Serves until the test ends.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            // One read is enough for the head of these requests.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn urls_that_cannot_be_a_host_are_reported() {
    for (url, said) in [
        ("localhost:9090", "`localhost:9090` is not the URL of a host: use one like http://localhost:9090"),
        ("ftp://localhost", "a host is reached by http:// or https://, not by ftp://"),
        ("https://me:secret@kennel.example.com", "the token goes into KENNEL_TOKEN"),
        ("http://localhost/?a=b", "leave out what follows"),
    ] {
        assert_fails(&client().run(&["components", "--host", url]), 2, said);
    }
}

#[test]
fn a_host_and_a_store_cannot_both_be_given_but_a_flag_wins_over_a_variable() {
    let host = Host::open();
    let (url, other) = (host.url(), Kennel::default());
    let both = other.run(&["components", "--host", &url, "--store", "sqlite:other.db"]);
    assert_fails(
        &both,
        2,
        "the argument '--store' cannot be used with '--host <URL>': the host has its own store",
    );
    assert!(both.stderr.contains("Usage: kennel"), "{}", both.stderr);
    let tables = other.run(&["components", "--host", &url, "--events-table", "ledger"]);
    assert_fails(&tables, 2, "the argument '--events-table' cannot be used with '--host <URL>'");

    host.put(&example_bytes("counter"));
    let count = |kennel: &Kennel, flags: &[&str]| {
        let components = kennel.json(&[&["components", "--json"], flags].concat());
        components.as_array().expect("a list").len()
    };
    // The variable KENNEL_STORE is always set here.
    assert_eq!(count(&client(), &["--host", &url]), 1);
    let other = other.with("KENNEL_HOST", &url);
    assert_eq!(count(&other, &[]), 1, "a host among the variables wins over a store among them");
    other.ok(&["migrate"]);
    assert_eq!(count(&other, &["--store", "sqlite:kennel.db"]), 0, "a flag wins over a variable");
}

#[test]
fn a_token_is_not_sent_unencrypted() {
    let with_token = client().with("KENNEL_TOKEN", TOKEN);
    let printed = with_token.run(&["components", "--host", "http://kennel.example.com:9090"]);
    assert_fails(
        &printed,
        6,
        "error: the token would cross the network to http://kennel.example.com:9090 for everybody to read: use https://",
    );
    assert!(!printed.stderr.contains(TOKEN));
    // Not even a connection is tried: the name does not exist.
    assert!(!printed.stderr.contains("does not answer"), "{}", printed.stderr);
    let printed = client().run(&["components", "--host", "http://host.invalid"]);
    assert_fails(
        &printed,
        3,
        "warning: everything sent to http://host.invalid can be read and changed on the way",
    );
}

#[test]
fn a_missing_or_wrong_token_is_reported() {
    let host = Host::closed();
    let url = host.url();
    assert_fails(&client().run(&["components", "--host", &url]), 6, "error: this host asks for its token");
    let wrong = client().with("KENNEL_TOKEN", "another-token-of-the-tests");
    assert_fails(&wrong.run(&["components", "--host", &url]), 6, "error: this is not the token of this host");
    let file = guest("counter");
    assert_fails(&wrong.run(&["deploy", "counter", text(&file), "--host", &url]), 6, "this is not the token");
    assert_eq!(host.get("/v1/projections").json(), json!([]));
    let right = client().with("KENNEL_TOKEN", TOKEN);
    right.ok(&["deploy", "counter", text(&file), "--host", &format!("{url}/")]);
    assert_eq!(host.get("/v1/projections").json()[0]["serving"], 1);
}

#[test]
fn a_host_that_is_away_and_a_server_that_is_none_are_distinguished() {
    let away = format!("http://{}", free_address());
    let printed = client().run(&["components", "--host", &away]);
    assert_fails(
        &printed,
        3,
        &format!(
            "error: the host at {away} does not answer: is `kennel run` running there, and is the URL right?"
        ),
    );
    assert!(printed.stderr.contains("Connection refused"), "the cause: {}", printed.stderr);
    for (answer, code, said) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            7,
            "is no Kennel host, or one that is too old to have an API: it answered GET /v1/components with 404 Not Found",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<!DOCTYPE",
            3,
            "is no Kennel host, or one of another version: its answer to GET /v1/components is not understood here",
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            3,
            "leads elsewhere: it answered GET /v1/components with 302 Found; give the URL that it leads to",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            3,
            "cannot reach it: it answered GET /v1/components with 502 Bad Gateway; try again later",
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", 3, "does not answer"),
    ] {
        let url = server(answer);
        let printed = client().run(&["components", "--host", &url]);
        assert_fails(&printed, code, said);
        assert!(printed.stderr.contains(&url), "{}", printed.stderr);
    }
}
