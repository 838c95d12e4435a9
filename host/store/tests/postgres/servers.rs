//! URLs that name several servers, and secrets in URLs.

use kennel_store::{Mode, StoreUrl};
use kennel_test_support::postgres::Cluster;
use kennel_test_support::samples::event;

use super::{CLUSTER, open, store};

/// HOST:PORT of a URL of a test's server.
fn server(url: &str) -> &str {
    url.split('@').nth(1).unwrap().split('/').next().unwrap()
}

#[tokio::test]
async fn of_several_servers_the_one_that_accepts_writes_is_used() {
    let (url, store) = store().await;
    store.close().await;
    let database = url.rsplit('/').next().unwrap();
    // As a standby does, it answers and rejects writes. The first of the three does not answer at all.
    let reads_only = Cluster::start_with(&[("default_transaction_read_only", "on"), ("fsync", "off")]);
    let (dead, reads, writes) = ("127.0.0.1:1", server(&reads_only.url("postgres")).to_owned(), server(&url));
    for (hosts, parameters) in [
        (format!("{dead},{reads},{writes}"), "?target_session_attrs=read-write"),
        (format!("{writes},{reads}"), ""),
        (format!("{reads},{writes}"), "?target_session_attrs=any&connect_timeout=5"),
    ] {
        let named = format!("postgres://kennel@{hosts}/{database}{parameters}");
        let store = open(&named, Mode::Existing).await.unwrap_or_else(|error| panic!("{hosts}: {error:?}"));
        store.append(&[event(1, "a")]).await.unwrap();
        assert_eq!(store.high_water_mark().await.unwrap().head.get(), 1);
        store.close().await;
    }
    let none = format!("postgres://kennel@{dead},{reads}/postgres");
    let error = open(&none, Mode::Existing).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(
        error.to_string().contains(&format!("kennel@{dead},{reads}/postgres cannot be reached")),
        "{error}"
    );
    assert!(
        source.contains(&format!("{dead}: "))
            && source.contains("does not accept writes: it is a standby, or read-only"),
        "{source}"
    );
}

/// A server that stops being the one that writes is left for the one that does.
#[tokio::test]
async fn a_server_that_stops_accepting_writes_is_left() {
    let other = Cluster::start();
    let (url, first) = store().await;
    first.close().await;
    let database = url.rsplit('/').next().unwrap().to_owned();
    other.sql("postgres", &format!("CREATE DATABASE {database}"));
    let migrating = open(&other.url(&database), Mode::Migrate).await.unwrap();
    migrating.migrate().await.unwrap();
    migrating.close().await;
    let named = format!("postgres://kennel@{},{}/{database}", server(&url), server(&other.url(&database)));
    let store = open(&named, Mode::Existing).await.unwrap();
    store.append(&[event(1, "a")]).await.unwrap();
    CLUSTER.sql("postgres", &format!("ALTER DATABASE {database} SET default_transaction_read_only = on"));
    CLUSTER.sql(
        "postgres",
        &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"),
    );
    let mut attempts = 0;
    while let Err(error) = store.append(&[event(2, "a")]).await {
        attempts += 1;
        assert!(attempts < 50, "it does not go on: {error:?}");
    }
    assert_eq!(other.sql(&database, "SELECT count(*) FROM events"), "1");
    store.close().await;
}

/// Whatever is printed, and whatever is reported about a mistake: no secret is in it.
#[tokio::test]
async fn no_secret_of_a_url_is_shown() {
    let (url, first) = store().await;
    first.close().await;
    let secrets =
        "password=s3cret&sslkey=s3cret&application_name=kennel&channel_binding=s3cret&apikey=s3cret";
    let given = format!("{}?{secrets}", url.replace("kennel@", "kennel:s3cret@"));
    let parsed: StoreUrl = given.parse().unwrap();
    let store = open(&given, Mode::Existing).await.unwrap();
    let mut shown = format!("{parsed} {parsed:?} {store:?}");
    for (from, to) in [("127.0.0.1:", "127.0.0.1:1"), ("kennel:", "stranger:"), ("sslkey=", "sslmode=")] {
        let wrong = given.replacen(from, to, 1);
        let reported = match wrong.parse::<StoreUrl>() {
            Err(error) => format!("{error} {error:?}"),
            Ok(_) => match open(&wrong, Mode::Existing).await {
                Err(error) => format!("{error} {error:?} {:?}", std::error::Error::source(&error)),
                Ok(_) => panic!("{wrong} is of use"),
            },
        };
        shown.push_str(&reported);
    }
    assert!(!shown.contains("s3cret"), "{shown}");
    store.close().await;
}
