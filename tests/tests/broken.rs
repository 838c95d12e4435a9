//! Components that are wrong in every way are rejected, each with a message of its own, while the projection that they
//! were meant for goes on as if nothing had been tried.

#![expect(clippy::print_stdout, reason = "the message for each is of interest to people")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::{component, contract, describing, guest, memory_bomb, store};
use kennel_tests::events::orders;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(60);

/// The faults, by name, and the files that show them.
fn wrong(kennel: &Kennel) -> BTreeMap<&'static str, PathBuf> {
    let changed = |from: &str, to: &str| {
        let contract = contract();
        assert!(contract.contains(from), "the contract has no `{from}`");
        component(&contract.replacen(from, to, 1), "projection")
    };
    let good = component(&contract(), "projection");
    let mut flipped = good.clone();
    flipped[8] ^= 0b0100_0000;
    let other = "package shop:mail; world mailer { export send: func(to: string); }";
    let program = wat::parse_str(r#"(module (func (export "_start")))"#).expect("the module parses");
    let future = contract().replace("@0.1.0", "@0.2.0");
    let handle = "export handle: func(event: event) -> result<_, failure>;";
    let one_event_type = store(512 + 32, 800) + &store(512 + 36, 1);
    let contents: [(&str, Vec<u8>); 21] = [
        ("no-wasm", b"#!/bin/sh\necho hello\n".to_vec()),
        ("empty", Vec::new()),
        ("empty-component", b"(component)".to_vec()),
        ("program", program),
        ("component-of-another-world", component(other, "mailer")),
        ("no-handle", changed(handle, "")),
        ("field-missing", changed("correlation-id: option<string>,", "")),
        ("field-of-another-type", changed("event-version: u32,", "event-version: u64,")),
        ("unknown-import", changed("import log;", "import log; import mail: func(to: string);")),
        ("cut", good[..good.len() / 2].to_vec()),
        ("damaged", flipped),
        ("of-the-future", component(&future, "projection")),
        ("describe-traps", describing("unreachable")),
        ("describe-loops", describing("(loop $forever (br $forever))")),
        ("describe-without-name", describing(&store(516, 0))),
        ("describe-without-version", describing(&store(524, 0))),
        ("describe-with-an-odd-name", describing("(i32.store8 (i32.const 1025) (i32.const 10))")),
        ("a-collection-without-name", describing(&(store(556, 900) + &store(560, 1)))),
        ("another-scope", describing(&one_event_type)),
        ("another-partitioning", describing("(i32.store8 (i32.const 552) (i32.const 1))")),
        ("bomb", memory_bomb()),
    ];
    let mut files: BTreeMap<&str, PathBuf> = contents
        .into_iter()
        .map(|(name, bytes)| (name, kennel.write(&format!("{name}.wasm"), bytes)))
        .collect();
    let large = kennel.folder().join("large.wasm");
    File::create(&large).and_then(|file| file.set_len(200 << 20)).expect("a sparse file");
    files.insert("large", large);
    files
}

/// Components that could run, but cannot replace the serving one: the store holds them from then on.
const RUNNABLE: [&str; 2] = ["another-partitioning", "another-scope"];

/// Everything that `kennel` shows of the deployments of a projection, its state and the components in the store.
fn reported(kennel: &Kennel) -> [Value; 3] {
    let status = kennel.status("audit-log");
    let state =
        Value::from(vec![status["state"].clone(), status["digest"].clone(), status["candidate"].clone()]);
    let components = kennel.json(&["components", "--json"]).as_array().map_or(0, Vec::len);
    [kennel.json(&["deployments", "audit-log", "--json"]), state, components.into()]
}

fn reject_all(kennel: &Kennel) {
    kennel.ok(&["migrate"]);
    let audit_log = guest("audit-log");
    kennel.ok(&["deploy", "audit-log", audit_log.to_str().expect("a UTF-8 path")]);
    let running = kennel.start(&["run", "--listen", "127.0.0.1:0"]);
    let lines = orders(2_000);
    let lines: Vec<&str> = lines.lines().collect();
    let (mut head, mut rounds) = (0, lines.chunks(50));
    let mut append = |head: &mut usize| {
        let events = rounds.next().expect("there are enough events");
        *head += events.len();
        let file = kennel.write("events.jsonl", events.join("\n"));
        kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
        wait_until("the events are handled", SOON, || kennel.status("audit-log")["position"] == *head);
    };
    append(&mut head);
    let mut before = reported(kennel);
    let mut messages: BTreeMap<String, &str> = BTreeMap::new();
    let files = wrong(kennel);
    assert!(files.len() >= 20, "{} components", files.len());
    for (what, file) in &files {
        let file = file.to_str().expect("a UTF-8 path");
        let rejected = kennel.run(&["deploy", "audit-log", file]);
        assert_eq!(rejected.code, Some(4), "{what}: {}{}", rejected.stdout, rejected.stderr);
        assert_eq!(rejected.stdout, "", "{what}");
        let message = rejected.stderr.replace(file, "FILE");
        assert!(message.starts_with("error: "), "{what}: {message}");
        println!("{what}: {}", message.trim_end());
        if let Some(other) = messages.insert(message, what) {
            panic!("{what} is rejected with the message of {other}");
        }
        if RUNNABLE.contains(what) {
            before[2] = (before[2].as_u64().expect("a number") + 1).into();
        }
        assert_eq!(reported(kennel), before, "{what} has changed something");
        append(&mut head);
    }
    let audit = kennel.json(&["documents", "audit-log", "events", "--json"]);
    let counts = audit.as_array().expect("documents").iter().filter(|row| row["document"]["count"] == 1);
    assert_eq!(counts.count(), head, "every event was handled once");
    running.signal("TERM");
    assert_eq!(running.wait(SOON), Some(0));
}

#[test]
fn all_are_rejected_on_sqlite() {
    reject_all(&Kennel::default());
}

#[test]
fn all_are_rejected_on_postgres() {
    let cluster = Cluster::start();
    reject_all(&Kennel::on(&cluster.create_database()));
}
