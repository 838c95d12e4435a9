//! The event log. How it is read and written differs between the databases, so this only hands over.

use async_trait::async_trait;
use kennel_core::event::NewEvent;
use kennel_core::port::{Appended, EventSource, Horizon, Page, ReadQuery, StoreError};

use crate::backend::Backend;
use crate::store::Store;

#[async_trait]
impl EventSource for Store {
    async fn horizon(&self) -> Result<Horizon, StoreError> {
        match self.backend() {
            // Writers take turns and positions are given out under the write lock, so what is visible is
            // complete.
            Backend::Sqlite(sqlite) => {
                let head = sqlite.head().await?;
                Ok(Horizon { position: head, head, blockers: Vec::new() })
            }
            Backend::Postgres(postgres) => postgres.horizon().await,
        }
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.read(&query).await,
            Backend::Postgres(postgres) => postgres.read(&query).await,
        }
    }

    async fn hint(&self) {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.watch.next().await,
            Backend::Postgres(postgres) => postgres.listen.next().await,
        }
    }

    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.append(events).await,
            Backend::Postgres(postgres) => postgres.append(events).await,
        }
    }
}
