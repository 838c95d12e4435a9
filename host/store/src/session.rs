//! One way to speak to both databases, so that logic which is the same exists once: statements with
//! positional parameters in, rows with named columns out. Hot paths that differ go to the
//! backends instead.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlStr, Sqlite, Transaction};

use crate::backend::postgres;

/// What a write has to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Acknowledged to a client: must survive a power loss.
    Acknowledged,
    /// May be lost with everything after it, because it follows again from what was acknowledged.
    Replayable,
}

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    Int(i64),
    IntOrNull(Option<i64>),
    Text(&'a str),
    TextOrNull(Option<&'a str>),
    Bytes(&'a [u8]),
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! column {
    ($name:ident, $type:ty) => {
        pub(crate) fn $name(&self, column: &str) -> Result<$type, sqlx::Error> {
            match self {
                Self::Sqlite(row) => row.try_get(column),
                Self::Postgres(row) => row.try_get(column),
            }
        }
    };
}

impl Row {
    column!(int, i64);
    column!(int_or_null, Option<i64>);
    column!(text, String);
    column!(text_or_null, Option<String>);
    column!(bytes, Vec<u8>);
}

/// Binds `args` to a statement of whichever database the executor belongs to.
macro_rules! bound {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query(sqlx::SqlStr::clone($sql));
        for arg in $args {
            query = match *arg {
                Arg::Int(value) => query.bind(value),
                Arg::IntOrNull(value) => query.bind(value),
                Arg::Text(value) => query.bind(value),
                Arg::TextOrNull(value) => query.bind(value),
                Arg::Bytes(value) => query.bind(value),
            };
        }
        query
    }};
}
pub(crate) use bound;

/// Declares where the columns of a statement are in its rows. By name each of them costs a look into a table, which is
/// too much for thousands of rows: so they are looked up once, in the first row of a result.
macro_rules! ordinals {
    ($(#[$doc:meta])* $columns:ident: $($column:ident)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $columns { $(pub(super) $column: usize,)* }

        impl $columns {
            /// Those of the result that `row` belongs to, remembered in `known` from its first row on.
            pub(super) fn of<R>(known: &mut Option<Self>, row: &R) -> Result<Self, sqlx::Error>
            where
                R: sqlx::Row,
                for<'a> &'a str: sqlx::ColumnIndex<R>,
            {
                use sqlx::Column as _;
                if let Some(known) = known {
                    return Ok(*known);
                }
                Ok(*known.insert(Self { $($column: row.try_column(stringify!($column))?.ordinal(),)* }))
            }
        }
    };
}
pub(crate) use ordinals;

/// A transaction of either database. Dropped without a commit, it is rolled back.
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(postgres::Tx),
}

impl Tx {
    /// Executes a statement and says how many rows it touched.
    pub(crate) async fn execute(&mut self, sql: &SqlStr, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
        match self {
            Self::Sqlite(tx) => Ok(bound!(sql, args).execute(&mut **tx).await?.rows_affected()),
            Self::Postgres(tx) => Ok(bound!(sql, args).execute(&mut **tx).await?.rows_affected()),
        }
    }

    /// The rows of a statement.
    pub(crate) async fn rows(&mut self, sql: &SqlStr, args: &[Arg<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        match self {
            Self::Sqlite(tx) => {
                Ok(bound!(sql, args).fetch_all(&mut **tx).await?.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(tx) => {
                Ok(bound!(sql, args).fetch_all(&mut **tx).await?.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The only row of a statement, if there is one.
    pub(crate) async fn row(&mut self, sql: &SqlStr, args: &[Arg<'_>]) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }
}
