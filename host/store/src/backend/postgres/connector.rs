//! Makes connections: to the first of the named servers that is of use, within a bounded time, with the settings that
//! each session has. Nothing of it shows a password.

use std::fmt;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, SqlStr};

use crate::sql::statement;
use crate::url::{PostgresUri, ServerUri};

/// How long one server may take to accept a connection, unless the URL says otherwise.
const CONNECT_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Connector {
    servers: Vec<Server>,
    /// Whether only a server that accepts writes is of use.
    writable: bool,
    connect_max: Duration,
    session: Option<SqlStr>,
    /// The server that was of use last.
    preferred: AtomicUsize,
}

#[derive(Clone)]
struct Server {
    name: String,
    options: PgConnectOptions,
}

/// Not derived: the options hold the password and the key.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers.iter().map(|server| &server.name)).finish()
    }
}

impl Connector {
    pub(crate) fn new(uri: &PostgresUri) -> Result<Self, sqlx::Error> {
        let server = |server: &ServerUri| {
            // Poolers reject a parameter that they do not know, and nothing here is read as a float.
            let options = PgConnectOptions::from_str(&server.uri)?.disable_statement_logging();
            let options = options.extra_float_digits(None);
            let named = options.get_application_name().is_some();
            let options = if named { options } else { options.application_name("kennel") };
            Ok(Server { name: server.name.clone(), options })
        };
        let servers = uri.servers().iter().map(server).collect::<Result<Vec<_>, sqlx::Error>>()?;
        let seconds = uri.connect_timeout_seconds();
        Ok(Self {
            servers,
            writable: uri.writable(),
            connect_max: seconds.map_or(CONNECT_MAX, |seconds| Duration::from_secs(u64::from(seconds))),
            session: None,
            preferred: AtomicUsize::new(0),
        })
    }

    /// With these statements run on each new connection.
    pub(crate) fn with_session(self, session: Option<SqlStr>) -> Self {
        Self { session, ..self }
    }

    /// How to reach the server that was of use last, for a library that connects by itself.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.servers[self.preferred.load(Ordering::Relaxed) % self.servers.len()].options.clone()
    }

    /// A new connection. Each server is tried in turn, beginning with the one that was of use last.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failures = Vec::new();
        for offset in 0..self.servers.len() {
            let index = (first + offset) % self.servers.len();
            let server = &self.servers[index];
            let reached = tokio::time::timeout(self.connect_max, self.reach(server)).await;
            let silent = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
            match reached.unwrap_or_else(|_| Err(silent())) {
                Ok(connection) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) => failures.push((&server.name, error)),
            }
        }
        Err(combined(failures))
    }

    /// Whether only a server that accepts writes is of use.
    pub(crate) fn writable(&self) -> bool {
        self.writable
    }

    /// Whether the server answers on a connection, and is one that is of use.
    pub(crate) async fn is_of_use(&self, connection: &mut PgConnection) -> bool {
        match self.writable {
            true => accepts_writes(connection).await.unwrap_or(false),
            false => connection.ping().await.is_ok(),
        }
    }

    async fn reach(&self, server: &Server) -> Result<PgConnection, sqlx::Error> {
        let mut connection = server.options.connect().await?;
        if self.writable && !accepts_writes(&mut connection).await? {
            let _ = connection.close().await;
            return Err(not_of_use("it does not accept writes: it is a standby, or read-only".to_owned()));
        }
        self.prepare(&mut connection).await?;
        Ok(connection)
    }

    /// Gives a connection the settings of a session.
    pub(crate) async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match &self.session {
            Some(session) => connection.execute(sqlx::raw_sql(session.clone())).await.map(|_| ()),
            None => Ok(()),
        }
    }
}

/// Asks in one message that leaves no statement behind on the session.
async fn accepts_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ask = "SELECT (NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off')::text AS accepts";
    let row = connection.fetch_one(sqlx::raw_sql(statement(ask.to_owned()))).await?;
    Ok(row.try_get::<&str, _>("accepts")? == "true")
}

fn not_of_use(reason: String) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(reason))
}

/// One error for all servers. The message of a server says more than that another does not answer.
fn combined(mut failures: Vec<(&String, sqlx::Error)>) -> sqlx::Error {
    let said = failures.iter().position(|(_, error)| error.as_database_error().is_some());
    if let Some(index) = said.or((failures.len() == 1).then_some(0)) {
        return failures.swap_remove(index).1;
    }
    let each: Vec<String> = failures.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    not_of_use(format!("none of the named servers is of use: {}", each.join("; ")))
}
