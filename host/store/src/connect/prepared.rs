//! Has both databases check every statement, so that one which is seldom used cannot be wrong unnoticed.

use std::collections::BTreeSet;

use kennel_test_support::postgres::Cluster;
use sqlx::{Column as _, Executor, SqlStr, Statement};

use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Documents as _};
use crate::opening::{ConnectOptions, Mode};
use crate::sql::{Shared, TableNames, statement};
use crate::url::StoreUrl;

async fn check<'a>(
    all: impl IntoIterator<Item = (&'static str, &'a SqlStr)>,
    prepare: impl AsyncFn(SqlStr) -> Result<Vec<String>, sqlx::Error>,
) {
    for (name, sql) in all {
        match prepare(sql.clone()).await {
            Err(error) => panic!("{name}: {error}\n{}", sql.as_str()),
            Ok(columns) => {
                // They are read by name. PostgreSQL calls one without a name `?column?`.
                let names: BTreeSet<&String> = columns.iter().collect();
                assert_eq!(names.len(), columns.len(), "{name}: two columns of one name: {columns:?}");
                let nameless = columns.len() > 1 && columns.iter().any(|column| column == "?column?");
                assert!(!nameless, "{name}: a column has no name: {columns:?}");
            }
        }
    }
}

fn columns(statement: &impl Statement) -> Vec<String> {
    statement.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn options() -> ConnectOptions {
    ConnectOptions { mode: Mode::Migrate, ..ConnectOptions::default() }
}

async fn migrate(backend: &impl Backend) {
    backend.migrate().await.unwrap();
    // Once more changes nothing.
    backend.migrate().await.unwrap();
}

#[tokio::test]
async fn sqlite_knows_every_statement() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = crate::backend::sqlite::open(&folder.path().join("kennel.db"), &options()).await.unwrap();
    migrate(&sqlite).await;
    let prepare =
        async |sql: SqlStr| (&sqlite.writer).prepare(sql).await.map(|statement| columns(&statement));
    let names = TableNames::new(&crate::backend::sqlite::FRAGMENTS, &Default::default());
    check(Shared::new(&names).all(), prepare).await;
    let whole = |(name, _): &(&str, &SqlStr)| *name != "events_insert";
    check(sqlite.sql.all().into_iter().filter(whole), prepare).await;
    let table = SqliteBackend::table_of("a \"table\"");
    (&sqlite.writer).execute(sqlx::raw_sql(table.create.clone())).await.unwrap();
    check(table.all(), prepare).await;
}

#[tokio::test]
async fn postgres_knows_every_statement() {
    let cluster = Cluster::start();
    let StoreUrl::Postgres(uri) = cluster.create_database().parse().unwrap() else {
        panic!("another database")
    };
    let backend = crate::backend::postgres::open(&uri, &options()).await.unwrap();
    migrate(&backend).await;
    backend.install_notify().await.unwrap();
    let prepare = async |sql: SqlStr| (&backend.pool).prepare(sql).await.map(|statement| columns(&statement));
    let names = TableNames::new(&crate::backend::postgres::FRAGMENTS, &Default::default());
    check(Shared::new(&names).all(), prepare).await;
    check(backend.sql.all(), prepare).await;
    check(backend.read.all().map(|sql| ("events_read", sql)), prepare).await;
    let table = PostgresBackend::table_of("public.a \"table\"");
    (&backend.pool).execute(sqlx::raw_sql(table.create.clone())).await.unwrap();
    check(table.all(), prepare).await;
    backend.close().await;
}

#[test]
fn every_placeholder_is_filled_in() {
    for fragments in [&crate::backend::sqlite::FRAGMENTS, &crate::backend::postgres::FRAGMENTS] {
        let names = TableNames::new(fragments, &Default::default());
        for (name, sql) in Shared::new(&names).all() {
            assert!(!sql.as_str().contains('{'), "{name}: {}", sql.as_str());
        }
    }
    assert_eq!(statement("SELECT 1".to_owned()).as_str(), "SELECT 1");
}
