//! `kill -9` at random moments: every event still takes effect exactly once.

use std::time::Duration;

use kennel_tests::binary::Kennel;
use kennel_tests::components::guest;
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, exactly_once};
use kennel_tests::random::Random;

const KILLS: u64 = 20;
const EVENTS: u64 = 100_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "the moment of a kill is random; there is nothing to wait for")]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let kennel = Kennel::default();
    let file = kennel.write("events.jsonl", events::log(EVENTS, 3_000));
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    let component = guest("audit-log");
    kennel.ok(&["deploy", "audit-log", component.to_str().expect("a UTF-8 path")]);
    let mut midway = 0;
    let mut random = Random::from_environment();
    for _ in 0..KILLS {
        let running = kennel.start(&["run", "--until-caught-up"]);
        std::thread::sleep(Duration::from_millis(60 + random.below(240)));
        running.kill();
        let position = kennel.status("audit-log")["position"].as_u64().expect("a position");
        midway += u64::from(position > 0 && position < EVENTS);
    }
    assert!(midway >= 5, "only {midway} kills hit while events were being handled: the test proved little");
    kennel.ok(&["run", "--until-caught-up"]);
    let expected = ExactlyOnce { events: 100_000, aggregates: 3_000, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&kennel, "audit-log"), expected);
}
