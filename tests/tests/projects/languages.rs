//! From an empty folder to 10,000 events, in each language.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kennel_tests::binary::{Kennel, now};
use kennel_tests::report;
use serde_json::Value;

use super::{builds, ok, workplace};

const EVENTS: usize = 10_000;
const ORDERS: usize = 2_000;
const CUSTOMERS: usize = 40;
/// The time in which a user who has no tools has to come this far.
const WITHIN: Duration = Duration::from_secs(300);

/// The languages are measured one after another.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn rust() {
    journey("rust", "src/lib.rs", &[("cargo", &["test", "--quiet"])]);
}

#[test]
fn typescript() {
    journey("typescript", "src/shop-orders.ts", &[("npm", &["test"])]);
}

#[test]
fn javascript() {
    journey("javascript", "src/shop-orders.js", &[("npm", &["test"])]);
}

#[test]
fn python() {
    journey("python", "shop_orders.py", &[("python3", &["-m", "unittest"])]);
}

#[test]
fn go() {
    journey("go", "main.go", &[("go", &["test", "./..."]), ("go", &["vet", "./..."])]);
}

#[test]
fn c() {
    journey("c", "shop_orders.c", &[("sh", &["-c", "sdk/test.sh *.c"])]);
}

/// Makes a project, tests it natively, builds it, tests the component, deploys it, and runs the events. The project's
/// own native tests run after the build, which fetches what they need as well. In the end an error comes into a source.
fn journey(language: &str, source: &str, native: &[(&str, &[&str])]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let kennel = workplace();
    let project = "shop-orders";
    let mut times = Vec::new();
    let mut began = now();
    let mut lap = |what: &'static str| {
        times.push((what, began.elapsed()));
        began = now();
    };
    let made = kennel.json(&["new", project, "--lang", language, "--json"]);
    assert_eq!(made["language"], language);
    lap("new");
    if !builds(&kennel, project) {
        return;
    }
    lap("build");
    let folder = kennel.folder().join(project);
    native.iter().for_each(|(program, arguments)| ok(program, arguments, &folder));
    lap("native test");
    let tested = kennel.json(&["test", project, "--json"]);
    assert_eq!(tested["passed"], true, "{tested:#}");
    lap("test");
    let (events, orders, customers) = sales();
    let events = kennel.write("sales.jsonl", events);
    kennel.ok(&["append", "--from", events.to_str().expect("a path in UTF-8")]);
    lap("append");
    kennel.ok(&["deploy", project, &format!("{project}/{project}.wasm")]);
    lap("deploy");
    kennel.ok(&["run", "--until-caught-up"]);
    lap("run");
    assert_eq!(documents(&kennel, project, "orders"), orders, "{language}");
    assert_eq!(documents(&kennel, project, "customers"), customers, "{language}");
    let shown = times.iter().map(|(what, time)| format!("{what} {:.1} s", time.as_secs_f64()));
    report::line(format_args!("{language}: {}", shown.collect::<Vec<_>>().join(", ")));
    let whole: Duration = times.iter().map(|(_, time)| *time).sum();
    assert!(whole < WITHIN, "{language}: {whole:?}");
    // A second time nothing is installed or fetched.
    let again = kennel.ok(&["build", project, "--offline", "--json"]);
    let again: Value = serde_json::from_str(&again).expect("kennel prints JSON");
    assert_eq!((&again["name"], &again["language"]), (&project.into(), &language.into()));
    says_what_the_compiler_says(&kennel, project, source);
}

/// Breaks a source: what its compiler says of it is shown.
fn says_what_the_compiler_says(kennel: &Kennel, project: &str, source: &str) {
    let file = kennel.folder().join(project).join(source);
    let text = std::fs::read_to_string(&file).expect("a source");
    std::fs::write(&file, format!("{text}\n)\n")).expect("a source");
    let printed = kennel.run(&["build", project, "--offline"]);
    assert_eq!(printed.code, Some(4), "{}", printed.stderr);
    let name = source.rsplit('/').next().unwrap_or_default();
    assert!(printed.stderr.contains(name), "{name} is not in\n{}", printed.stderr);
}

/// Events as lines of JSON, and the documents that they come to.
fn sales() -> (String, BTreeMap<String, String>, BTreeMap<String, String>) {
    let mut lines = String::new();
    let mut orders: BTreeMap<String, (String, u64)> = BTreeMap::new();
    let mut customers: BTreeMap<String, u64> = BTreeMap::new();
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    for number in 0..EVENTS {
        let order = format!("order-{}", number % ORDERS);
        let (event_type, payload) = if number < ORDERS {
            let customer = format!("customer-{}-ö", number % CUSTOMERS);
            *customers.entry(customer.clone()).or_default() += 1;
            let payload = format!(r#"{{"customer":"{customer}","channel":"web"}}"#);
            orders.insert(order.clone(), (customer, 0));
            ("OrderPlaced", payload)
        } else {
            let quantity = number as u64 % 7;
            orders.get_mut(&order).expect("it has been placed").1 += quantity;
            ("ItemAdded", format!(r#"{{"sku":"sku-{number}","quantity":{quantity}}}"#))
        };
        let version = versions.entry(order.clone()).or_default();
        *version += 1;
        writeln!(
            lines,
            r#"{{"bounded_context":"Sales","aggregate_type":"Order","aggregate_id":"{order}","aggregate_version":{version},"event_id":"00000000-0000-4000-8000-{number:012}","event_type":"{event_type}","payload":{payload}}}"#
        )
        .expect("a string takes any text");
    }
    let orders = orders
        .into_iter()
        .map(|(order, (customer, items))| (order, format!(r#"{{"customer":"{customer}","items":{items}}}"#)));
    let customers =
        customers.into_iter().map(|(customer, orders)| (customer, format!(r#"{{"orders":{orders}}}"#)));
    (lines, orders.collect(), customers.collect())
}

/// The documents of a collection, by key, as they are stored.
fn documents(kennel: &Kennel, projection: &str, collection: &str) -> BTreeMap<String, String> {
    let printed = kennel.ok(&["documents", projection, collection, "--limit", "100000"]);
    let rows = printed.lines().map(|line| line.split_once("  ").expect("a key and a document"));
    rows.map(|(key, document)| (key.to_owned(), document.to_owned())).collect()
}
