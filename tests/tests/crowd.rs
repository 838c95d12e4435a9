//! Twenty projections that misbehave at once, each in its own way and all of them greedy, beside one that is healthy,
//! in a process that has 1 GiB of memory: it lives, every misdeed is recorded, and the healthy one goes on.

use std::time::Duration;

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::components::guest;
use kennel_tests::confined::Confined;
use kennel_tests::events::{line, orders};
use serde_json::{Value, json};

const GIB: u64 = 1024 * 1024 * 1024;

/// What each projection does by itself, and the kind of failure that it ends in; none if it is allowed.
const MISDEEDS: [(&str, Option<&str>); 27] = [
    ("LoopForever", Some("time-limit")),
    ("IncrementForever", Some("time-limit")),
    ("PutDeleteForever", Some("time-limit")),
    ("ScanForever", Some("time-limit")),
    ("ConfigForever", Some("time-limit")),
    ("PutForever", Some(WHICHEVER)),
    ("FieldsForever", Some(WHICHEVER)),
    ("IncrementNamesForever", Some(WHICHEVER)),
    ("DeleteNamesForever", Some(WHICHEVER)),
    ("ScanLarge", Some("memory-limit")),
    ("GetManyLarge", Some("memory-limit")),
    ("RecurseForever", Some("stack-limit")),
    ("ManyKeys", Some("trap")),
    ("EndlessReject", Some("trap")),
    ("Panic", Some("trap")),
    ("Trap", Some("trap")),
    ("Retry", Some("retry")),
    ("Reject", Some("reject")),
    ("LongReject", Some("reject")),
    ("InvalidDocument", Some("invalid-call")),
    ("HugeDocument", Some("invalid-call")),
    ("FloodLog", None),
    ("LongLog", None),
    ("Heavy", None),
    ("LargeOwn", None),
    ("ReadLargeOwn", None),
    ("IncrementLargeOwn", None),
];
/// The limit of memory or that of time: which of them is reached first depends on the machine.
const WHICHEVER: &str = "memory-limit or time-limit";
/// What all of them do.
const BY_ALL: [&str; 1] = ["AllocateForever"];
const PROJECTIONS: usize = 20;
/// Documents of 1 MiB that those have which write them.
const LARGE_OWN: u64 = 12;

/// The commands that a projection obeys besides those that all do. Some need what others have written before.
fn own_misdeeds(projection: usize) -> Vec<&'static str> {
    let first = ["Heavy", "LargeOwn"];
    let mut own: Vec<&str> = match projection {
        // These belong together.
        0 => vec!["Heavy", "ScanLarge", "LoopForever"],
        1 => vec!["LargeOwn", "ReadLargeOwn", "IncrementLargeOwn", "ScanForever"],
        _ => {
            let taken = [own_misdeeds(0), own_misdeeds(1)].concat();
            let rest = MISDEEDS.iter().map(|(name, _)| *name).filter(|name| !taken.contains(name));
            let rest: Vec<&str> = rest.collect();
            rest.into_iter().skip(projection - 2).step_by(PROJECTIONS - 2).collect()
        }
    };
    own.sort_by_key(|name| !first.contains(name));
    own
}

fn misdeed(number: u64, event_type: &str, id: u64) -> String {
    line(number, "Tests", ("Misdeed", &format!("misdeed-{id}")), event_type, &json!({})) + "\n"
}

/// The log: what all do comes first, and in between what the healthy one wants.
fn log() -> (String, u64) {
    let mut lines = String::new();
    let mut number = 0;
    let mut add = |event_type: &str, id: u64| {
        number += 1;
        lines += &misdeed(number, event_type, id);
    };
    BY_ALL.iter().for_each(|event_type| add(event_type, 0));
    (1..=LARGE_OWN).for_each(|id| add("LargeOwn", id));
    (1..=2).for_each(|id| add("Heavy", id));
    for (event_type, _) in MISDEEDS.iter().filter(|(name, _)| !["Heavy", "LargeOwn"].contains(name)) {
        let times = if event_type.ends_with("LargeOwn") { LARGE_OWN } else { 1 };
        (1..=times).for_each(|id| add(event_type, id));
    }
    let misdeeds = number;
    lines += &orders(100);
    (lines, misdeeds + 600)
}

fn crowd(kennel: &Kennel) {
    let (lines, head) = log();
    let file = kennel.write("events.jsonl", &lines);
    kennel.ok(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
    let component = guest("misbehaving");
    let component = component.to_str().expect("a UTF-8 path");
    for projection in 0..PROJECTIONS {
        let own = own_misdeeds(projection).join(",");
        let setting = format!("misdeeds={},{own}", BY_ALL.join(","));
        let name = format!("greedy-{projection}");
        kennel.ok(&["deploy", &name, component, "--on-failure", "dead-letter", "--set", &setting]);
    }
    let healthy = guest("order-summary");
    kennel.ok(&["deploy", "order-summary", healthy.to_str().expect("a UTF-8 path")]);

    let confined = Confined::start(kennel, &["run", "--listen", "127.0.0.1:0", "--workers", "1"], GIB);
    let statuses = || {
        let status = kennel.json(&["status", "--json"]);
        status["projections"].as_array().expect("a list of projections").clone()
    };
    let of = |name: &str, all: &[Value]| all.iter().find(|entry| entry["name"] == name).cloned();
    let mut alone = false;
    wait_until("the healthy one is done", Duration::from_secs(120), || {
        let all = statuses();
        alone = all.iter().any(|entry| entry["position"] != head);
        of("order-summary", &all).is_some_and(|entry| entry["position"] == head)
    });
    assert!(alone, "the healthy one had no other beside it");
    let mut all = Vec::new();
    wait_until("all have gone on", Duration::from_secs(400), || {
        all = statuses();
        all.len() == PROJECTIONS + 1 && all.iter().all(|entry| entry["position"] == head)
    });
    // The host that began is the one that has finished, and it kept to its bound.
    assert_eq!(confined.killed(), 0, "something was killed for memory");
    let peak = confined.peak();
    assert!(peak <= GIB, "the host had {} MiB", peak >> 20);
    report(&format!("the host had {} MiB at most", peak >> 20));

    for projection in 0..PROJECTIONS {
        let name = format!("greedy-{projection}");
        let letters = kennel.status(&name)["dead_letters"].as_array().expect("a list").clone();
        let mut reported: Vec<(String, String)> = letters.iter().map(type_and_kind).collect();
        reported.sort_unstable();
        let kind = |name: &str| MISDEEDS.iter().find(|(known, _)| *known == name).and_then(|(_, kind)| *kind);
        let own = own_misdeeds(projection).into_iter().filter_map(|name| Some((name, kind(name)?)));
        let by_all = BY_ALL.into_iter().map(|name| (name, "memory-limit"));
        let mut expected: Vec<(String, String)> =
            own.chain(by_all).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        expected.sort_unstable();
        let fits = |((reported, kind), (expected, kinds)): (&(String, String), &(String, String))| {
            reported == expected && kinds.split(" or ").any(|one| one == kind)
        };
        let all_fit = reported.len() == expected.len() && reported.iter().zip(&expected).all(fits);
        assert!(all_fit, "{name}: {reported:?} instead of {expected:?}: {letters:#?}");
    }
    let healthy = of("order-summary", &all).expect("it is deployed");
    assert_eq!((&healthy["state"], &healthy["dead_letters"]), (&json!("running"), &json!([])), "{healthy:#}");
    confined.running.signal("TERM");
    let pid = confined.running.pid();
    wait_until("the host has stopped", Duration::from_secs(30), || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
}

fn type_and_kind(letter: &Value) -> (String, String) {
    let text = |field: &str| letter[field].as_str().unwrap_or_default().to_owned();
    (text("event_type"), text("kind"))
}

#[expect(clippy::print_stderr, reason = "how much it takes is of interest when it passes, too")]
fn report(what: &str) {
    eprintln!("{what}");
}

#[test]
fn twenty_greedy_projections_beside_a_healthy_one_fit_into_one_gibibyte_on_sqlite() {
    crowd(&Kennel::default());
}

#[test]
fn twenty_greedy_projections_beside_a_healthy_one_fit_into_one_gibibyte_on_postgres() {
    let cluster = Cluster::start();
    let kennel = Kennel::on(&cluster.create_database());
    kennel.ok(&["migrate"]);
    crowd(&kennel);
}
