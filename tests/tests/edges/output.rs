//! A host whose output nothing reads any more.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use kennel_tests::binary::{Kennel, Running, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events::orders;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_host_whose_log_is_read_no_more_works_on_and_ends_when_it_is_asked() {
    let file = guest("order-summary");
    for leave_stdout in [true, false] {
        let kennel = Kennel::default();
        let mut command = kennel.command(&["run", "--listen", "127.0.0.1:0"]);
        let mut child = command.env("KENNEL_LOG", "debug").spawn().expect("kennel starts");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take().expect("a pipe"));
        let served =
            BufReader::new(stderr).lines().map_while(Result::ok).any(|line| line.contains("address="));
        assert!(served, "it says where it listens");
        // The reader of its log is gone by now.
        let stdout = stdout.filter(|_| leave_stdout);
        let host = Running::from(child);

        kennel.ok(&["deploy", "orders", file.to_str().expect("a path in UTF-8")]);
        let events = kennel.write("events.jsonl", orders(500));
        kennel.ok(&["append", "--from", events.to_str().expect("a path in UTF-8")]);
        let done = || kennel.status("orders")["lag"] == 0 && kennel.status("orders")["position"] != 0;
        wait_until("it handles events", PATIENCE, done);
        host.signal("TERM");
        assert_eq!(host.wait(PATIENCE), Some(0), "it ends, and all is well");
        drop(stdout);
    }
}
