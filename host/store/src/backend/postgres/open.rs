//! Connects to a PostgreSQL database, checks that it is of use, creates and upgrades Kennel's tables.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, SqlStr};

use super::PostgresBackend;
use super::log_tables::{self, Unclear};
use crate::connect::{ConnectError, ConnectOptions, Mode};
use crate::sql::{Words, statement};
use crate::store::Dialect;
use crate::url::PostgresUri;

/// The oldest server that is supported.
const VERSION_MIN: i64 = 130_000;
/// A connection that has rested longer is asked whether it still lives before it is used.
const RESTED: Duration = Duration::from_secs(1);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
const MIGRATIONS_TABLE: &str = "kennel.migration";

/// What the events table must have. Its other columns are nobody's business.
const EVENT_COLUMNS: [&str; 14] = [
    "global_position",
    "bounded_context",
    "aggregate_type",
    "aggregate_id",
    "aggregate_version",
    "event_id",
    "event_type",
    "event_version",
    "payload",
    "trace_id",
    "correlation_id",
    "causation_id",
    "metadata",
    "created_at",
];

pub(crate) async fn open(
    uri: &PostgresUri,
    options: &ConnectOptions,
) -> Result<PostgresBackend, ConnectError> {
    let name = uri.to_string();
    let parsed = PgConnectOptions::from_str(uri.with_password());
    let mut connect = parsed.map_err(|error| cannot_connect(&name, error))?.disable_statement_logging();
    if connect.get_application_name().is_none() {
        connect = connect.application_name("kennel");
    }
    let session = session(options.stalled_after);
    let settings = session.clone();
    let pool = PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move { Ok(meta.idle_for < RESTED || connection.ping().await.is_ok()) })
        })
        .after_connect(move |connection, _| {
            let session = settings.clone();
            Box::pin(async move { prepare_session(connection, session).await })
        });
    // The first connection is made by itself: a pool would try until its timeout and hide the reason.
    let mut first = tokio::time::timeout(options.acquire_timeout, connect.connect())
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut))
        .map_err(|error| cannot_connect(&name, error))?;
    let tables = log_tables::find(&mut first, &options.tables, options.mode).await;
    let tables = tables.map_err(|unclear| match unclear {
        Unclear::Unfit(reason) => ConnectError::Unfit { store: name.clone(), reason },
        Unclear::Database(error) => cannot_connect(&name, error),
    })?;
    let words = Words::new(Dialect::Postgres, &tables);
    let backend =
        PostgresBackend::new(name, pool.connect_lazy_with(connect.clone()), connect, session, words);
    backend.check_server(&mut first).await?;
    if options.mode != Mode::Migrate {
        backend.check_migrated(&mut first).await?;
        backend.check_events(&mut first).await?;
    }
    // It has served; whether it closes in good order does not matter.
    let _ = first.close().await;
    Ok(backend)
}

/// The settings of each session. A process that is frozen in the middle of a transaction keeps its row
/// locks, and everybody who wants to take over its work waits: the server ends such a session after
/// `stalled_after`. A vanished host is noticed by keepalives.
fn session(stalled_after: Duration) -> SqlStr {
    // 0 would mean never, and the server counts in 32 bits.
    let stalled_ms = stalled_after.as_millis().clamp(1, i32::MAX as u128);
    statement(format!(
        "SET idle_in_transaction_session_timeout = {stalled_ms}; SET tcp_keepalives_idle = 5; \
         SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET client_min_messages = warning"
    ))
}

/// Gives a new connection the settings of a session.
pub(super) async fn prepare_session(
    connection: &mut PgConnection,
    settings: SqlStr,
) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(settings)).await.map(|_| ())
}

fn cannot_connect(name: &str, error: sqlx::Error) -> ConnectError {
    let store = name.to_owned();
    let Some(database) = error.as_database_error() else {
        return match error {
            sqlx::Error::Configuration(source) => {
                ConnectError::Unfit { store, reason: format!("its URL is not valid: {source}") }
            }
            error => ConnectError::Unavailable { store, source: error.into() },
        };
    };
    let said = database.message().to_owned();
    let advice = match database.code().as_deref() {
        Some("28P01" | "28000") => "check the user and the password in the URL",
        Some("3D000") => "create the database first, for example with `createdb`",
        Some("3F000") => "create the schema first, or name the right table in `[events]` of kennel.toml",
        Some("42501") => "grant the user the missing right",
        _ => return ConnectError::Unavailable { store, source: error.into() },
    };
    ConnectError::Unfit { store, reason: format!("{said}; {advice}") }
}

impl PostgresBackend {
    fn failed(&self, error: sqlx::Error) -> ConnectError {
        cannot_connect(&self.name, error)
    }

    fn unfit(&self, reason: String) -> ConnectError {
        ConnectError::Unfit { store: self.name.clone(), reason }
    }

    async fn check_server(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let server = sqlx::query(self.sql.server.clone()).fetch_one(connection).await;
        let row = server.map_err(|error| self.failed(error))?;
        let (version, shown, encoding): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
        if version < VERSION_MIN {
            return Err(self.unfit(format!("it runs PostgreSQL {shown}; Kennel needs 13 or later")));
        }
        if encoding != "UTF8" {
            return Err(self.unfit(format!(
                "its encoding is {encoding}; Kennel needs a database made with ENCODING 'UTF8'"
            )));
        }
        Ok(())
    }

    async fn check_migrated(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let sql =
            statement(format!("SELECT coalesce(max(version), 0) FROM {MIGRATIONS_TABLE} WHERE success"));
        let found: i64 = match sqlx::query(sql).fetch_one(connection).await {
            Ok(row) => row.get(0),
            // No such table, no such schema.
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42P01" | "3F000")) =>
            {
                0
            }
            Err(error) => return Err(self.failed(error)),
        };
        let latest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        match found.cmp(&latest) {
            std::cmp::Ordering::Less => Err(ConnectError::NotMigrated { store: self.name.clone() }),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(ConnectError::Newer { store: self.name.clone() }),
        }
    }

    /// Checks the events table, which may be somebody else's.
    async fn check_events(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let columns = sqlx::query(self.sql.events_columns.clone()).fetch_all(&mut *connection).await;
        let columns: Vec<String> =
            columns.map_err(|error| self.failed(error))?.iter().map(|row| row.get(0)).collect();
        let missing: Vec<&str> =
            EVENT_COLUMNS.into_iter().filter(|column| !columns.iter().any(|found| found == column)).collect();
        let table = &self.words.tables().events;
        // A name that could not be given a schema is not there, whatever the search path finds in Kennel's own.
        if columns.is_empty() || table.schema().is_none() {
            return Err(
                self.unfit(format!("it has no table {table}: run `kennel migrate`, or name the right table"))
            );
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(self.unfit(format!("its table {table} is no event log: it lacks {missing}")));
        }
        match self.unfit_log(connection).await {
            Ok(None) => Ok(()),
            Ok(Some(reason)) => Err(self.unfit(format!("its event log cannot be followed: {reason}"))),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Creates and upgrades the tables. An event log that exists is left as it is.
    pub(crate) async fn migrate(&self) -> Result<(), ConnectError> {
        let failed = |error: MigrateError| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                ConnectError::Newer { store: self.name.clone() }
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.failed(error),
            other => ConnectError::Migration { store: self.name.clone(), source: other.into() },
        };
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        // What is there needs no right to make it.
        if !self.is_migrated(&mut connection).await? {
            let mut migrations = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
            migrations.dangerous_set_table_name(MIGRATIONS_TABLE);
            if !self.exists(&mut connection, &self.sql.schema_exists, "kennel").await? {
                migrations.create_schema("kennel");
            }
            migrations.run_direct(None, &mut *connection, false).await.map_err(failed)?;
        }
        self.create_log(&mut connection).await?;
        self.check_events(&mut connection).await
    }

    /// Whether all migrations have been applied as they are.
    async fn is_migrated(&self, connection: &mut PgConnection) -> Result<bool, ConnectError> {
        if !self.exists(&mut *connection, &self.sql.table_exists, MIGRATIONS_TABLE).await? {
            return Ok(false);
        }
        let sql = statement(format!("SELECT version, checksum FROM {MIGRATIONS_TABLE} WHERE success"));
        let rows = sqlx::query(sql).fetch_all(connection).await.map_err(|error| self.failed(error))?;
        let applied: Vec<(i64, Vec<u8>)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let is_applied = |(version, checksum): &(i64, Vec<u8>)| {
            MIGRATIONS.iter().any(|known| known.version == *version && *known.checksum == **checksum)
        };
        Ok(applied.len() == MIGRATIONS.iter().count() && applied.iter().all(is_applied))
    }

    /// Creates those tables of the log that do not exist.
    async fn create_log(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let tables = self.words.tables();
        let has_events = self.exists(connection, &self.sql.table_exists, &tables.events.quoted()).await?;
        if !has_events {
            self.execute_all(connection, include_str!("../../sql/postgres/events_create.sql")).await?;
        }
        let heads = &tables.aggregate_heads;
        if self.exists(connection, &self.sql.table_exists, &heads.quoted()).await? {
            return Ok(());
        }
        match self.execute_all(connection, include_str!("../../sql/postgres/heads_create.sql")).await {
            // Whoever follows a log that others write does not need it.
            Err(ConnectError::Unfit { reason, .. }) if has_events => {
                tracing::warn!(
                    reason,
                    "there is no table {heads} and it could not be made: `kennel append` will not work"
                );
                Ok(())
            }
            made => made,
        }
    }

    /// Whether a statement that looks for `name` finds it.
    async fn exists(
        &self,
        connection: &mut PgConnection,
        sql: &SqlStr,
        name: &str,
    ) -> Result<bool, ConnectError> {
        let found = sqlx::query(sql.clone()).bind(name).fetch_optional(connection).await;
        found.map(|row| row.is_some()).map_err(|error| self.failed(error))
    }

    /// Has the database announce appends of any writer on the channel that Kennel listens on.
    pub(crate) async fn install_notify(&self) -> Result<(), ConnectError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        self.execute_all(&mut connection, include_str!("../../sql/postgres/notify_install.sql")).await
    }

    /// Executes several statements in one transaction; one process at a time.
    async fn execute_all(&self, connection: &mut PgConnection, template: &str) -> Result<(), ConnectError> {
        let run = async {
            let mut tx = connection.begin().await?;
            sqlx::query(self.sql.lock_catalog.clone()).execute(&mut *tx).await?;
            tx.execute(sqlx::raw_sql(self.words.fill(template))).await?;
            tx.commit().await
        };
        run.await.map_err(|error| self.failed(error))
    }
}
