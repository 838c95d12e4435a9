//! A store of either kind with everything that deployments are tried on: the processes that run it, and
//! several versions of one guest that can be distinguished by what they write.

use std::path::PathBuf;

use kennel_test_support::postgres::Cluster;
use serde_json::Value;

use crate::binary::{Kennel, Printed, now};
use crate::components::guest;
use crate::database::Database;
use crate::metrics::Served;
use crate::replicas::Session;

/// The projection that all of this is about.
pub const NAME: &str = "audit-log";
/// Workers of all processes together.
pub const WORKERS: usize = 4;

/// A store in which nothing is deployed yet.
#[derive(Debug)]
pub struct Fixture {
    pub kennel: Kennel,
    /// The server and the database in it, unless the store is a SQLite file.
    server: Option<(Cluster, String)>,
}

/// What components are like: they can be distinguished by what they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `audit-log` as it is: it counts each event in the field `count`.
    First,
    /// As its developer might have changed it: it calls itself 2.0.0 and counts in the field `tally`.
    Second,
}

/// What the documents of `audit-log` say, whichever versions wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub events: u64,
    /// Events that did not take effect exactly once, and documents of no event.
    pub not_once: u64,
    /// Events that the second version has handled.
    pub by_the_second: u64,
    pub out_of_order: u64,
}

impl Fixture {
    /// A new database on a server of its own.
    #[must_use]
    pub fn postgres() -> Self {
        let cluster = Cluster::start();
        let url = cluster.create_database();
        let database = url.rsplit('/').next().expect("a database").to_owned();
        let kennel = Kennel::on(&url);
        kennel.ok(&["migrate"]);
        Self { kennel, server: Some((cluster, database)) }
    }

    /// A new SQLite file.
    #[must_use]
    pub fn sqlite() -> Self {
        let kennel = Kennel::default();
        kennel.ok(&["migrate"]);
        Self { kennel, server: None }
    }

    /// What kind of store it is, for reports.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        if self.server.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    /// Another connection to the database.
    #[must_use]
    pub fn database(&self) -> Database {
        match &self.server {
            Some((cluster, database)) => Database::Postgres(Box::new(Session::open(cluster, database))),
            None => Database::sqlite(&self.kennel.folder().join("kennel.db")),
        }
    }

    /// The URL of the database, where there is a server.
    ///
    /// # Panics
    ///
    /// On SQLite.
    #[must_use]
    pub fn url(&self) -> String {
        let (cluster, database) = self.server.as_ref().expect("a server");
        cluster.url(database)
    }

    /// A table of the database as `pg_dump` writes it.
    ///
    /// # Panics
    ///
    /// On SQLite.
    #[must_use]
    pub fn dump(&self, table: &str) -> String {
        let (cluster, database) = self.server.as_ref().expect("a server");
        cluster.dump(database, table)
    }

    /// Runs what [`Self::dump`] has written.
    ///
    /// # Panics
    ///
    /// On SQLite.
    pub fn restore(&self, dump: &str) {
        let (cluster, database) = self.server.as_ref().expect("a server");
        let file = self.kennel.write("dump.sql", dump);
        let restored = cluster.psql(database).arg("-f").arg(file).output().expect("psql runs");
        assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    }

    /// A copy of the server's data as they are now.
    ///
    /// # Panics
    ///
    /// On SQLite.
    #[must_use]
    pub fn backup(&self) -> PathBuf {
        self.server.as_ref().expect("a server").0.backup()
    }

    /// Has the server crash, and come back with a copy of its data that was taken before.
    ///
    /// # Panics
    ///
    /// On SQLite.
    pub fn swap(&mut self, copy: &std::path::Path, promote: bool) {
        self.server.as_mut().expect("a server").0.swap(copy, promote);
    }

    /// How many processes may share the store here.
    #[must_use]
    pub const fn processes(&self) -> usize {
        if self.server.is_some() { 2 } else { 1 }
    }

    /// Starts them, with four workers together.
    #[must_use]
    pub fn start(&self) -> Vec<Served> {
        self.start_some(self.processes())
    }

    /// Starts some of them.
    #[must_use]
    pub fn start_some(&self, count: usize) -> Vec<Served> {
        let workers = (WORKERS / self.processes()).to_string();
        (0..count).map(|_| Served::start(&self.kennel, &["--workers", &workers])).collect()
    }

    /// The file of a component. Each number has its own digest, and does what its family does.
    ///
    /// # Panics
    ///
    /// When the guest's strings lie elsewhere than they used to: `strings` shows where.
    #[must_use]
    pub fn component(&self, family: Family, number: u8) -> String {
        const FIRST: &[u8] = b"audit-log1.0.0eventscountaggregates";
        const SECOND: &[u8] = b"audit-log2.0.0eventstallyaggregates";
        let mut bytes = std::fs::read(guest(NAME)).expect("the guest is there");
        let offsets: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(FIRST)).collect();
        assert_eq!(offsets.len(), 1, "not just once in the guest: {}", String::from_utf8_lossy(FIRST));
        if family == Family::Second {
            bytes[offsets[0]..offsets[0] + SECOND.len()].copy_from_slice(SECOND);
        }
        if number > 0 {
            // An empty custom section whose name is the number.
            bytes.extend([0, 2, 1, b'0' + number]);
        }
        path(self.kennel.write(&format!("{family:?}-{number}.wasm"), bytes))
    }

    /// The deployments of the projection, as `kennel deployments` lists them.
    #[must_use]
    pub fn deployments(&self) -> Vec<Value> {
        let reported = self.kennel.json(&["deployments", NAME, "--json"]);
        reported.as_array().expect("a list of deployments").clone()
    }
}

/// The digest of a component.
#[must_use]
pub fn digest(file: &str) -> String {
    let bytes = std::fs::read(file).expect("the component is there");
    kennel_core::digest::Digest::of(&bytes).to_string()
}

/// The digests of the components of the projection that a process runs.
#[must_use]
pub fn running(process: &Served) -> Vec<String> {
    let scrape = process.scrape();
    let series = scrape.all("kennel_component_info", &[("projection", NAME)]);
    series.map(|sample| sample.labels["digest"].clone()).collect()
}

/// Compares the documents that people find with the log, of which the events up to a position have to be
/// handled, and others may be.
pub fn judge(database: &mut Database, up_to: u64) -> Judgement {
    let (events, aggregates) = (database.view(NAME, "events"), database.view(NAME, "aggregates"));
    let number = |field: &str| format!("CAST(coalesce(d.document->>'{field}', '0') AS BIGINT)");
    let (count, tally, position) = (number("count"), number("tally"), number("position"));
    // One statement sees everything at one moment.
    let [events, wrong, found, by_the_second, documents, out_of_order] = database.numbers(&format!(
        "SELECT count(*) FILTER (WHERE e.global_position <= {up_to}),
           count(*) FILTER (WHERE CASE WHEN d.key IS NULL THEN e.global_position <= {up_to}
             ELSE {position} <> e.global_position OR {count} + {tally} <> 1 END),
           count(d.key), count(*) FILTER (WHERE {tally} > 0), (SELECT count(*) FROM {events}),
           (SELECT count(*) FROM {aggregates} WHERE CAST(document->'out_of_order' AS TEXT) <> 'false')
         FROM events e LEFT JOIN {events} d ON d.key = CAST(e.event_id AS TEXT)"
    ));
    Judgement { events, not_once: wrong + documents - found, by_the_second, out_of_order }
}

/// Does something and says how many seconds it took.
pub fn timed<T>(action: impl FnOnce() -> T) -> (T, f64) {
    let began = now();
    let result = action();
    (result, began.elapsed().as_secs_f64())
}

/// The message of a command that was rejected because another came first.
///
/// # Panics
///
/// When it ended otherwise.
#[track_caller]
#[must_use]
pub fn rejected(printed: &Printed) -> &str {
    assert_eq!(printed.code, Some(5), "{}\n{}", printed.stdout, printed.stderr);
    &printed.stderr
}

fn path(path: PathBuf) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}
