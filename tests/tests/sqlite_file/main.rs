//! A SQLite store whose file meets what files meet: full disks, other names, removal and replacement, and readers without
//! end.

mod full;
mod log;
mod names;
mod replaced;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events::line;
use kennel_tests::metrics::{Served, get};
use serde_json::json;

const NAME: &str = "audit-log";
const SOON: Duration = Duration::from_secs(60);

/// Lines of so many events, each with a payload of so many bytes.
fn events(from: u64, count: u64, bytes: usize) -> String {
    let payload = json!({ "note": "x".repeat(bytes) });
    let mut lines = String::new();
    for number in from..from + count {
        let aggregate = format!("case-{}", number % 50);
        let event = line(number, "Permits", ("Application", &aggregate), "Filed", &payload);
        writeln!(lines, "{event}").expect("a string can be written to");
    }
    lines
}

fn append(kennel: &Kennel, lines: &str) {
    let file = kennel.write("events.jsonl", lines);
    kennel.ok(&["append", "--from", text(&file)]);
}

/// Deploys the projection that all of this is about.
fn deploy(kennel: &Kennel) {
    kennel.ok(&["deploy", NAME, text(&guest(NAME))]);
}

fn is_ready(served: &Served) -> bool {
    get(served.address(), "/readyz").is_ok_and(|(status, _)| status == 200)
}

/// Waits until every event is handled.
fn wait_for(kennel: &Kennel, head: u64) {
    wait_until("every event is handled", SOON, || kennel.status(NAME)["position"] == head);
}

/// A store whose projection has handled so many events, and the process that runs it.
fn running(count: u64) -> (Kennel, Served) {
    let kennel = Kennel::default();
    append(&kennel, &events(1, count, 10));
    deploy(&kennel);
    let served = Served::start(&kennel, &["--workers", "1"]);
    wait_for(&kennel, count);
    (kennel, served)
}

/// A file of the store.
fn file(kennel: &Kennel, suffix: &str) -> PathBuf {
    kennel.folder().join(format!("kennel.db{suffix}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}
