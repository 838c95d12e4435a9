//! The three programs run a real projection, and each shows the metrics that it should.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::metrics::get;

/// A program that runs `order-summary`; interrupted and waited for by [`Program::end`].
struct Program {
    child: Child,
    announced: String,
}

impl Program {
    fn start(kennel: &Kennel, program: &str) -> Self {
        let store = format!("sqlite:{}", kennel.folder().join("kennel.db").display());
        let mut command = Command::new(program);
        command.arg(store).arg(guest("order-summary")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut announced = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut announced).expect("it says something");
        Self { child, announced: announced.trim().to_owned() }
    }

    /// What it serves.
    fn metrics(&self) -> String {
        let address = self.announced.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics"));
        let (status, served) = get(address.expect("a URL"), "/metrics").expect("it answers");
        assert_eq!(status, 200, "{served}");
        served
    }

    /// Ends as it does on Ctrl-C.
    fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().expect("kill runs").success());
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
    }
}

/// A store with the life of 100 orders.
fn store() -> Kennel {
    let kennel = Kennel::default();
    let lines = kennel.write("events.jsonl", events::orders(100));
    kennel.ok(&["append", "--from", lines.to_str().expect("a UTF-8 path")]);
    kennel
}

fn handled(kennel: &Kennel) {
    wait_until("everything is handled", Duration::from_secs(60), || {
        kennel.status("order-summary")["position"] == 600
    });
}

const PROCESSED: &str =
    "pupsourcing_orchestrator_events_processed_total{projection=\"order-summary\",replica_set=\"main\"} 600";

#[test]
fn a_program_that_serves_the_default_registry_serves_kennels_metrics() {
    let kennel = store();
    let program = Program::start(&kennel, env!("CARGO_BIN_EXE_automatic"));
    handled(&kennel);
    let served = program.metrics();
    assert!(served.contains(PROCESSED), "{served}");
    assert!(served.contains("shop_orders_total 1"), "{served}");
    program.end();
}

#[test]
fn a_server_of_its_own_serves_kennels_metrics() {
    let kennel = store();
    let program = Program::start(&kennel, env!("CARGO_BIN_EXE_standalone"));
    handled(&kennel);
    let served = program.metrics();
    assert!(served.contains(PROCESSED), "{served}");
    program.end();
}

#[test]
fn a_program_that_measures_nothing_has_no_metric() {
    let kennel = store();
    let program = Program::start(&kennel, env!("CARGO_BIN_EXE_disabled"));
    handled(&kennel);
    assert_eq!(program.announced, "0 metrics registered");
    program.end();
}
