//! Has both databases check every statement, so that one which is seldom used cannot be wrong unnoticed.

use kennel_test_support::postgres::Cluster;
use sqlx::{Executor, SqlStr};

use super::{Shared, TableNames, statement};
use crate::backend::Backend;
use crate::connect::{ConnectOptions, Mode, connect};
use crate::store::{Dialect, Store};

async fn check<'a>(
    all: impl IntoIterator<Item = (&'static str, &'a SqlStr)>,
    prepare: impl AsyncFn(SqlStr) -> Result<(), sqlx::Error>,
) {
    for (name, sql) in all {
        if let Err(error) = prepare(sql.clone()).await {
            panic!("{name}: {error}\n{}", sql.as_str());
        }
    }
}

async fn open(url: &str) -> Store {
    let options = ConnectOptions { mode: Mode::Migrate, ..ConnectOptions::default() };
    let store = connect(&url.parse().unwrap(), &options).await.unwrap();
    store.migrate().await.unwrap();
    // Once more changes nothing.
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn sqlite_knows_every_statement() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&format!("sqlite:{}/kennel.db", folder.path().display())).await;
    let Backend::Sqlite(sqlite) = store.backend() else { panic!("another database") };
    let prepare = async |sql: SqlStr| (&sqlite.writer).prepare(sql).await.map(|_| ());
    let names = TableNames::new(Dialect::Sqlite, &Default::default());
    check(Shared::new(&names).all(), prepare).await;
    let whole = |(name, _): &(&str, &SqlStr)| *name != "events_insert";
    check(sqlite.sql.all().into_iter().filter(whole), prepare).await;
    let table = crate::backend::sqlite::table_of("a \"table\"");
    (&sqlite.writer).execute(sqlx::raw_sql(table.create.clone())).await.unwrap();
    check(table.all(), prepare).await;
}

#[tokio::test]
async fn postgres_knows_every_statement() {
    let cluster = Cluster::start();
    let store = open(&cluster.create_database()).await;
    store.install_notify().await.unwrap();
    let Backend::Postgres(backend) = store.backend() else { panic!("another database") };
    let prepare = async |sql: SqlStr| (&backend.pool).prepare(sql).await.map(|_| ());
    let names = TableNames::new(Dialect::Postgres, &Default::default());
    check(Shared::new(&names).all(), prepare).await;
    check(backend.sql.all(), prepare).await;
    check(backend.read.all().map(|sql| ("events_read", sql)), prepare).await;
    let table = crate::backend::postgres::table_of("public.a \"table\"");
    (&backend.pool).execute(sqlx::raw_sql(table.create.clone())).await.unwrap();
    check(table.all(), prepare).await;
    store.close().await;
}

#[test]
fn every_placeholder_is_filled_in() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let names = TableNames::new(dialect, &Default::default());
        for (name, sql) in Shared::new(&names).all() {
            assert!(!sql.as_str().contains('{'), "{name}: {}", sql.as_str());
        }
    }
    assert_eq!(statement("SELECT 1".to_owned()).as_str(), "SELECT 1");
}
