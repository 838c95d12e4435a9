//! How a store is opened, what can go wrong then, and how an open one can be lost.

use std::io;
use std::time::Duration;

use kennel_core::limits;
use kennel_core::port::BoxError;

use crate::run_lock::RunLockError;
use crate::sql::EventTables;
use crate::url::InvalidUrl;

/// What the store is opened for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// To read and write. A SQLite file is created if it does not exist.
    #[default]
    ReadWrite,
    /// The store has to exist.
    Existing,
    /// To create or upgrade its tables with [`OpenStore::migrate`](crate::OpenStore::migrate). Other modes do that for
    /// SQLite on their own and reject a PostgreSQL database whose tables are missing or old.
    Migrate,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub mode: Mode,
    /// Which tables hold the event log.
    pub tables: EventTables,
    /// How long to wait for a connection before the store counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long a transaction may rest before a PostgreSQL server ends its session. A process that is suspended in
    /// the middle of one keeps its row locks, and the worker that takes over its work waits for them: this should be
    /// well below the time after which its workers count as dead.
    pub stalled_after: Duration,
    /// Most connections to a PostgreSQL server.
    pub connections_max: u32,
    /// Whether workers of this process are to run projections. Two of the connections are for them alone then, unless
    /// a proxy shares sessions: one shows that the process is alive, the other listens.
    pub runs_projections: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            tables: EventTables::default(),
            acquire_timeout: Duration::from_secs(30),
            stalled_after: Duration::from_secs(5),
            connections_max: limits::CONNECTIONS,
            runs_projections: false,
        }
    }
}

/// A store that could not be opened, with what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    #[error("there is no store at {path}: create it with `kennel migrate --store sqlite:{path}`")]
    Missing { path: String },
    #[error("{path} cannot be created: there is no directory {directory}; create it first")]
    NoDirectory { path: String, directory: String },
    #[error("{path} is a directory: give the path of a file in it, such as sqlite:{path}/kennel.db")]
    IsDirectory { path: String },
    #[error("{path} cannot be read: check its permissions and those of its directory")]
    NotReadable {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} cannot be written: Kennel needs to write to the file and to its directory; check their permissions"
    )]
    NotWritable {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a SQLite database: check the path; the file was left as it is")]
    NotADatabase { path: String },
    /// Another process runs the file under another name.
    #[error(transparent)]
    Taken(#[from] RunLockError),
    #[error(
        "{path} is also called {other} (a hard link), and that name is in use, or its last user has not ended in good \
         order: SQLite keeps a log for each name, and two of them damage the database; use {other}, and remove the \
         other names"
    )]
    OtherName { path: String, other: String },
    #[error("the store {store} was made by a newer Kennel: use that version or a later one")]
    Newer { store: String },
    #[error("the store {store} has no Kennel tables, or old ones: run `kennel migrate --store …` once")]
    NotMigrated { store: String },
    #[error("the store {store} is of no use to Kennel: {reason}")]
    Unfit { store: String, reason: String },
    #[error("the tables of {store} cannot be created or upgraded")]
    Migration {
        store: String,
        #[source]
        source: BoxError,
    },
    #[error(
        "the server of {store} has no connection left for this process ({said}): end others, set `connections` of each \
         `kennel run` lower, or have the server allow more (`ALTER ROLE … CONNECTION LIMIT …`, `max_connections`)"
    )]
    Full { store: String, said: String },
    #[error("the pooler in front of {store} denies the connection ({said}): see its log and its settings")]
    Pooler { store: String, said: String },
    #[error("the store {store} cannot be reached: check that it is running and that the URL is right")]
    Unavailable {
        store: String,
        #[source]
        source: BoxError,
    },
}

/// A file of an open store was removed or replaced: this process writes nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreLost {
    pub(crate) message: String,
}
