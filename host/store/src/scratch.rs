//! A place for a store of its own beside a given one, on the same server or the same disk, for
//! measurements that must not touch the data of others.

use sqlx::{Connection as _, PgConnection};

use crate::backend::postgres::Connector;
use crate::backend::sqlite::files;
use crate::opening::ConnectError;
use crate::sql::{quoted, statement};
use crate::url::{PostgresUri, StoreUrl};

/// A place with no store yet. Nothing is left of it after [`Scratch::remove`].
#[derive(Debug)]
pub struct Scratch {
    beside: StoreUrl,
    name: String,
    url: StoreUrl,
}

impl Scratch {
    /// Makes a place called `name` beside `store`: a database on the same server, or a file in the same
    /// folder.
    pub async fn beside(store: &StoreUrl, name: &str) -> Result<Self, ConnectError> {
        let url = match store {
            StoreUrl::Sqlite(path) => {
                let path = path.with_file_name(format!("{name}.db"));
                // The file that is removed in the end must be ours.
                files::make_new(&path).map_err(|source| ConnectError::NotWritable {
                    path: path.display().to_string(),
                    source,
                })?;
                StoreUrl::Sqlite(path)
            }
            StoreUrl::Postgres(uri) => {
                let database = quoted(name);
                execute(
                    uri,
                    format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"),
                )
                .await?;
                let own = uri.with_database(name);
                check(&own, name).await?;
                StoreUrl::Postgres(own)
            }
        };
        Ok(Self { beside: store.clone(), name: name.to_owned(), url })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// Removes it with all that it holds, whichever clients are still connected.
    pub async fn remove(self) -> Result<(), ConnectError> {
        match (&self.beside, &self.url) {
            (StoreUrl::Postgres(uri), _) => {
                execute(uri, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(&self.name))).await
            }
            (_, StoreUrl::Sqlite(path)) => {
                for file in ["", "-wal", "-shm"].map(|suffix| files::beside(path, suffix)) {
                    match std::fs::remove_file(&file) {
                        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                            return Err(ConnectError::NotWritable {
                                path: file.display().to_string(),
                                source,
                            });
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            (StoreUrl::Sqlite(_), StoreUrl::Postgres(_)) => Ok(()),
        }
    }
}

/// Makes sure that the URL leads to the database that was made, and to no other: otherwise the measurement
/// would write to the data of others.
async fn check(uri: &PostgresUri, name: &str) -> Result<(), ConnectError> {
    let unavailable =
        |source: sqlx::Error| ConnectError::Unavailable { store: uri.to_string(), source: source.into() };
    let mut connection = connect(uri).await.map_err(unavailable)?;
    let found = sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut connection).await;
    let found: String = found.map_err(unavailable)?;
    close(connection).await;
    if found == name {
        return Ok(());
    }
    let reason = format!(
        "its URL leads to the database {found} whatever path is given: name the database in the path"
    );
    Err(ConnectError::Unfit { store: uri.to_string(), reason })
}

async fn connect(uri: &PostgresUri) -> Result<PgConnection, sqlx::Error> {
    Connector::new(uri)?.connect().await
}

async fn execute(uri: &PostgresUri, sql: String) -> Result<(), ConnectError> {
    let unavailable =
        |source: sqlx::Error| ConnectError::Unavailable { store: uri.to_string(), source: source.into() };
    let mut connection = connect(uri).await.map_err(unavailable)?;
    let done = sqlx::query(statement(sql)).execute(&mut connection).await;
    close(connection).await;
    done.map(|_| ()).map_err(|error| match error.as_database_error().and_then(|error| error.code()).as_deref() {
        Some("42501") => ConnectError::Unfit {
            store: uri.to_string(),
            reason: "measuring needs a database of its own beside it, and the user may not create one; allow it with \
                     `ALTER ROLE … CREATEDB` or name another user"
                .to_owned(),
        },
        _ => unavailable(error),
    })
}

/// It is no longer needed; whether it closes in good order does not matter.
async fn close(connection: PgConnection) {
    let _ = connection.close().await;
}
