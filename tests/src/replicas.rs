//! One PostgreSQL database and the `kennel run` processes that share it, watched with plain SQL: starting
//! a command takes longer than much of what these tests measure.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use kennel_test_support::postgres::Cluster;
use serde_json::Value;

use crate::binary::{Kennel, Running};
use crate::components::guest;

/// A database with deployed projections, and a folder in which commands use it.
#[derive(Debug)]
pub struct Replicas {
    pub kennel: Kennel,
    pub database: String,
}

/// A connection to a database that stays open: a `psql` that reads one statement after another.
#[derive(Debug)]
pub struct Session {
    psql: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// A row of the checkpoints of a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRow {
    pub range_start: u64,
    pub range_end: u64,
    pub position: u64,
    pub generation: u64,
}

impl Replicas {
    /// A new database with these example guests deployed under their own names.
    #[must_use]
    pub fn new(cluster: &Cluster, guests: &[&str]) -> Self {
        let url = cluster.create_database();
        let database = url.rsplit('/').next().expect("a database").to_owned();
        let kennel = Kennel::on(&url);
        kennel.ok(&["migrate"]);
        for name in guests {
            kennel.ok(&["deploy", name, guest(name).to_str().expect("a UTF-8 path")]);
        }
        Self { kennel, database }
    }

    /// Has workers send a heartbeat every second, and count as dead after so many.
    #[must_use]
    pub fn stale_after(self, seconds: u32) -> Self {
        let settings = format!("[run]\nheartbeat_seconds = 1\nstale_after_seconds = {seconds}\n");
        self.kennel.write("kennel.toml", settings);
        self
    }

    /// Starts a process with so many workers.
    #[must_use]
    pub fn start(&self, workers: u32) -> Running {
        self.kennel.start(&["run", "--listen", "127.0.0.1:0", "--workers", &workers.to_string()])
    }

    /// Whether every projection has handled the whole log. `false` also while the server is away.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        let printed = self.kennel.run(&["status", "--json"]);
        let Ok(status) = serde_json::from_str::<Value>(&printed.stdout) else { return false };
        let projections = status["projections"].as_array().map_or(&[][..], Vec::as_slice);
        status["head"] == status["high_water_mark"]
            && !projections.is_empty()
            && projections.iter().all(|projection| projection["position"] == status["head"])
    }

    /// Opens a connection for many statements.
    #[must_use]
    pub fn session(&self, cluster: &Cluster) -> Session {
        Session::open(cluster, &self.database)
    }
}

impl Session {
    /// Connects to a database.
    #[must_use]
    pub fn open(cluster: &Cluster, database: &str) -> Self {
        let mut psql = cluster.psql(database);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut psql = psql.spawn().expect("psql starts");
        let input = psql.stdin.take().expect("psql reads");
        let output = BufReader::new(psql.stdout.take().expect("psql writes"));
        Self { psql, input, output }
    }

    /// The rows of a statement, as `psql` prints them unaligned.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        const END: &str = "-- the end --";
        writeln!(self.input, "{sql};\nSELECT '{END}';").expect("psql reads");
        self.input.flush().expect("psql reads");
        let mut rows = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("psql writes text");
            assert!(read > 0, "psql has ended over {sql}");
            match line.trim_end_matches('\n') {
                END => return rows,
                row => rows.push(row.to_owned()),
            }
        }
    }

    /// The numbers of a statement's only row.
    ///
    /// # Panics
    ///
    /// When there is not exactly one row, or when it holds anything else.
    pub fn numbers(&mut self, sql: &str) -> Vec<u64> {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        numbers(&rows[0])
    }

    /// The table of a collection, ready to be named in a statement.
    pub fn table(&mut self, projection: &str, collection: &str) -> String {
        let sql = format!(
            "SELECT c.table_name FROM kennel.collection c JOIN kennel.deployment d USING (read_model)
             WHERE d.projection = '{projection}' AND d.outcome = 'serving' AND c.name = '{collection}'"
        );
        self.rows(&sql).pop().unwrap_or_else(|| panic!("{projection} has no collection {collection}"))
    }

    /// Where a projection stands, in the order of the hash space.
    pub fn checkpoints(&mut self, projection: &str) -> Vec<CheckpointRow> {
        let sql = format!(
            "SELECT range_start, range_end, position, generation FROM kennel.checkpoint
             JOIN kennel.deployment d USING (read_model)
             WHERE d.projection = '{projection}' AND d.outcome = 'serving' ORDER BY range_start"
        );
        let rows = self.rows(&sql);
        let row = |text: &String| match numbers(text)[..] {
            [range_start, range_end, position, generation] => {
                CheckpointRow { range_start, range_end, position, generation }
            }
            _ => panic!("{text} is no checkpoint"),
        };
        rows.iter().map(row).collect()
    }

    /// The current generation, and the processes that own its partitions. One that has left is 0.
    pub fn owners(&mut self) -> (u64, Vec<u64>) {
        let rows = self.rows(
            "SELECT r.generation, coalesce(w.pid, 0)
             FROM kennel.replica_set r JOIN kennel.generation g
               ON g.replica_set = r.name AND g.generation = r.generation,
             jsonb_array_elements_text(g.owners::jsonb) WITH ORDINALITY AS owner(id, number)
             LEFT JOIN kennel.worker w ON w.id = owner.id
             WHERE r.name = 'main' ORDER BY owner.number",
        );
        let rows: Vec<Vec<u64>> = rows.iter().map(|row| numbers(row)).collect();
        (rows.first().map_or(0, |row| row[0]), rows.iter().map(|row| row[1]).collect())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

fn numbers(row: &str) -> Vec<u64> {
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text:?} in {row:?} is no number"));
    row.split('|').map(number).collect()
}
