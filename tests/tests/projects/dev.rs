//! `kennel dev`: a developer changes a source, breaks it, repairs it, and adds events.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use kennel_tests::binary::{Kennel, Running, wait_until};

use super::{builds, workplace};

const DEADLINE: Duration = Duration::from_secs(120);
const PROJECT: &str = "shop-orders";

/// A developer at work on a project in C, which is built within a second.
struct Developer {
    kennel: Kennel,
    running: Running,
    /// How many bytes of the screen have been seen.
    seen: usize,
}

impl Developer {
    fn begin(kennel: Kennel) -> Self {
        let screen = File::create(kennel.folder().join("screen")).expect("a file");
        let errors = screen.try_clone().expect("a file");
        let mut command = kennel.command(&["dev", PROJECT]);
        command.stdout(Stdio::from(screen)).stderr(Stdio::from(errors));
        let running = Running::from(command.spawn().expect("kennel starts"));
        Self { kennel, running, seen: 0 }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.kennel.folder().join(PROJECT).join(name)
    }

    /// Changes a file.
    fn edit(&self, name: &str, change: impl Fn(String) -> String) {
        let file = self.file(name);
        let before = std::fs::read_to_string(&file).expect("a file");
        let after = change(before.clone());
        assert_ne!(before, after, "{name} is to change");
        std::fs::write(file, after).expect("a file");
    }

    fn screen(&self) -> String {
        let shown = std::fs::read(self.kennel.folder().join("screen")).expect("a file");
        String::from_utf8_lossy(&shown[self.seen.min(shown.len())..]).into_owned()
    }

    /// Waits for the end of the work on a change; returns what was shown meanwhile.
    #[track_caller]
    fn shown(&mut self) -> String {
        const END: &str = "waiting for a change; Ctrl-C ends it\n";
        wait_until("the work on a change ends", DEADLINE, || self.screen().contains(END));
        let shown = self.screen();
        let end = shown.find(END).expect("the end") + END.len();
        self.seen += end;
        shown[..end].to_owned()
    }

    /// As [`Self::shown`], which has to have these parts.
    #[track_caller]
    fn sees(&mut self, expected: &[&str]) -> String {
        let shown = self.shown();
        expected.iter().for_each(|part| assert!(shown.contains(part), "`{part}` is not in\n{shown}"));
        shown
    }
}

#[test]
fn each_change_is_built_tested_and_run_and_errors_are_shown() {
    let kennel = workplace();
    kennel.ok(&["new", PROJECT, "--lang", "c"]);
    if !builds(&kennel, PROJECT) {
        return;
    }
    let mut developer = Developer::begin(kennel);
    developer.sees(&[
        "as expected in",
        r#"+ orders/order-1  {"customer":"ada","items":5}"#,
        "order order-9 has not been placed",
        "8 events, 5 documents, 1 failed",
    ]);

    // A document that differs from the expected one is shown, and not deployed.
    developer.edit("shop_orders.c", |source| source.replace("items += item", "items += 10 * item"));
    let shown = developer.sees(&["shop_orders.c changed", "orders/order-1 differs", "expected 5, found 50"]);
    assert!(!shown.contains("~ orders"), "{shown}");
    // Once it is expected, the new documents are there.
    let expected = developer.file("expected.json");
    let updated = developer.kennel.run(&["test", PROJECT, "--update"]);
    assert_eq!(updated.code, Some(0), "{}", updated.stderr);
    assert!(std::fs::read_to_string(expected).expect("a file").contains("50"));
    let shown =
        developer.sees(&["expected.json changed", r#"~ orders/order-1  {"customer":"ada","items":50}"#]);
    assert!(!shown.contains("building"), "nothing is built anew\n{shown}");

    // What the compiler says is on screen, and what runs goes on.
    developer.edit("shop_orders.c", |source| format!("{source}\nint broken(\n"));
    developer.sees(&["error: expected parameter declarator", "the deployment before it keeps running"]);
    developer.edit("shop_orders.c", |source| source.replace("\nint broken(\n", ""));
    developer.sees(&["as expected in", "5 documents, 1 failed, as before"]);

    // Events that are added are handled at once, and others than before have the log made anew.
    let line = |id: u32, event_type: &str, payload: &str| {
        format!(
            r#"{{"bounded_context":"Sales","aggregate_type":"Order","aggregate_id":"order-{id}","event_id":"00000000-0000-4000-8000-00000000{id:04}","event_type":"{event_type}","payload":{payload}}}"#
        )
    };
    std::fs::remove_file(developer.file("expected.json")).expect("a file");
    developer.sees(&["as before"]);
    let placed = line(7001, "OrderPlaced", r#"{"customer":"grace"}"#);
    developer.edit("events.jsonl", |events| format!("{}\n{placed}\n", events.trim_end()));
    let shown = developer.sees(&[
        r#"+ customers/grace  {"orders":1}"#,
        r#"+ orders/order-7001  {"customer":"grace","items":0}"#,
        "9 events, 7 documents, 1 failed",
    ]);
    assert!(!shown.contains("anew"), "{shown}");
    developer.edit("events.jsonl", |events| events.replace("grace", "edsger"));
    developer.sees(&[
        "the log is made anew",
        r#"{"customer":"edsger","items":0}"#,
        "9 events, 7 documents, 1 failed",
    ]);

    // Another one in the same folder is an error; the store can be looked at.
    let second = developer.kennel.run(&["dev", PROJECT]);
    assert_eq!(second.code, Some(5), "{}", second.stderr);
    let store = format!("sqlite:{PROJECT}/.kennel/dev.db");
    let documents = developer.kennel.ok(&["documents", "--store", &store, PROJECT, "customers"]);
    assert!(documents.contains("edsger"), "{documents}");

    let Developer { running, .. } = developer;
    running.signal("INT");
    assert_eq!(running.wait(DEADLINE), Some(0));
}

#[test]
fn two_builds_of_one_project_at_once_leave_one_whole_component() {
    let kennel = workplace();
    kennel.ok(&["new", PROJECT, "--lang", "c"]);
    if !builds(&kennel, PROJECT) {
        return;
    }
    let component = kennel.folder().join(PROJECT).join(format!("{PROJECT}.wasm"));
    std::fs::remove_file(&component).expect("a file");
    let running: Vec<_> = (0..4).map(|_| kennel.start(&["build", PROJECT])).collect();
    for build in running {
        assert_eq!(build.wait(DEADLINE), Some(0));
    }
    kennel.ok(&["inspect", component.to_str().expect("a path in UTF-8")]);
}
