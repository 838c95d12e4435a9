//! Opens a store. Here alone it is decided which database it is in.

#[cfg(test)]
mod prepared;

use crate::backend::{postgres, sqlite};
use crate::opening::{ConnectError, ConnectOptions, Mode};
use crate::store::{SqlStore, Store};
use crate::url::StoreUrl;

/// Opens the store at `url`.
pub async fn connect(url: &StoreUrl, options: &ConnectOptions) -> Result<Store, ConnectError> {
    match url {
        StoreUrl::Sqlite(path) => {
            let sqlite = Box::pin(sqlite::open(path, options)).await?;
            let names = sqlite.names.clone();
            let store = SqlStore::new(sqlite, &names);
            Ok(Store::new(store.open_checked(|| format!("sqlite:{}", path.display())).await?))
        }
        StoreUrl::Postgres(uri) => {
            let postgres = Box::pin(postgres::open(uri, options)).await?;
            let names = postgres.names.clone();
            let store = SqlStore::new(postgres, &names);
            // The table may not be there yet.
            if options.mode == Mode::Migrate {
                Ok(Store::new(store))
            } else {
                Ok(Store::new(store.open_checked(|| uri.to_string()).await?))
            }
        }
    }
}
