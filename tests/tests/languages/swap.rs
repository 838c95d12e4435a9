//! One projection goes through all languages under load: each deployment continues the read model of the one before,
//! and in the end there is one read model, as a replay by one language alone makes it.

use std::time::Duration;

use kennel_tests::binary::wait_until;
use kennel_tests::database::Database;
use kennel_tests::events::order_row;
use kennel_tests::fixture::{Fixture, digest, timed};
use kennel_tests::languages::{Language, languages};
use kennel_tests::load::Load;
use kennel_tests::metrics::Served;
use kennel_tests::report;

const NAME: &str = "orders";
/// The projection that handles the same log again, by one language alone.
const REPLAY: &str = "replay";
const EVENTS_PER_SECOND: u64 = 400;
/// Events that each language handles at least.
const EVENTS_EACH: u64 = 600;
const SOON: Duration = Duration::from_secs(60);

#[test]
fn a_projection_goes_through_all_languages_under_load_on_sqlite() {
    check(&Fixture::sqlite());
}

#[test]
fn a_projection_goes_through_all_languages_under_load_on_postgres() {
    check(&Fixture::postgres());
}

fn check(fixture: &Fixture) {
    let _alone = crate::alone();
    let languages = languages();
    compile(&languages);
    let mut database = fixture.database();
    let mut head = 0;
    let mut report = Vec::new();
    fixture.kennel.ok(&["deploy", NAME, languages[0].order_summary()]);
    let processes = fixture.start();
    let load = Load::of(order_row, fixture.database(), EVENTS_PER_SECOND, 0);
    for language in &languages {
        let ((), seconds) = timed(|| take_over(fixture, &processes, language));
        let from = head;
        head = handle_more(&mut database);
        report.push(format!("{} {} events ({seconds:.1} s to deploy)", language.name, head - from));
    }
    let events = load.end();
    wait_until("everything is handled", SOON, || database.lag(NAME) == 0);
    report::line(format_args!(
        "{}: {events} events; up to each deployment {}",
        fixture.kind(),
        report.join(", ")
    ));

    fixture.kennel.ok(&["deploy", REPLAY, languages[0].order_summary()]);
    wait_until("the replay has caught up", SOON, || database.lag(REPLAY) == 0);
    for collection in ["orders", "customers"] {
        let [swapped, replayed] = [NAME, REPLAY]
            .map(|projection| fixture.kennel.ok(&["documents", projection, collection, "--json"]));
        assert!(
            swapped == replayed,
            "{collection} differ from a replay: {}",
            difference(&swapped, &replayed)
        );
    }
    assert_eq!(database.head(), events);
    assert_eq!(totals(&mut database), expected_totals(events), "orders, items, cents, placed, spent");
    let letters = &fixture.kennel.status(NAME)["dead_letters"];
    assert_eq!(letters.as_array().map(Vec::len), Some(0), "{letters:#}");
}

/// Compiles all guests, so that a deployment under load takes them from the cache.
fn compile(languages: &[Language]) {
    let elsewhere = Fixture::sqlite();
    for language in languages {
        elsewhere.kennel.ok(&["deploy", language.name, language.order_summary()]);
    }
}

/// Deploys the guest of a language and waits until all processes run it.
fn take_over(fixture: &Fixture, processes: &[Served], language: &Language) {
    fixture.kennel.ok(&["deploy", NAME, language.order_summary(), "--mode", "continue"]);
    let wanted = digest(language.order_summary());
    wait_until(&format!("all processes run {}", language.name), SOON, || {
        processes.iter().all(|process| {
            let scrape = process.scrape();
            let running = scrape.all("kennel_component_info", &[("projection", NAME)]);
            running.map(|sample| &sample.labels["digest"]).eq([&wanted])
        })
    });
}

/// Waits until every partition has moved on by some events from now on, and returns a position that all are beyond.
fn handle_more(database: &mut Database) -> u64 {
    let head = database.head() + EVENTS_EACH;
    wait_until("every partition moves on", SOON, || {
        database.positions(NAME).iter().all(|[_, position]| *position > head)
    });
    head
}

/// The number of orders, the items and cents in them, and the orders and cents of all customers.
fn totals(database: &mut Database) -> [u64; 5] {
    let (orders, customers) = (database.view(NAME, "orders"), database.view(NAME, "customers"));
    let number = |field: &str| format!("coalesce(sum(CAST(document->>'{field}' AS BIGINT)), 0)");
    let of_orders = format!("SELECT count(*), {}, {} FROM {orders}", number("items"), number("total_cents"));
    let of_customers = format!("SELECT {}, {} FROM {customers}", number("orders"), number("spent_cents"));
    let [count, items, cents] = database.numbers(&of_orders);
    let [placed, spent] = database.numbers(&of_customers);
    [count, items, cents, placed, spent]
}

/// The same, from the events themselves.
fn expected_totals(events: u64) -> [u64; 5] {
    let mut totals = [0; 5];
    let rows: Vec<_> = (0..events).map(order_row).collect();
    for row in &rows {
        let order: u64 = row.aggregate.1.trim_start_matches("order-").parse().expect("a number");
        let cents = |quantity: u64| quantity * (100 + order);
        match row.event_type {
            "OrderPlaced" => {
                totals[0] += 1;
                totals[3] += 1;
            }
            "ItemAdded" => {
                totals[1] += row.version - 1;
                totals[2] += cents(row.version - 1);
            }
            "OrderPaid" => totals[4] += cents(1 + 2 + 3),
            _ => {}
        }
    }
    totals
}

/// The first lines in which two outputs differ.
fn difference(left: &str, right: &str) -> String {
    let mut pairs = left.lines().zip(right.lines());
    let first = pairs.find(|(left, right)| left != right);
    first.map_or_else(
        || format!("{} and {} lines", left.lines().count(), right.lines().count()),
        |(left, right)| format!("{left}\n{right}"),
    )
}
