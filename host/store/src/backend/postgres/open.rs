//! Connects to a PostgreSQL database, checks that it is of use, creates and upgrades Kennel's tables.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::limits;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, SqlStr};
use tokio::time::Instant;

use super::connector::Connector;
use super::log_tables::{self, Unclear};
use super::pool::{Pool, PoolOptions, is_denial};
use super::pooler::{self, Sessions};
use super::{FRAGMENTS, PostgresBackend};
use crate::error::{KEEPS_NO_STATEMENTS, is_lost_statement};
use crate::opening::{ConnectError, ConnectOptions, Mode};
use crate::sql::{TableNames, statement};
use crate::url::PostgresUri;

/// The oldest server that is supported.
const VERSION_MIN: i64 = 130_000;
/// How long a process that is to run projections waits for a connection that the server denies it at first.
const DENIED_MAX: Duration = Duration::from_secs(5);
const DENIED_PAUSE: Duration = Duration::from_millis(200);
/// Connections of a process that runs projections beside those for its work, where it has sessions of its own: it
/// shows on one that it is alive, and listens on the other.
const APART: u32 = 2;
/// How long a commit waits for the lock of another transaction before it gives its connection back and begins again.
pub(super) const LOCK_WAIT_MAX: Duration = Duration::from_secs(2);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");
const MIGRATIONS_TABLE: &str = "kennel.migration";

/// What the events table must have. Its other columns do not matter.
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
    if !uri.ignored().is_empty() {
        let parameters = uri.ignored().join(", ");
        tracing::warn!(
            parameters,
            "the store's URL has parameters that Kennel does not know: they do nothing"
        );
    }
    let failed = |error| cannot_connect(&name, error);
    let connector = Connector::new(uri).map_err(failed)?;
    let (mut first, mut second) = connect(&connector, &name, options).await?;
    let sessions = pooler::examine(&mut first, second.as_mut()).await.map_err(failed)?;
    let shared = is_shared(sessions, &name)?;
    let stalled = stalled_ms(options.stalled_after);
    let connector = Arc::new(connector.with_session((!shared).then(|| session(stalled))));
    for connection in [Some(&mut first), second.as_mut()].into_iter().flatten() {
        connector.prepare(connection).await.map_err(failed)?;
    }
    let tables = log_tables::find(&mut first, &options.tables, options.mode).await;
    let tables = tables.map_err(|unclear| match unclear {
        Unclear::Unfit(reason) => ConnectError::Unfit { store: name.clone(), reason },
        Unclear::Database(error) => cannot_connect(&name, error),
    })?;
    let names = TableNames::new(&FRAGMENTS, &tables);
    let apart = if options.runs_projections && !shared { APART } else { 0 };
    let pool_options = PoolOptions {
        connections_max: options.connections_max.saturating_sub(apart).max(1) as usize,
        wait_max: options.acquire_timeout,
        begin: begin(shared, stalled),
    };
    let own_sessions = (!shared).then(|| Arc::clone(&connector));
    // Checked before the pool has it: a fault is to be reported, and not tried again.
    let pool = Pool::new(connector, pool_options, second.into_iter().collect());
    let mut backend = PostgresBackend::new(name, pool, own_sessions, names);
    backend.check_server(&mut first).await?;
    if options.runs_projections {
        if shared {
            tracing::warn!(
                "the database is reached through a proxy that pools transactions: a worker that dies is noticed by its \
                 missing heartbeats only, and new events up to a second late; give Kennel a direct connection to \
                 notice both at once"
            );
        } else {
            backend.check_limits(&mut first, options.connections_max).await?;
        }
    }
    if options.mode != Mode::Migrate {
        backend.check_migrated(&mut first).await?;
        backend.check_events(&mut first).await?;
    }
    backend.pool.take_in(first);
    Ok(backend)
}

/// Two connections, to find out to whom sessions belong; commands get along with one.
async fn connect(
    connector: &Connector,
    name: &str,
    options: &ConnectOptions,
) -> Result<(PgConnection, Option<PgConnection>), ConnectError> {
    let began = Instant::now();
    let mut reported = false;
    let mut have: Vec<PgConnection> = Vec::new();
    while have.len() < 2 {
        // Made without the pool, which would hide the reason.
        match connector.connect().await {
            Ok(connection) => have.push(connection),
            Err(error) if is_denial(&error) && options.runs_projections && began.elapsed() < DENIED_MAX => {
                if !reported {
                    tracing::warn!(%error, "the server denies a connection; trying again for a few seconds");
                    reported = true;
                }
                tokio::time::sleep(DENIED_PAUSE).await;
            }
            Err(error) if is_denial(&error) && !have.is_empty() && !options.runs_projections => break,
            Err(error) => return Err(cannot_connect(name, error)),
        }
    }
    let mut have = have.into_iter();
    match have.next() {
        Some(first) => Ok((first, have.next())),
        None => Err(cannot_connect(name, sqlx::Error::PoolTimedOut)),
    }
}

/// Whether sessions are shared; those that are shared without what Kennel needs are rejected.
fn is_shared(sessions: Sessions, name: &str) -> Result<bool, ConnectError> {
    let reason = match sessions {
        Sessions::Own => return Ok(false),
        Sessions::Shared => return Ok(true),
        Sessions::SharedWithoutStatements => KEEPS_NO_STATEMENTS,
        Sessions::OfStatements => {
            "it is reached through a pooler that pools statements, and Kennel needs transactions: have it pool by \
             transaction or by session"
        }
    };
    Err(ConnectError::Unfit { store: name.to_owned(), reason: reason.to_owned() })
}

/// 0 would mean never, and the server counts in 32 bits.
fn stalled_ms(stalled_after: Duration) -> u128 {
    stalled_after.as_millis().clamp(1, i32::MAX as u128)
}

/// The settings of each session that belongs to a connection. A process that is suspended in the middle of a
/// transaction keeps its row locks, and every worker that wants to take over its work waits: the server ends such a
/// session after `stalled_ms`. One that rests between two batches is not to be ended. A vanished host is noticed by
/// keepalives.
fn session(stalled_ms: u128) -> SqlStr {
    statement(format!(
        "SET idle_in_transaction_session_timeout = {stalled_ms}; SET tcp_keepalives_idle = 5; \
         SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET client_min_messages = warning; \
         SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
    ))
}

/// What each transaction begins with. On a session that others use as well, settings last as long as it.
fn begin(shared: bool, stalled_ms: u128) -> String {
    if !shared {
        return "BEGIN".to_owned();
    }
    format!(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = {stalled_ms}; SET LOCAL client_min_messages = warning"
    )
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
        _ if is_lost_statement(&error) => {
            return ConnectError::Unfit { store, reason: format!("{KEEPS_NO_STATEMENTS} ({said})") };
        }
        Some("53300") => return ConnectError::Full { store, said },
        Some("08P01") => return ConnectError::Pooler { store, said },
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

    async fn check_server(&mut self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let server = sqlx::query(self.sql.server.clone()).fetch_one(connection).await;
        let row = server.map_err(|error| self.failed(error))?;
        let (version, shown, encoding): (i64, String, String) =
            (row.get("version"), row.get("shown"), row.get("encoding"));
        if version < VERSION_MIN {
            return Err(self.unfit(format!("it runs PostgreSQL {shown}; Kennel needs 13 or later")));
        }
        if encoding != "UTF8" {
            return Err(self.unfit(format!(
                "its encoding is {encoding}; Kennel needs a database made with ENCODING 'UTF8'"
            )));
        }
        // 0 is no limit. A shorter one that the operator has set stays.
        let operators = Duration::from_millis(u64::try_from(row.get::<i64, _>("lock_timeout")).unwrap_or(0));
        self.lock_wait =
            Some(operators).filter(|wait| !wait.is_zero()).unwrap_or(LOCK_WAIT_MAX).min(LOCK_WAIT_MAX);
        Ok(())
    }

    /// Rejects limits that cannot do: the process would hang most of the time, and not know why.
    async fn check_limits(&self, connection: &mut PgConnection, wanted: u32) -> Result<(), ConnectError> {
        let row = sqlx::query(self.sql.limits.clone()).fetch_optional(connection).await;
        let Some(row) = row.map_err(|error| self.failed(error))? else { return Ok(()) };
        let role: String = row.get("role");
        let bounds: [(i64, String); 3] = [
            (row.get("of_role"), format!("the role {role} (`ALTER ROLE {role} CONNECTION LIMIT …`)")),
            (row.get("of_database"), "the database (`ALTER DATABASE … CONNECTION LIMIT …`)".to_owned()),
            (row.get("of_server"), "the server (`max_connections`)".to_owned()),
        ];
        let Some((limit, owner)) = bounds.into_iter().filter(|(limit, _)| *limit >= 0).min() else {
            return Ok(());
        };
        let least = limits::CONNECTIONS_MIN;
        if limit < i64::from(least) {
            return Err(self.unfit(format!(
                "{owner} allows {limit} connections at a time, and a process that runs projections needs at least \
                 {least}: allow it as many for each such process"
            )));
        }
        if limit < i64::from(wanted) {
            tracing::warn!(
                limit,
                wanted,
                "{owner} allows fewer connections than this process may use: it gets along with those that it is given"
            );
        }
        Ok(())
    }

    async fn check_migrated(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let sql =
            statement(format!("SELECT coalesce(max(version), 0) FROM {MIGRATIONS_TABLE} WHERE success"));
        let found: i64 = match sqlx::query_scalar(sql).fetch_one(connection).await {
            Ok(found) => found,
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

    /// Checks the events table, which may be another program's.
    async fn check_events(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let columns = sqlx::query_scalar(self.sql.events_columns.clone()).fetch_all(&mut *connection).await;
        let columns: Vec<String> = columns.map_err(|error| self.failed(error))?;
        let missing: Vec<&str> =
            EVENT_COLUMNS.into_iter().filter(|column| !columns.iter().any(|found| found == column)).collect();
        let table = &self.names.tables().events;
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
    pub(super) async fn create_tables(&self) -> Result<(), ConnectError> {
        let failed = |error: MigrateError| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                ConnectError::Newer { store: self.name.clone() }
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.failed(error),
            other => ConnectError::Migration { store: self.name.clone(), source: other.into() },
        };
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        // A table that exists needs no right to make it.
        if !self.is_migrated(&mut connection).await? {
            let mut migrations = Migrator { migrations: MIGRATIONS.migrations.clone(), ..Migrator::DEFAULT };
            migrations.dangerous_set_table_name(MIGRATIONS_TABLE);
            if !self.exists(&mut connection, &self.sql.schema_exists, "kennel").await? {
                migrations.create_schema("kennel");
            }
            // One process at a time, by a lock that ends with the transaction: one of the session would stay behind on a
            // session that is shared.
            migrations.set_locking(false);
            let mut tx = connection.begin().await.map_err(|error| self.failed(error))?;
            let quiet = sqlx::raw_sql("SET LOCAL client_min_messages = warning");
            tx.execute(quiet).await.map_err(|error| self.failed(error))?;
            let lock = sqlx::query(self.sql.lock_catalog.clone()).execute(&mut *tx).await;
            lock.map_err(|error| self.failed(error))?;
            migrations.run_direct(None, &mut *tx, false).await.map_err(failed)?;
            tx.commit().await.map_err(|error| self.failed(error))?;
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
        let applied: Vec<(i64, Vec<u8>)> =
            rows.iter().map(|row| (row.get("version"), row.get("checksum"))).collect();
        let is_applied = |(version, checksum): &(i64, Vec<u8>)| {
            MIGRATIONS.iter().any(|known| known.version == *version && *known.checksum == **checksum)
        };
        Ok(applied.len() == MIGRATIONS.iter().count() && applied.iter().all(is_applied))
    }

    /// Creates those tables of the log that do not exist.
    async fn create_log(&self, connection: &mut PgConnection) -> Result<(), ConnectError> {
        let tables = self.names.tables();
        let has_events = self.exists(connection, &self.sql.table_exists, &tables.events.quoted()).await?;
        if !has_events {
            self.execute_all(connection, include_str!("../../sql/postgres/events_create.sql")).await?;
        }
        let heads = &tables.aggregate_heads;
        if self.exists(connection, &self.sql.table_exists, &heads.quoted()).await? {
            return Ok(());
        }
        match self.execute_all(connection, include_str!("../../sql/postgres/heads_create.sql")).await {
            // A process that follows a log that others write does not need it.
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
    pub(super) async fn create_trigger(&self) -> Result<(), ConnectError> {
        let mut connection = self.pool.acquire().await.map_err(|error| self.failed(error))?;
        self.execute_all(&mut connection, include_str!("../../sql/postgres/notify_install.sql")).await
    }

    /// Executes several statements in one transaction; one process at a time.
    async fn execute_all(&self, connection: &mut PgConnection, template: &str) -> Result<(), ConnectError> {
        let run = async {
            let mut tx = connection.begin().await?;
            sqlx::query(self.sql.lock_catalog.clone()).execute(&mut *tx).await?;
            tx.execute(sqlx::raw_sql(self.names.fill(template))).await?;
            tx.commit().await
        };
        run.await.map_err(|error| self.failed(error))
    }
}
