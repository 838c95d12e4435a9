//! Opens a SQLite file, creates and upgrades its tables. Reports a bad path with a message.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, Row as _, SqliteConnection, SqlitePool};

use super::events::SharedHighWaterMark;
use super::files::{self, Files};
use super::log::WriteAheadLog;
use super::{BUSY_TIMEOUT, FRAGMENTS, SqliteBackend, SqliteSql, begin_of, watch::Watch};
use crate::opening::{ConnectError, ConnectOptions, Mode};
use crate::run_lock;
use crate::session::Durability;
use crate::sql::{EventTables, TableNames, statement};

/// Enough for every projection's reads to overlap with one commit.
const READERS_MAX: u32 = 4;
/// Rows that a reader may run ahead of the code that takes them: fewer cost more changes of threads. No statement gives
/// rows of more than some 40 KiB that could be this many, so a connection has 5 MiB of them at most.
const ROWS_AHEAD: usize = 128;
/// Statements that a connection keeps prepared: those of some hundred collections.
const STATEMENTS_MAX: usize = 512;

const NO_WRITES: &str = "the file or its directory does not accept writes";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
const MIGRATIONS_TABLE: &str = "kennel_migration";

pub(crate) async fn open(path: &Path, options: &ConnectOptions) -> Result<SqliteBackend, ConnectError> {
    check_tables(path, &options.tables)?;
    check_path(path, options.mode)?;
    let not_writable = |error: io::Error| {
        // The folder is there: it takes no files.
        let source = match error.kind() {
            io::ErrorKind::NotFound => io::Error::other(NO_WRITES),
            _ => error,
        };
        ConnectError::NotWritable { path: path.display().to_string(), source }
    };
    if options.mode != Mode::Existing {
        files::make(path).map_err(not_writable)?;
    }
    // Whatever becomes of links to it, this process stays with the file that it has opened first.
    let database = path.canonicalize().map_err(not_writable)?;
    check_names(&database, path)?;
    let names = TableNames::new(&FRAGMENTS, &options.tables);
    let base = SqliteConnectOptions::new()
        .filename(&database)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD)
        .statement_cache_capacity(STATEMENTS_MAX)
        .pragma("temp_store", "memory")
        .pragma("cache_size", "-32768")
        .disable_statement_logging();
    let writing = base.clone().synchronous(SqliteSynchronous::Full);
    let writer =
        pool(1, options.acquire_timeout).connect_with(writing).await.map_err(|e| cannot_open(path, e))?;
    write_ahead(&writer).await.map_err(|error| cannot_open(path, error))?;
    let readers = pool(READERS_MAX, options.acquire_timeout).connect_lazy_with(base.clone());
    let backend = SqliteBackend {
        path: path.to_owned(),
        files: Files::at(&database),
        log: WriteAheadLog::default(),
        database,
        watch: Watch::new(base, names.fill(include_str!("../../sql/sqlite/events_head.sql"))),
        writer,
        readers,
        high_water_mark: SharedHighWaterMark::default(),
        last_event: names.fill(include_str!("../../sql/events_last.sql")),
        sql: SqliteSql::new(&names),
        names,
    };
    backend.create_tables().await?;
    backend.files.remember();
    Ok(backend)
}

/// Has the database write to its log first. The mode is stored in the file, so that only the first connection has to ask
/// for it: no later one does, since it might find another file.
async fn write_ahead(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(writer).await?;
    if !mode.eq_ignore_ascii_case("wal") {
        sqlx::query("PRAGMA journal_mode = wal").fetch_one(writer).await?;
    }
    Ok(())
}

/// Keeps from a file whose log is in use under another name of it.
fn check_names(database: &Path, path: &Path) -> Result<(), ConnectError> {
    let file = fs::metadata(database).ok().filter(|file| file.nlink() > 1);
    if file.is_none() || files::beside(database, "-wal").exists() {
        return Ok(());
    }
    run_lock::check_other_names(database, path)?;
    match files::name_in_use(database) {
        Some(other) => Err(ConnectError::OtherName {
            path: path.display().to_string(),
            other: other.display().to_string(),
        }),
        None => Ok(()),
    }
}

fn pool(connections: u32, acquire_timeout: Duration) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_sound(connection)))
}

/// Whether a connection can be used again. When there is no room on the disk, SQLite may end a transaction by itself; it
/// then fails to be rolled back, and sqlx would take the connection for one in a transaction for ever.
async fn is_sound(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // Maybe it is being rolled back.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

/// A SQLite file has no schemas: SQLite would take one for another database that is attached.
fn check_tables(path: &Path, tables: &EventTables) -> Result<(), ConnectError> {
    let named = [&tables.events, &tables.aggregate_heads].map(ToString::to_string);
    let unfit = |reason| Err(ConnectError::Unfit { store: format!("sqlite:{}", path.display()), reason });
    if let Some(name) = named.iter().find(|name| name.contains('.')) {
        return unfit(format!(
            "tables in a SQLite file have no schema, so none of them is called {name}; name the table alone"
        ));
    }
    let is_reserved = |name: &&String| {
        let name = name.to_ascii_lowercase();
        name.starts_with("sqlite_") || name.starts_with("kennel_")
    };
    if let Some(name) = named.iter().find(is_reserved) {
        return unfit(format!(
            "the name {name} is reserved, as all are that begin with sqlite_ or kennel_; give the table another name"
        ));
    }
    Ok(())
}

/// Looks at the path before SQLite does: its own "unable to open database file" names no reason.
fn check_path(path: &Path, mode: Mode) -> Result<(), ConnectError> {
    let shown = || path.display().to_string();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(ConnectError::IsDirectory { path: shown() }),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
                let directory = parent.display().to_string();
                return Err(ConnectError::NoDirectory { path: shown(), directory });
            }
            return if mode == Mode::Existing {
                Err(ConnectError::Missing { path: shown() })
            } else {
                Ok(())
            };
        }
        Err(source) => return Err(ConnectError::NotReadable { path: shown(), source }),
    }
    // What it holds is for SQLite to judge: a file that another store of this process has open must not be opened and
    // closed here.
    let (readable, writable) = files::may_use(path);
    readable.map_err(|source| ConnectError::NotReadable { path: shown(), source })?;
    writable.map_err(|source| ConnectError::NotWritable { path: shown(), source })
}

fn cannot_open(path: &Path, error: sqlx::Error) -> ConnectError {
    const READ_ONLY: i32 = 8;
    const CANNOT_OPEN: i32 = 14;
    const NOT_A_DATABASE: i32 = 26;
    let code =
        error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<i32>().ok());
    let path = path.display().to_string();
    match code.map(|code| code & 0xff) {
        Some(READ_ONLY | CANNOT_OPEN) => {
            let source = io::Error::other(NO_WRITES);
            ConnectError::NotWritable { path, source }
        }
        Some(NOT_A_DATABASE) => ConnectError::NotADatabase { path },
        _ => ConnectError::Unavailable { store: format!("sqlite:{path}"), source: error.into() },
    }
}

impl SqliteBackend {
    /// Creates and upgrades the tables. Changes nothing if they are up to date.
    pub(super) async fn create_tables(&self) -> Result<(), ConnectError> {
        let failed = |error: MigrateError| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                ConnectError::Newer { store: format!("sqlite:{}", self.path.display()) }
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                cannot_open(&self.path, error)
            }
            other => ConnectError::Migration {
                store: format!("sqlite:{}", self.path.display()),
                source: other.into(),
            },
        };
        if self.is_current().await {
            return Ok(());
        }
        // The lock is taken before looking again, because two processes may create the same file.
        let begun = self.writer.begin_with(begin_of(Durability::Acknowledged)).await;
        let mut tx = begun.map_err(|error| cannot_open(&self.path, error))?;
        let mut migrations = sqlx::migrate::Migrator {
            migrations: MIGRATIONS.migrations.clone(),
            ..sqlx::migrate::Migrator::DEFAULT
        };
        migrations.dangerous_set_table_name(MIGRATIONS_TABLE);
        // What `run` calls. Its own bound on connections does not hold in a future that is sent between threads.
        migrations.run_direct(None, &mut *tx, false).await.map_err(failed)?;
        let events = self.names.fill(include_str!("../../sql/sqlite/events_create.sql"));
        tx.execute(sqlx::raw_sql(events)).await.map_err(|error| failed(error.into()))?;
        tx.commit().await.map_err(|error| failed(error.into()))
    }

    /// Whether there is nothing to migrate, found out without the write lock.
    async fn is_current(&self) -> bool {
        let latest = MIGRATIONS.iter().map(|migration| migration.version).max();
        let sql = statement(format!(
            "SELECT max(version) AS latest, count(*) AS applied FROM {MIGRATIONS_TABLE} WHERE success"
        ));
        let Ok(row) = sqlx::query(sql).fetch_one(&self.readers).await else { return false };
        let tables = sqlx::query(sqlx::SqlStr::clone(&self.sql.events_head)).fetch_one(&self.readers).await;
        row.try_get::<Option<i64>, _>("latest").ok().flatten() == latest
            && row.try_get::<i64, _>("applied").ok() == i64::try_from(MIGRATIONS.iter().count()).ok()
            && tables.is_ok()
    }
}
