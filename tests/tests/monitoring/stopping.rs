//! A process that has been asked to stop still reports what it does, until it has ended.

use std::time::Duration;

use kennel_tests::binary::{Kennel, now, wait_until};
use kennel_tests::components::guest;
use kennel_tests::events::line;
use kennel_tests::metrics::Served;
use serde_json::json;

use super::play::{SOON, full};

#[test]
fn a_worker_that_finishes_its_batch_shows_that_it_is_stopping() {
    let kennel = Kennel::default();
    kennel.ok(&["deploy", "misbehaving", guest("misbehaving").to_str().expect("a UTF-8 path")]);
    let misdeed = line(1, "Tests", ("Misdeed", "misdeed-1"), "LoopForever", &json!({}));
    kennel.write("events.jsonl", misdeed);
    kennel.ok(&["append", "--from", "events.jsonl"]);
    let served = Served::start(&kennel, &["--workers", "1"]);
    let metric = |name: &str, labels: &[(&str, &str)]| served.scrape().sum(&full(name), labels);
    wait_until("the first call has been stopped after 2 s", SOON, || {
        metric("projection_errors_total", &[]) == Some(1.0)
    });
    // Nothing reports that the second has begun; it does after 0.1 s, give or take, and lasts 2 s.
    let failed = now();
    wait_until("the second call is under way", SOON, || failed.elapsed() > Duration::from_millis(600));
    served.process.signal("TERM");
    wait_until("its worker is stopping", Duration::from_secs(1), || {
        metric("worker_state", &[("state", "stopping")]) == Some(1.0)
    });
    assert_eq!(metric("worker_state", &[]), Some(1.0), "it is nothing else");
    assert_eq!(served.process.wait(SOON), Some(0));
}
