//! Finds out what stands between this process and the server. A proxy that pools transactions gives each transaction
//! whichever session of the server is free. Then nothing may be left on a session, locks of a session show nothing,
//! no process can listen, and prepared statements work only if the proxy keeps them for each client.

use sqlx::{Executor as _, PgConnection, Row as _};

use crate::error::is_lost_statement;
use crate::sql::statement;

/// To whom the sessions of the server belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// Each connection has its own, for as long as it lasts.
    Own,
    /// Each transaction has whichever is free. Prepared statements are kept.
    Shared,
    /// The same, and prepared statements are not kept.
    SharedWithoutStatements,
    /// Each statement has whichever is free.
    OfStatements,
}

/// Looks at two connections, or at one if a second cannot be had.
pub(crate) async fn examine(
    first: &mut PgConnection,
    second: Option<&mut PgConnection>,
) -> Result<Sessions, sqlx::Error> {
    match names_are_kept(first).await {
        // A proxy that keeps statements gives them names of its own: whatever happens around us, this shows it.
        Ok(false) => return transactions(first).await,
        Ok(true) => {}
        Err(error) if is_lost_statement(&error) => return Ok(Sessions::SharedWithoutStatements),
        Err(error) => return Err(error),
    }
    let Some(second) = second else { return Ok(Sessions::Own) };
    // Sessions that belong to a connection never change, and no two have the same. The order finds out those who
    // give the session that was free last as well as those who give the one that was free first.
    let (mine, others) = (session_of(first).await?, session_of(second).await?);
    let kept = mine != others
        && session_of(first).await? == mine
        && session_of(first).await? == mine
        && session_of(second).await? == others;
    Ok(if kept { Sessions::Own } else { Sessions::SharedWithoutStatements })
}

/// Whether the server knows prepared statements by the names that they are given here.
async fn names_are_kept(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // It finds itself, by its text.
    const ASK: &str = "SELECT count(*) FROM pg_prepared_statements \
        WHERE statement LIKE '%the name that kennel gave to this%' AND name LIKE 'sqlx%'";
    let found: i64 = sqlx::query_scalar(statement(ASK.to_owned())).fetch_one(connection).await?;
    Ok(found > 0)
}

/// Whether transactions are left whole.
async fn transactions(connection: &mut PgConnection) -> Result<Sessions, sqlx::Error> {
    match connection.execute(sqlx::raw_sql(statement("BEGIN".to_owned()))).await {
        Ok(_) => {}
        Err(sqlx::Error::Database(_)) => return Ok(Sessions::OfStatements),
        Err(error) => return Err(error),
    }
    connection.execute(sqlx::raw_sql(statement("COMMIT".to_owned()))).await?;
    Ok(Sessions::Shared)
}

/// In one message, so that it needs no prepared statement.
async fn session_of(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let ask = statement("SELECT pg_backend_pid()::text AS session".to_owned());
    connection.fetch_one(sqlx::raw_sql(ask)).await?.try_get("session")
}
