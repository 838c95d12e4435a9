//! Where the tables of the event log are: looked up once, when a store is opened, so that every statement names them
//! with their schema. A search path may find another table a moment later, because a schema appeared in front.

use sqlx::{PgConnection, Row as _};

use crate::opening::Mode;
use crate::sql::{EventTables, TableName};

/// Why the tables cannot be named.
pub(super) enum Unclear {
    Unfit(String),
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Unclear {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// The tables, with their schemas. What does not exist has the one that `kennel migrate` would make it in; for other
/// commands it keeps the name that it was given.
pub(super) async fn find(
    connection: &mut PgConnection,
    wanted: &EventTables,
    mode: Mode,
) -> Result<EventTables, Unclear> {
    let events = find_events(&mut *connection, &wanted.events, mode).await?;
    let aggregate_heads = find_heads(connection, &wanted.aggregate_heads, events.schema(), mode).await?;
    Ok(EventTables { events, aggregate_heads })
}

async fn find_events(
    connection: &mut PgConnection,
    wanted: &TableName,
    mode: Mode,
) -> Result<TableName, Unclear> {
    if wanted.schema().is_some() {
        return Ok(wanted.clone());
    }
    let found = visible(&mut *connection, wanted, None).await?;
    let tables: Vec<&String> = found.iter().filter(|(_, is_table)| *is_table).map(|(name, _)| name).collect();
    match (tables.as_slice(), found.first()) {
        ([schema], _) => return Ok(wanted.in_schema(schema)),
        // Nothing but a view: the check of the event log reports why it is unfit.
        ([], Some((schema, _))) => return Ok(wanted.in_schema(schema)),
        ([], None) => {}
        ([first, second, ..], _) => {
            return Err(Unclear::Unfit(format!(
                "`{wanted}` may be {} or {}: name the one that is meant with its schema, as `table` in `[events]` of \
                 kennel.toml",
                wanted.in_schema(first),
                wanted.in_schema(second)
            )));
        }
    }
    if let Some(schema) = elsewhere(&mut *connection, wanted).await? {
        return Err(Unclear::Unfit(format!(
            "no schema on the search path of its user has a table {wanted}, but there is {}: name the one that is meant \
             with its schema, as `table` in `[events]` of kennel.toml; `kennel migrate` makes it if it does not exist",
            wanted.in_schema(&schema)
        )));
    }
    made_in(connection, wanted, None, mode).await
}

/// The heads belong to the events: their schema comes first.
async fn find_heads(
    connection: &mut PgConnection,
    wanted: &TableName,
    beside: Option<&str>,
    mode: Mode,
) -> Result<TableName, Unclear> {
    if wanted.schema().is_some() {
        return Ok(wanted.clone());
    }
    let found = visible(&mut *connection, wanted, beside).await?;
    match found.into_iter().find(|(_, is_table)| *is_table) {
        Some((schema, _)) => Ok(wanted.in_schema(&schema)),
        None => made_in(connection, wanted, beside, mode).await,
    }
}

/// The schemas that have something of this name, first those that win, and whether it is a table.
async fn visible(
    connection: &mut PgConnection,
    wanted: &TableName,
    first: Option<&str>,
) -> Result<Vec<(String, bool)>, sqlx::Error> {
    let query = sqlx::query(include_str!("../../sql/postgres/log_find.sql")).bind(wanted.name()).bind(first);
    let rows = query.fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("schema")?, row.try_get("is_table")?))).collect()
}

/// A schema that is not on the search path and has an event log of this name.
async fn elsewhere(connection: &mut PgConnection, wanted: &TableName) -> Result<Option<String>, sqlx::Error> {
    let query = sqlx::query_scalar(include_str!("../../sql/postgres/log_elsewhere.sql")).bind(wanted.name());
    query.fetch_optional(connection).await
}

/// The table in the schema where it will be made.
async fn made_in(
    connection: &mut PgConnection,
    wanted: &TableName,
    first: Option<&str>,
    mode: Mode,
) -> Result<TableName, Unclear> {
    if mode != Mode::Migrate {
        return Ok(wanted.clone());
    }
    let query = sqlx::query_scalar(include_str!("../../sql/postgres/log_homes.sql")).bind(first);
    let schema: Option<String> = query.fetch_optional(connection).await?;
    match schema {
        Some(schema) => Ok(wanted.in_schema(&schema)),
        None => Err(Unclear::Unfit(format!(
            "there is no table {wanted}, and the search path of its user has no schema to make one in: name it with its \
             schema in `[events]` of kennel.toml"
        ))),
    }
}
