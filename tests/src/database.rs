//! SQL on the database of a store, whichever it is. It sees what other programs see, and not through the code
//! that is tested. Statements that both databases understand are written once.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use tokio::runtime::Runtime;

use crate::replicas::Session;

/// A connection that stays open.
#[derive(Debug)]
pub enum Database {
    Postgres(Box<Session>),
    Sqlite(Box<File>),
}

/// A connection to a SQLite file.
#[derive(Debug)]
pub struct File {
    runtime: Runtime,
    connection: SqliteConnection,
}

impl Database {
    /// Connects to a SQLite file that exists.
    ///
    /// # Panics
    ///
    /// When it cannot be opened.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        // What the tests write may be lost with the machine, so they do not wait for the disk.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(Duration::from_secs(30))
            .pragma("synchronous", "off")
            .disable_statement_logging();
        let connection = runtime.block_on(options.connect()).expect("the file can be opened");
        Self::Sqlite(Box::new(File { runtime, connection }))
    }

    /// The rows of a statement, with `|` between their columns.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        match self {
            Self::Postgres(session) => session.rows(sql),
            Self::Sqlite(file) => file.rows(sql),
        }
    }

    /// The numbers of each row.
    ///
    /// # Panics
    ///
    /// When a column holds anything else.
    pub fn tuples<const N: usize>(&mut self, sql: &str) -> Vec<[u64; N]> {
        let tuple = |row: &String| {
            let numbers: Result<Vec<u64>, _> = row.split('|').map(str::parse).collect();
            let tuple = numbers.ok().and_then(|numbers| <[u64; N]>::try_from(numbers).ok());
            tuple.unwrap_or_else(|| panic!("{row:?} is not {N} numbers: {sql}"))
        };
        self.rows(sql).iter().map(tuple).collect()
    }

    /// The numbers of a statement's only row.
    ///
    /// # Panics
    ///
    /// When there is not exactly one row, or when it holds anything else.
    pub fn numbers<const N: usize>(&mut self, sql: &str) -> [u64; N] {
        let rows = self.tuples(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0]
    }

    /// One of the tables that Kennel keeps for itself.
    #[must_use]
    pub fn own(&self, table: &str) -> String {
        match self {
            Self::Postgres(_) => format!("kennel.{table}"),
            Self::Sqlite(_) => format!("kennel_{table}"),
        }
    }

    /// The view under which people find the documents of a collection.
    #[must_use]
    pub fn view(&self, projection: &str, collection: &str) -> String {
        let projection = projection.replace('-', "_");
        match self {
            Self::Postgres(_) => format!("{projection}.{collection}"),
            Self::Sqlite(_) => format!("{projection}__{collection}"),
        }
    }

    /// The database's clock as an expression: microseconds since 1970.
    #[must_use]
    pub const fn clock(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
            Self::Sqlite(_) => "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
        }
    }

    /// What the database's clock says, in microseconds since 1970.
    pub fn now(&mut self) -> u64 {
        let [now] = self.numbers(&format!("SELECT {}", self.clock()));
        now
    }

    /// The head of the log.
    pub fn head(&mut self) -> u64 {
        let [head] = self.numbers("SELECT coalesce(max(global_position), 0) FROM events");
        head
    }

    /// How far each range of the serving read model is, by where it starts.
    pub fn positions(&mut self, projection: &str) -> Vec<[u64; 2]> {
        let (checkpoint, deployment) = (self.own("checkpoint"), self.own("deployment"));
        self.tuples(&format!(
            "SELECT c.range_start, c.position FROM {checkpoint} c
             JOIN {deployment} d ON d.read_model = c.read_model
             WHERE d.projection = '{projection}' AND d.outcome = 'serving' ORDER BY c.range_start"
        ))
    }

    /// How far behind the head of the log the serving read model is, in positions.
    pub fn lag(&mut self, projection: &str) -> u64 {
        let head = self.head();
        let positions = self.positions(projection);
        positions.iter().map(|[_, position]| head.saturating_sub(*position)).max().unwrap_or(head)
    }
}

impl File {
    fn rows(&mut self, sql: &str) -> Vec<String> {
        let query = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        let rows = self.runtime.block_on(query);
        rows.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(row).collect()
    }
}

fn row(row: &SqliteRow) -> String {
    let text = |index| row.try_get_unchecked::<Option<String>, _>(index).expect("text");
    (0..row.len()).map(|index| text(index).unwrap_or_default()).collect::<Vec<_>>().join("|")
}
