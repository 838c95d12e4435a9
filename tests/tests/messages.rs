//! Bad input gets a clear error, the documented exit code, and loses nothing.
//!
//! Each test is a list of commands; what they print is one snapshot. Read a changed snapshot as the person
//! who gets that message at 3 a.m. and has never seen the code: what happened, to what, and what now?

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::{component, contract, guest, module};
use kennel_tests::events::{line, log};
use serde_json::json;

/// Commands that must fail and change nothing, and what they say.
struct Rejections {
    kennel: Kennel,
    text: String,
    hidden: Vec<(String, &'static str)>,
}

impl Rejections {
    fn on(kennel: Kennel) -> Self {
        let folder = kennel.folder().display().to_string();
        Self { kennel, text: String::new(), hidden: vec![(folder, "[folder]")] }
    }

    /// A store with one projection, `audit-log`, that has handled its three events.
    fn with_projection() -> Self {
        let kennel = Kennel::default();
        let file = kennel.write("good.jsonl", log(3, 2));
        kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
        let guest = guest("audit-log");
        kennel.ok(&["deploy", "audit-log", guest.to_str().expect("a UTF-8 path")]);
        kennel.ok(&["run", "--until-caught-up"]);
        Self::on(kennel)
    }

    /// Replaces what differs from run to run.
    fn hide(&mut self, text: impl ToString, name: &'static str) {
        self.hidden.push((text.to_string(), name));
    }

    /// Runs a command that must fail and must leave the store as it is.
    #[track_caller]
    fn case(&mut self, arguments: &[&str]) {
        self.run(arguments, |command| command);
    }

    /// The same, with a file in the folder.
    #[track_caller]
    fn with_file(&mut self, name: &str, content: impl AsRef<[u8]>, arguments: &[&str]) {
        self.kennel.write(name, content);
        self.case(arguments);
    }

    /// The same, with the command changed.
    #[track_caller]
    fn run(&mut self, arguments: &[&str], prepare: impl FnOnce(&mut Command) -> &mut Command) {
        let before = self.state();
        let mut command = self.kennel.command(arguments);
        let output = prepare(&mut command).output().expect("kennel starts");
        let code = output.status.code().unwrap_or(-1);
        assert_ne!(code, 0, "kennel {arguments:?} should fail");
        assert_eq!(self.state(), before, "kennel {arguments:?} changed something");
        let shown: Vec<&str> =
            arguments.iter().map(|argument| argument.rsplit("target/").next().unwrap_or(argument)).collect();
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        let mut text = format!("$ kennel {}\n{}[exit {code}]\n\n", shown.join(" "), printed.concat());
        for (hidden, name) in &self.hidden {
            text = text.replace(hidden, name);
        }
        self.text += &text;
    }

    /// Everything that `status` reports of log and projections; none if there is no store or no usable one.
    fn state(&self) -> Option<String> {
        let exists = self.kennel.folder().join("kennel.db").exists();
        let reported = exists.then(|| self.kennel.run(&["status", "--json"]).stdout)?;
        let Ok(mut status) = serde_json::from_str::<serde_json::Value>(&reported) else {
            return Some(reported);
        };
        // Heartbeats grow older by themselves.
        status["replica_sets"].take();
        // Whose partitions they are changes while a process starts.
        for projection in status["projections"].as_array_mut().into_iter().flatten() {
            projection["partitions"].take();
        }
        Some(status.to_string())
    }
}

#[test]
fn components_that_cannot_run_here() {
    let mut rejections = Rejections::with_projection();
    let deploy = ["deploy", "bad", "bad.wasm"];
    rejections.with_file("bad.wasm", "#!/bin/sh\necho hello\n", &deploy);
    rejections.with_file("bad.wasm", "", &deploy);
    rejections.with_file("bad.wasm", "(component)", &deploy);

    let program = wat::parse_str(r#"(module (func (export "_start")))"#).expect("the module parses");
    rejections.with_file("bad.wasm", program, &deploy);
    let other = "package shop:mail; world mailer { export send: func(to: string); }";
    rejections.with_file("bad.wasm", module(other, "mailer"), &deploy);
    rejections.with_file("bad.wasm", component(other, "mailer"), &deploy);

    let changed = |from: &str, to: &str| {
        let contract = contract();
        assert!(contract.contains(from), "the contract has no `{from}`");
        component(&contract.replacen(from, to, 1), "projection")
    };
    let handle = "export handle: func(event: event) -> result<_, failure>;";
    rejections.with_file("bad.wasm", changed(handle, ""), &deploy);
    rejections.with_file("bad.wasm", changed("correlation-id: option<string>,", ""), &deploy);
    rejections.with_file("bad.wasm", changed("event-version: u32,", "event-version: u64,"), &deploy);
    rejections.with_file(
        "bad.wasm",
        changed("import log;", "import log; import mail: func(to: string);"),
        &deploy,
    );

    let good = component(&contract(), "projection");
    rejections.with_file("bad.wasm", &good[..good.len() / 2], &deploy);
    let mut flipped = good;
    flipped[8] ^= 0b0100_0000;
    rejections.with_file("bad.wasm", flipped, &deploy);
    // It has the right type, but every function traps.
    rejections.with_file("bad.wasm", component(&contract(), "projection"), &deploy);

    let large = std::fs::File::create(rejections.kennel.folder().join("bad.wasm")).expect("a file");
    large.set_len(65 << 20).expect("a sparse file");
    rejections.case(&deploy);
    rejections.case(&["deploy", "bad", "missing.wasm"]);
    rejections.case(&["deploy", "bad", "."]);
    // Where exactly a file is damaged depends on the tool that made it.
    insta::with_settings!({filters => vec![(r"at offset \d+ of \d+", "at offset [n] of [n]")]}, {
        insta::assert_snapshot!(rejections.text);
    });
}

#[test]
fn inspect_reports_why_a_component_cannot_run_here() {
    let mut rejections = Rejections::on(Kennel::default());
    rejections.with_file("bad.wasm", "hello", &["inspect", "bad.wasm"]);
    let without = contract().replace("export describe: func() -> descriptor;", "");
    let bad = component(&without, "projection");
    rejections.hide(Digest::of(&bad), "[digest]");
    rejections.hide(format!("{},{:03}", bad.len() / 1000, bad.len() % 1000), "[size]");
    rejections.hide(bad.len(), "[size]");
    rejections.with_file("bad.wasm", bad, &["inspect", "bad.wasm"]);
    rejections.case(&["inspect", "bad.wasm", "--json"]);
    rejections.case(&["inspect", "missing.wasm"]);
    insta::assert_snapshot!(rejections.text);
}

#[test]
fn names_that_are_taken_unknown_or_not_valid() {
    let mut rejections = Rejections::with_projection();
    let audit_log = guest("audit-log");
    let audit_log = audit_log.to_str().expect("a UTF-8 path");
    let digest =
        rejections.kennel.status("audit-log")["digest"].as_str().map(|digest| digest[..12].to_owned());
    rejections.hide(digest.expect("a digest"), "[digest]");
    let actor = rejections.kennel.json(&["deployments", "audit-log", "--json"])[0]["actor"].clone();
    rejections.hide(actor.as_str().expect("an actor"), "[actor]");
    rejections.case(&["deploy", "audit-log", audit_log, "--expect", "0", "--set", "currency=EUR"]);
    rejections.case(&["deploy", "audit-log", audit_log, "--replica-set", "reports", "--set", "currency=EUR"]);
    rejections.case(&["deploy", "audit-log", audit_log, "--mode", "swap"]);
    rejections.with_file(
        "kennel.toml",
        "[projections.audit-log]\ngrants = [\"http\"]",
        &["deploy", "audit-log", audit_log],
    );
    std::fs::remove_file(rejections.kennel.folder().join("kennel.toml")).expect("the file is there");
    rejections.case(&["deploy", "audit-log", "0123456789ab"]);
    rejections.case(&["deploy", "audit-log", "oci://localhost"]);
    rejections.case(&["rollback", "audit-log"]);
    rejections.case(&["rollback", "audit-log", "--to", "7"]);
    rejections.case(&["rollback", "audit-log", "--to", "1"]);
    rejections.case(&["promote", "audit-log"]);
    rejections.case(&["cancel", "audit-log"]);
    rejections.case(&["diff", "audit-log"]);
    rejections.case(&["rebuild", "orders"]);
    rejections.case(&["pause", "orders"]);
    rejections.case(&["retire", "orders"]);
    rejections.case(&["deployments", "orders"]);
    rejections.case(&["deploy", "Audit Log", audit_log]);
    rejections.case(&["deploy", "new", audit_log, "--set", "currency"]);
    rejections.case(&["deploy", "new", audit_log, "--batch", "0"]);
    rejections.case(&["deploy", "new", audit_log, "--on-failure", "ignore"]);
    rejections.case(&["documents", "audit-lgo", "events"]);
    rejections.case(&["documents", "orders", "events"]);
    rejections.case(&["documents", "audit-log", "event"]);
    rejections.case(&["documents", "audit-log", "events", "no-such-key"]);
    rejections.case(&["documents", "audit-log"]);
    rejections.case(&["staus"]);
    rejections.case(&["run", "--workers", "0"]);
    rejections.case(&["run", "--batch", "many"]);
    rejections.case(&["run", "--listen", "localhost:9090"]);
    rejections.run(&["run"], |command| command.env("KENNEL_REPLICA_SET", "Main"));
    // A command that works through a host has no store here.
    for command in [&["append", "--from", "-"][..], &["workers"], &["documents", "audit-log", "events"]] {
        rejections.run(command, |command| {
            command.env("KENNEL_HOST", "http://localhost:1").env_remove("KENNEL_STORE")
        });
    }
    insta::assert_snapshot!(rejections.text);

    let empty = Kennel::default();
    empty.ok(&["migrate"]);
    let mut rejections = Rejections::on(empty);
    rejections.case(&["documents", "orders", "events"]);
    insta::assert_snapshot!("nothing_has_been_deployed", rejections.text);
}

/// An event like the others, with these fields changed.
fn event(number: u64, changes: &serde_json::Value) -> String {
    let text = line(number, "Sales", ("Order", "order-1"), "OrderPlaced", &json!({"sku": "sku-1"}));
    let mut event: serde_json::Value = serde_json::from_str(&text).expect("an event is JSON");
    for (field, value) in changes.as_object().expect("an object of changes") {
        event[field] = value.clone();
    }
    format!("{event}\n")
}

#[test]
fn a_malformed_line_in_a_file_imports_nothing() {
    let mut rejections = Rejections::with_projection();
    let append = ["append", "--from", "events.jsonl"];
    let good = || event(50, &json!({})) + &event(51, &json!({}));
    let bad = |last: &str| good() + last;
    rejections.with_file("events.jsonl", bad(r#"{"bounded_context": "Sales", "aggr"#), &append);
    rejections.with_file("events.jsonl", bad("hello\n"), &append);
    rejections.with_file("events.jsonl", bad("[1, 2]\n"), &append);
    rejections.with_file("events.jsonl", bad(r#"{"bounded_context": "Sales"}"#), &append);
    for changes in [
        json!({"event_id": "order-1"}),
        json!({"created_at": "yesterday"}),
        json!({"aggregate_version": "2"}),
        json!({"aggregate_version": 0}),
        json!({"aggregate_id": ""}),
        json!({"agregate_id": "order-1"}),
    ] {
        rejections.with_file("events.jsonl", bad(&event(52, &changes)), &append);
    }
    rejections.with_file("events.jsonl", [good().as_bytes(), b"\xff\xfe{\n"].concat(), &append);
    rejections.case(&["append", "--from", "missing.jsonl"]);
    rejections.case(&["append", "--from", "."]);
    insta::assert_snapshot!(rejections.text);
}

#[test]
fn events_that_contradict_the_log() {
    let mut rejections = Rejections::with_projection();
    let append = ["append", "--from", "events.jsonl"];
    let twice = event(60, &json!({"aggregate_version": 1})) + &event(61, &json!({"aggregate_version": 1}));
    rejections.with_file("events.jsonl", twice, &append);
    rejections.with_file("events.jsonl", event(62, &json!({"aggregate_version": 3})), &append);
    rejections.with_file("events.jsonl", event(63, &json!({"event_type": "a\u{0}b"})), &append);
    rejections.with_file("events.jsonl", event(64, &json!({"event_version": u32::MAX})), &append);
    insta::assert_snapshot!(rejections.text);
}

#[test]
fn tests_that_cannot_be_run() {
    let mut rejections = Rejections::on(Kennel::default());
    let test = ["test", "audit-log.wasm"];
    rejections.case(&["test"]);
    rejections.with_file("a.wasm", "no component", &["test", "missing.wasm"]);
    rejections.with_file("b.wasm", "", &["test"]);
    rejections.with_file("events.jsonl", log(2, 1), &["test", "a.wasm"]);
    let guest = std::fs::read(guest("audit-log")).expect("the guest is there");
    rejections.with_file("audit-log.wasm", guest, &["test", "audit-log.wasm", "--events", "missing.jsonl"]);
    rejections.case(&["test", "audit-log.wasm", "--events", "."]);

    let changed = |changes: &[serde_json::Value]| {
        let events = (1..).zip(changes).map(|(number, changes)| event(number, changes));
        events.collect::<String>()
    };
    let position = |position: u64| json!({"global_position": position});
    for changes in [
        vec![json!({}), json!({"payload": null, "payload_base64": "AA=="})],
        vec![json!({"zzz": 1})],
        vec![json!({"event_id": uuid::Uuid::nil()}), json!({"event_id": uuid::Uuid::nil()})],
        vec![json!({"aggregate_version": 2})],
        vec![position(1), json!({})],
        vec![json!({}), position(2)],
        vec![position(2), position(2)],
        vec![position(0)],
        vec![position(u64::MAX)],
    ] {
        rejections.with_file("events.jsonl", changed(&changes), &test);
    }
    rejections.with_file("events.jsonl", "\n{\n", &test);
    rejections.with_file("events.jsonl", b"\xff\n", &test);

    rejections.with_file("events.jsonl", log(2, 1), &["test", "audit-log.wasm", "--expect", "missing.json"]);
    rejections.with_file("expected.json", " ", &test);
    for text in ["[]", "{\n  \"document\": {}\n}", "{\"failures\": [{\"position\": 1, \"kind\": \"fails\"}]}"]
    {
        rejections.with_file("expected.json", text, &[&test[..], &["--update"]].concat());
    }
    rejections.case(&["test", "audit-log.wasm", "--expect", "."]);
    rejections.case(&["test", "audit-log.wasm", "--expect", "no/folder.json", "--update"]);
    rejections.with_file("expected.json", "{}", &["test", "audit-log.wasm", "--junit", "no/report.xml"]);
    rejections.case(&["test", "audit-log.wasm", "--set", "currency"]);
    rejections.case(&["test", "audit-log.wasm", "--batch", "0"]);
    insta::with_settings!({filters => vec![(r"\d+(\.\d+)? (µs|ms|MiB)", "[n]"), (r"(?m)^ .*\[n\]$", " [times]"), (r"(P50|P99|MAX|AT) +", "$1 ")]}, {
        insta::assert_snapshot!(rejections.text);
    });
}

/// Runs `append --from -` with this input; what it printed, its exit code, and the log's head afterwards.
fn piped(kennel: &Kennel, input: &str) -> String {
    let mut command = kennel.command(&["append", "--from", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("kennel starts");
    // A command that has seen enough closes its end before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("kennel ends");
    let head = &kennel.json(&["status", "--json"])["head"];
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    format!("{stderr}[exit {}, the log ends at {head}]\n\n", output.status.code().unwrap_or(-1))
}

#[test]
fn a_malformed_line_on_standard_input_reports_what_was_imported() {
    let kennel = Kennel::default();
    let mut text = piped(&kennel, "hello\n");
    text += &piped(&kennel, &(event(1, &json!({})) + "hello\n" + &event(2, &json!({}))));
    text += &piped(&kennel, &(log(1_499, 20) + "{\n" + &log(1_600, 20)));
    // Repaired, the same input goes through, and the events that are in the log already are skipped.
    text += &piped(&kennel, &log(1_600, 20));
    let conflict = log(2_700, 20) + &event(9_000, &json!({"aggregate_version": 1}));
    text += &piped(&kennel, &conflict);
    insta::assert_snapshot!(text);
}

#[test]
fn byte_order_marks_line_ends_and_empty_lines_do_no_harm_and_pipes_are_files_too() {
    let kennel = Kennel::default();
    let (first, second) = (event(1, &json!({})), event(2, &json!({})));
    let text = format!("\u{feff}{}\r\n\r\n \n{}", first.trim_end(), second.trim_end());
    kennel.write("events.jsonl", text);
    assert_eq!(kennel.json(&["append", "--from", "events.jsonl", "--json"])["written"], 2);
    kennel.write("empty.jsonl", "");
    assert_eq!(kennel.json(&["append", "--from", "empty.jsonl", "--json"])["written"], 0);
    assert_eq!(kennel.json(&["append", "--from", "-", "--json"])["written"], 0);

    let pipe = kennel.folder().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success(), "a named pipe for the test");
    let writer = std::thread::spawn(move || std::fs::write(pipe, event(3, &json!({}))));
    assert_eq!(kennel.json(&["append", "--from", "pipe", "--json"])["written"], 1);
    writer.join().expect("the writer ends").expect("the pipe takes the event");
}

#[test]
fn a_configuration_that_is_wrong() {
    let mut rejections = Rejections::with_projection();
    for text in [
        "stoer = \"sqlite:shop.db\"",
        "[run]\nlisten = \"127.0.0.1:9090\"\nworker = 2",
        "[run]\ncolour = \"red\"",
        "[run]\nworkers = \"2\"",
        "[run]\nlisten = \"localhost\"",
        "[events]\ntable = \"my events\"",
        "[events]\nheads_table = \"sales.aggregate_heads\"",
        "[run]\nheartbeat_seconds = 6",
        "[projections.audit-log]\nbatch = 0",
        "[projections.audit-log]\non_failure = \"ignore\"",
        "[projections.\"Audit Log\"]\nbatch = 10",
        "store = sqlite:kennel.db",
        "store = \"postgres://me:secret@db",
    ] {
        rejections.with_file("kennel.toml", text, &["run"]);
    }
    assert!(!rejections.text.contains("secret"), "{}", rejections.text);
    std::fs::remove_file(rejections.kennel.folder().join("kennel.toml")).expect("the file is there");
    rejections.case(&["status", "--config", "missing.toml"]);
    rejections.case(&["status", "--events-table", "my;events"]);
    rejections.case(&["status", "--store", "shop.db"]);
    rejections.case(&["status", "--store", "mysql://me:secret@db/shop"]);
    insta::assert_snapshot!(rejections.text);
}

#[test]
fn a_store_that_cannot_be_used() {
    let mut rejections = Rejections::on(Kennel::default());
    rejections.case(&["status"]);
    rejections.case(&["documents", "orders", "events"]);
    rejections.case(&["migrate", "--store", "sqlite:missing/kennel.db"]);
    rejections.case(&["migrate", "--store", "sqlite:."]);
    // Root may write to a read-only file, but no user may create one here.
    rejections.case(&["migrate", "--store", "sqlite:/proc/kennel.db"]);
    rejections.with_file("notes.txt", "not a database", &["migrate", "--store", "sqlite:notes.txt"]);
    let damaged = [b"SQLite format 3\0".as_slice(), &[0xa5; 8192]].concat();
    rejections.with_file("damaged.db", &damaged, &["status", "--store", "sqlite:damaged.db"]);
    assert_eq!(std::fs::read(rejections.kennel.folder().join("damaged.db")).expect("it is there"), damaged);
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    let url = format!("postgres://me:secret@127.0.0.1:{port}/shop");
    rejections.hide(&url, "[url]");
    rejections.hide(port, "[port]");
    rejections.case(&["status", "--store", &url]);
    rejections.case(&["run", "--store", &url]);
    assert!(!rejections.text.contains("secret"), "{}", rejections.text);
    insta::assert_snapshot!(rejections.text);
    let left: Vec<_> = std::fs::read_dir(rejections.kennel.folder()).expect("the folder").flatten().collect();
    assert_eq!(left.len(), 2, "nothing was created: {left:?}");
}

#[test]
fn a_store_or_a_port_that_another_process_uses() {
    let mut rejections = Rejections::with_projection();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    rejections.hide(&address, "127.0.0.1:[port]");
    rejections.case(&["run", "--listen", &address]);
    rejections.case(&["run", "--listen", "203.0.113.7:9090"]);

    let mut command = rejections.kennel.command(&["run", "--listen", "127.0.0.1:0"]);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("kennel starts");
    let lock = rejections.kennel.folder().join("kennel.db.lock");
    let pid = running.id().to_string();
    wait_until("it holds the store", Duration::from_secs(20), || {
        std::fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid)
    });
    rejections.hide(pid, "[pid]");
    rejections.case(&["run", "--listen", "127.0.0.1:0"]);
    running.kill().and_then(|()| running.wait()).expect("it was running");
    insta::assert_snapshot!(rejections.text);
    rejections.kennel.ok(&["run", "--until-caught-up"]);
}

#[test]
fn a_projection_that_is_halted() {
    let kennel = Kennel::default();
    let guest = guest("misbehaving");
    kennel.ok(&["deploy", "misbehaving", guest.to_str().expect("a UTF-8 path")]);
    let events = event(1, &json!({"event_type": "Harmless"})) + &event(2, &json!({"event_type": "Reject"}));
    kennel.write("events.jsonl", events);
    kennel.ok(&["append", "--from", "events.jsonl"]);
    let run = || {
        let mut command = kennel.command(&["run", "--until-caught-up", "--workers", "1"]);
        let output = command.env("KENNEL_LOG", "off").output().expect("kennel starts");
        format!(
            "{}[exit {}]\n\n",
            String::from_utf8_lossy(&output.stderr),
            output.status.code().unwrap_or(-1)
        )
    };
    let first = run();
    let digest = kennel.status("misbehaving")["digest"].as_str().map(|digest| digest[..12].to_owned());
    let status = kennel.ok(&["status"]).replace(&digest.expect("a digest"), "[digest]    ");
    insta::assert_snapshot!(format!("{first}{status}"));

    // The next run does not take the halt for granted: it tries the event again.
    let before = kennel.status("misbehaving")["last_error"].clone();
    assert_eq!(run(), first);
    assert_eq!(kennel.status("misbehaving")["last_error"], before);
}
