//! How fast the stores are, to be run by hand: `cargo run --release -p kennel-store --example throughput`.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that is run by hand")]

use kennel_core::change::{CollectionChanges, Expectation};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, ReadQuery, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::Scope;
use kennel_store::{ConnectOptions, Mode, Store};
use kennel_test_support::conformance::{agree, batch, change, claim, commit, deploy, increment, of, put};
use kennel_test_support::postgres::Cluster;
use kennel_test_support::samples::event;
use tokio::time::Instant;

const EVENTS: u64 = 100_000;
const BATCHES: u64 = 100;
const DOCUMENTS: u64 = 20_000;

async fn open(url: &str) -> Store {
    let options = ConnectOptions { mode: Mode::Migrate, ..ConnectOptions::default() };
    let store = kennel_store::connect(&url.parse().unwrap(), &options).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn report(what: &str, count: u64, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    println!("  {what}: {count} in {seconds:.2} s, {:.0}/s", count as f64 / seconds);
}

async fn measure(name: &str, store: &Store) {
    println!("{name}");
    append(store).await;
    read(store).await;
    write_and_fetch(store).await;
}

async fn append(store: &Store) {
    let payload = format!("{{\"text\":\"{}\"}}", "x".repeat(188)).into_bytes();
    let events: Vec<_> = (0..EVENTS)
        .map(|i| {
            let mut event = event(u128::from(i), &format!("order-{}", i % 10_000));
            event.payload.clone_from(&payload);
            event
        })
        .collect();
    let began = Instant::now();
    for chunk in events.chunks(1000) {
        store.append(chunk).await.unwrap();
    }
    report("events appended by 1000", EVENTS, began);
    let began = Instant::now();
    for number in 0..500 {
        store.append(&[event(1_000_000 + number, "single")]).await.unwrap();
    }
    report("events appended one by one", 500, began);
}

async fn read(store: &Store) {
    for (what, ranges) in [("all", HashRange::ALL), ("half of all", HashRange::of_partition(0, 2))] {
        let began = Instant::now();
        let upto = store.high_water_mark().await.unwrap().position;
        let (mut after, mut read) = (Position::START, 0);
        while after < upto {
            let scope = Scope::default();
            let query = ReadQuery { after, upto, scope: &scope, ranges: &[ranges], limit: 1000 };
            let page = store.read(query).await.unwrap();
            (after, read) = (page.reached, read + page.events.len() as u64);
        }
        report(&format!("events read by 1000, {what}"), read, began);
    }
}

/// Keys that come back after some batches, in no order.
fn keys(round: u64) -> Vec<String> {
    (0..1000).map(|i| format!("key-{:06}", (round * 1000 + i) * 7919 % DOCUMENTS)).collect()
}

fn puts(round: u64, at: u64) -> Vec<CollectionChanges> {
    let document = format!("{{\"text\":\"{}\"}}", "y".repeat(88));
    let mut keys = keys(round);
    keys.sort();
    let changes = || keys.iter().map(|key| change(key, put(&document), Expectation::Unread, at)).collect();
    ["customers", "orders"].iter().flat_map(|name| of(name, changes())).collect()
}

async fn write_and_fetch(store: &Store) {
    let id = deploy(&**store, "p").await.read_model;
    let generation = agree(&**store, Generation::NONE, 1).await;
    claim(&**store, generation, id, HashRange::ALL).await;
    let mut at = 0;
    for (sole_owner, what) in [(true, "sole owner"), (false, "one of many")] {
        let began = Instant::now();
        for round in 0..BATCHES {
            let changes = puts(round, at + 1);
            commit(&**store, &Commit { changes, sole_owner, ..batch(id, generation, at, at + 1) }).await;
            at += 1;
        }
        report(&format!("documents of 100 bytes put, 2000 a batch, {what}"), BATCHES * 2000, began);
    }
    let began = Instant::now();
    for round in 0..BATCHES {
        let key = |i| format!("event-{:08}", round * 1000 + i);
        let add = |i| change(&key(i), increment("count", 1), Expectation::Unread, at + 1);
        let changes = of("counts", (0..1000).map(add).collect());
        commit(&**store, &Commit { changes, ..batch(id, generation, at, at + 1) }).await;
        at += 1;
    }
    report("new documents incremented, 1000 a batch", BATCHES * 1000, began);
    let began = Instant::now();
    for round in 0..BATCHES {
        let wanted = [Wanted { collection: "orders".to_owned(), keys: keys(round) }];
        let found = store.fetch(id, &wanted).await.unwrap();
        assert!(found[0].iter().all(Option::is_some));
    }
    report("documents fetched by 1000", BATCHES * 1000, began);
    let began = Instant::now();
    for _ in 0..500 {
        commit(&**store, &batch(id, generation, at, at + 1)).await;
        at += 1;
    }
    report("empty batches", 500, began);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = open(&format!("sqlite:{}/kennel.db", folder.path().display())).await;
    measure("SQLite", &sqlite).await;
    sqlite.close().await;
    let cluster = Cluster::start_with(&[]);
    let postgres = open(&cluster.create_database()).await;
    measure("PostgreSQL, default durability", &postgres).await;
    postgres.close().await;
}
