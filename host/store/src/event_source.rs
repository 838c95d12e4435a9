//! The event log. How it is read and written differs between the databases, so this hands over most of it.

use async_trait::async_trait;
use kennel_core::event::NewEvent;
use kennel_core::port::{Appended, EventSource, Horizon, Page, ReadQuery, StoreError};
use kennel_core::position::Position;

use crate::backend::Backend;
use crate::error::Doing as _;
use crate::row::{signed, unsigned};
use crate::session::Arg;
use crate::store::Store;

#[async_trait]
impl EventSource for Store {
    async fn horizon(&self) -> Result<Horizon, StoreError> {
        self.check_positions().await?;
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
        let mut page = match self.backend() {
            Backend::Sqlite(sqlite) => sqlite.read(&query).await?,
            Backend::Postgres(postgres) => postgres.read(&query).await?,
        };
        if page.events.is_empty() && page.unreadable.is_none() && page.reached < query.upto {
            page.reached = self.beyond_gap(page.reached, query.upto).await?;
        }
        Ok(page)
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

impl Store {
    /// Up to where there is nothing at all after `reached`: gaps may be wide.
    async fn beyond_gap(&self, reached: Position, upto: Position) -> Result<Position, StoreError> {
        let doing = "looking for the next event";
        let next =
            self.backend().row(&self.sql().events_next, &[Arg::Int(signed(reached.get()))], doing).await?;
        let next = next.map(|row| row.int_or_null(0)).transpose().doing(doing)?.flatten();
        let before = next.map_or(upto, |next| Position::new(unsigned(next).saturating_sub(1)));
        Ok(before.clamp(reached, upto))
    }
}
