//! One way to speak to both databases, so that logic which is the same exists once: statements with
//! positional parameters in, rows with named columns out. Hot paths that differ go to the
//! backends instead.

use sqlx::SqlStr;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

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

/// A row of either database, read by the names of its columns.
pub(crate) trait Row: Send + Sync {
    fn int(&self, column: &str) -> Result<i64, sqlx::Error>;
    fn int_or_null(&self, column: &str) -> Result<Option<i64>, sqlx::Error>;
    fn text(&self, column: &str) -> Result<String, sqlx::Error>;
    fn text_or_null(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
    fn bytes(&self, column: &str) -> Result<Vec<u8>, sqlx::Error>;
}

macro_rules! row {
    ($row:ty: $($name:ident $type:ty,)*) => {
        impl Row for $row {
            $(fn $name(&self, column: &str) -> Result<$type, sqlx::Error> {
                sqlx::Row::try_get(self, column)
            })*
        }
    };
    ($($row:ty),*) => {
        $(row! { $row: int i64, int_or_null Option<i64>, text String, text_or_null Option<String>, bytes Vec<u8>, })*
    };
}
row!(SqliteRow, PgRow);

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

/// A transaction. Dropped without a commit, it is rolled back.
pub(crate) trait Tx: Send + Sized {
    type Row: Row;

    /// Executes a statement and says how many rows it touched.
    fn execute(
        &mut self,
        sql: &SqlStr,
        args: &[Arg<'_>],
    ) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// The rows of a statement.
    fn rows(
        &mut self,
        sql: &SqlStr,
        args: &[Arg<'_>],
    ) -> impl Future<Output = Result<Vec<Self::Row>, sqlx::Error>> + Send;

    /// The only row of a statement, if there is one.
    fn row(
        &mut self,
        sql: &SqlStr,
        args: &[Arg<'_>],
    ) -> impl Future<Output = Result<Option<Self::Row>, sqlx::Error>> + Send {
        async { Ok(self.rows(sql, args).await?.into_iter().next()) }
    }

    fn commit(self) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    fn rollback(self) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Implements [`Tx`] for the transactions of a database, which lead to their connection.
macro_rules! transaction {
    ($tx:ty, $row:ty) => {
        impl $crate::session::Tx for $tx {
            type Row = $row;

            async fn execute(&mut self, sql: &SqlStr, args: &[Arg<'_>]) -> Result<u64, sqlx::Error> {
                Ok(bound!(sql, args).execute(&mut **self).await?.rows_affected())
            }

            async fn rows(&mut self, sql: &SqlStr, args: &[Arg<'_>]) -> Result<Vec<$row>, sqlx::Error> {
                bound!(sql, args).fetch_all(&mut **self).await
            }

            async fn commit(self) -> Result<(), sqlx::Error> {
                <$tx>::commit(self).await
            }

            async fn rollback(self) -> Result<(), sqlx::Error> {
                <$tx>::rollback(self).await
            }
        }
    };
}
pub(crate) use transaction;
