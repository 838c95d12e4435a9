//! The specifics of PostgreSQL: writers that commit in any order, batches and cutovers at the same time,
//! views that people read, workers whose connection drops, and databases that are not as they should be.
#![expect(clippy::unwrap_used, reason = "a failing test should panic")]

mod components;
mod conditions;
mod connections;
mod contention;
mod cutover;
mod liveness;
mod log;
mod namespaces;
mod poolers;
mod servers;
mod shape;
mod timeouts;
mod unfit;
mod writers;
mod written;

use std::sync::LazyLock;

use kennel_store::{ConnectError, ConnectOptions, Mode, Store};
use kennel_test_support::postgres::Cluster;
use sqlx::{Connection as _, PgConnection};

/// One server for all tests of this file; it ends with the process.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start_with(&[
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("max_prepared_transactions", "20"),
        ("wal_level", "logical"),
    ])
});

async fn open(url: &str, mode: Mode) -> Result<Store, ConnectError> {
    kennel_store::connect(&url.parse().unwrap(), &ConnectOptions { mode, ..ConnectOptions::default() }).await
}

/// A migrated database and a store on it.
async fn store() -> (String, Store) {
    let url = CLUSTER.create_database();
    let migrating = open(&url, Mode::Migrate).await.unwrap();
    migrating.migrate().await.unwrap();
    migrating.close().await;
    let store = open(&url, Mode::ReadWrite).await.unwrap();
    (url, store)
}

/// Another program.
async fn stranger(url: &str) -> PgConnection {
    PgConnection::connect(&format!("{url}?application_name=stranger")).await.unwrap()
}

async fn sql(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
