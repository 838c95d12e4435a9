//! Sorts database errors into the three kinds that callers distinguish, and retries what only the lock of another
//! transaction blocked. The only place that looks at error codes, except where a code decides the outcome of a commit,
//! or whether a view is in use.

use std::time::Duration;

use kennel_core::port::{BoxError, StoreError};
use tokio::time::Instant;

/// Why a proxy that pools transactions is of no use.
pub(crate) const KEEPS_NO_STATEMENTS: &str = "it is reached through a pooler that gives each transaction another \
    session of the server and does not keep prepared statements: use PgBouncer 1.21 or later with \
    `max_prepared_statements` above 0, have it pool by session, or connect to the server itself";

/// Adds what was being done to a database error.
pub(crate) trait Doing<T> {
    fn doing(self, what: &str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, what: &str) -> Result<T, StoreError> {
        self.map_err(|error| classify(error, what))
    }
}

/// The error of doing `what`.
pub(crate) fn classify(error: sqlx::Error, what: &str) -> StoreError {
    let doing = what.to_owned();
    if is_lost_statement(&error) {
        return StoreError::Failed { doing, source: format!("{KEEPS_NO_STATEMENTS} ({error})").into() };
    }
    if is_short_of_room(&error) {
        StoreError::Unavailable { doing, source: NoRoom { source: error }.into() }
    } else if is_transient(&error) {
        StoreError::Unavailable { doing, source: error.into() }
    } else {
        StoreError::Failed { doing, source: error.into() }
    }
}

/// Whether an error says that a prepared statement is not what this connection believes it to be: there is none of
/// its name, or one that another client has prepared.
pub(crate) fn is_lost_statement(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("26000" | "42P05"))
}

/// Why nothing can be written, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("there is no room on the disk of the database; make room there, and it goes on by itself")]
struct NoRoom {
    #[source]
    source: sqlx::Error,
}

/// Whether a disk is full: SQLite's, or the server's.
fn is_short_of_room(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(&*code, "13" | "53100"))
}

/// A stored value that makes no sense.
pub(crate) fn corrupt(what: &str, found: &str) -> StoreError {
    StoreError::Failed {
        doing: format!("reading {what}"),
        source: format!("`{}` is not a valid value", kennel_core::limits::excerpt(found)).into(),
    }
}

/// What the database says if something is wrong with a row, and not with the statement or with the database: it
/// will say so again.
pub(crate) fn reason_of_row(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    error.code().is_some_and(|code| is_code_of_row(&code)).then(|| error.message().to_owned())
}

/// PostgreSQL's data exceptions, limits, constraints, exceptions of triggers, and what it finds damaged; SQLite's "too
/// big", constraints, and "datatype mismatch". That something exists already is for the caller that knows what to do
/// about it.
fn is_code_of_row(code: &str) -> bool {
    if code.len() == 5 {
        return code != "23505"
            && (["22", "23", "54"].iter().any(|class| code.starts_with(class))
                || matches!(code, "P0001" | "XX000" | "XX001" | "XX002"));
    }
    const TOO_BIG: i32 = 18;
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    const PRIMARY_KEY: i32 = 1555;
    const UNIQUE: i32 = 2067;
    code.parse::<i32>().is_ok_and(|code| {
        matches!(code & 0xff, TOO_BIG | CONSTRAINT | MISMATCH) && !matches!(code, PRIMARY_KEY | UNIQUE)
    })
}

/// Whether trying again later may help.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// Whether the database ended something before it was done, because it took longer or more than is allowed: half of
/// it may be done. Timeouts of a statement (or a request to cancel it), of a lock and of a transaction, and limits of
/// memory, of locks and of temporary files.
pub(crate) fn is_cut_short(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| matches!(&*code, "57014" | "55P03" | "25P04" | "53200" | "53400"))
}

/// As [`is_cut_short`], of an error that says what was being done.
pub(crate) fn was_cut_short(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable { source, .. } => source.downcast_ref().is_some_and(is_cut_short),
        _ => false,
    }
}

/// Whether the database has no room for more locks: trying again helps only if others hold fewer.
pub(crate) fn is_short_of_locks(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("53200"))
}

/// Tries something for up to `max` while another transaction blocks it. Between two attempts, the transactions that
/// wait for this one can run.
pub(crate) async fn while_blocked<T, F>(
    max: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let began = Instant::now();
    loop {
        match attempt().await {
            Err(StoreError::Unavailable { doing, source }) if is_blocked(&source) => {
                if began.elapsed() > max {
                    let reason = "another transaction blocks this one: nothing was changed, try again";
                    return Err(StoreError::Unavailable {
                        doing,
                        source: format!("{reason} ({source})").into(),
                    });
                }
            }
            Err(error) => return Err(advised(error)),
            done => return done,
        }
    }
}

/// Whether a lock could not be had in time, or two waited for each other: nothing was changed, and the transaction
/// that blocks will be gone.
fn is_blocked(source: &BoxError) -> bool {
    let code = source.downcast_ref::<sqlx::Error>().and_then(|error| error.as_database_error()?.code());
    code.is_some_and(|code| matches!(&*code, "55P03" | "40P01"))
}

/// The error, with what to do if there is something: a change that takes more locks than there are never succeeds.
pub(crate) fn advised(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { doing, source } if source.downcast_ref().is_some_and(is_short_of_locks) => {
            let advice = "there is no room for the locks of so many views: raise max_locks_per_transaction";
            StoreError::Failed { doing, source: format!("{advice} ({source})").into() }
        }
        other => other,
    }
}

/// SQLite's codes are decimal numbers whose low byte is the primary code; PostgreSQL's are five letters
/// or digits.
fn is_transient_code(code: &str) -> bool {
    if code.len() == 5 {
        // Connection exceptions, serialization failures and deadlocks, insufficient resources (a full disk, too little
        // memory, too many connections), errors of the system that the server runs on, and a server that is starting,
        // stopping or was asked to cancel.
        return ["08", "40", "53", "58", "57P"].iter().any(|class| code.starts_with(class))
            || matches!(code, "55P03" | "57014" | "25006" | "25P03" | "25P04");
    }
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const NO_MEMORY: i32 = 7;
    // A file system that was made read-only, because its disk fails, say.
    const READ_ONLY: i32 = 8;
    const INTERRUPTED: i32 = 9;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    const CANNOT_OPEN: i32 = 14;
    // Others were quicker to lock the log, many times in a row.
    const PROTOCOL: i32 = 15;
    code.parse::<i32>().is_ok_and(|code| {
        let transient = [BUSY, LOCKED, NO_MEMORY, READ_ONLY, INTERRUPTED, IO, FULL, CANNOT_OPEN, PROTOCOL];
        transient.contains(&(code & 0xff))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_sorted() {
        for code in [
            "5", "261", "517", "7", "8", "264", "9", "10", "778", "13", "14", "15", "08006", "40001",
            "40P01", "53000", "53100", "53200", "53300", "57014", "57P01", "57P02", "57P03", "57P04",
            "57P05", "58000", "58030", "58P01", "25006", "25P03", "55P03",
        ] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in
            ["1", "11", "18", "19", "20", "26", "2067", "23505", "42P01", "22P05", "54000", "57000", "XX001"]
        {
            assert!(!is_transient_code(code), "{code}");
        }
        for code in ["22P05", "22003", "54000", "54001", "23514", "XX000", "18", "19", "1811", "275", "20"] {
            assert!(is_code_of_row(code), "{code}");
        }
        for code in ["23505", "42P01", "42501", "40001", "57014", "53200", "1555", "2067", "5", "11", "1"] {
            assert!(!is_code_of_row(code), "{code}");
        }
    }
}
