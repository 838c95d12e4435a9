//! Views that people read, replaced while they read them.
//!
//! To replace a view, no session may be reading it. A reader of several in one statement takes them one after the
//! other, in whatever order; so a transaction that wants them all may have the first while a reader has the
//! second and waits for the first. Both would wait for each other. Therefore all are asked for in one message,
//! for a short time only, and when they cannot be had all are given back, so that readers get on, and asked for
//! again.

use super::Tx;
use crate::backend::View;
use crate::sql::quoted_path;
use crate::sql::statement;

/// How long readers may have to wait for a cutover that waits for others, each time.
const WAIT_MS: u32 = 50;
/// Together with the wait: how long it is tried.
pub(super) const ATTEMPTS: usize = 10;

/// Makes views in place of those that there are, in one attempt or several.
pub(super) async fn create_all(tx: &mut Tx, views: &[View], attempts_max: usize) -> Result<(), sqlx::Error> {
    let mut creates: Vec<String> = views.iter().map(create).collect();
    let mut attempts = 1;
    while let Err(error) = try_all(tx, &creates).await {
        sqlx::raw_sql("ROLLBACK TO SAVEPOINT views").execute(&mut **tx).await?;
        if attempts == attempts_max || !is_in_use(&error) {
            return Err(error);
        }
        attempts += 1;
        // Another order meets other readers.
        creates.rotate_left(1);
    }
    Ok(())
}

async fn try_all(tx: &mut Tx, creates: &[String]) -> Result<(), sqlx::Error> {
    if creates.is_empty() {
        return Ok(());
    }
    let (creates, wait) = (creates.join("; "), WAIT_MS);
    // What the transaction does next may wait as long as it likes, unless it is limited anew.
    let all = format!(
        "SAVEPOINT views; SET LOCAL lock_timeout = {wait}; {creates}; RELEASE SAVEPOINT views; \
         SET LOCAL lock_timeout TO DEFAULT"
    );
    sqlx::raw_sql(statement(all)).execute(&mut **tx).await.map(|_| ())
}

fn create(View { name, table }: &View) -> String {
    let template = match table {
        Some(_) => include_str!("../../sql/postgres/view_create.sql"),
        None => include_str!("../../sql/postgres/view_empty.sql"),
    };
    let table = table.as_deref().map(quoted_path).unwrap_or_default();
    template.trim().replace("{view}", &quoted_path(name)).replace("{table}", &table)
}

/// Whether the lock of a view could not be had in time.
pub(super) fn is_in_use(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03"))
}
