//! The event log. How it is read and written differs between the databases, so this passes on most of it.

use async_trait::async_trait;
use kennel_core::event::NewEvent;
use kennel_core::port::{Appended, Appender, HighWaterMark, LogReader, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::witness::Witness;

use crate::backend::Backend;
use crate::error::Doing as _;
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Row as _};
use crate::store::SqlStore;

#[async_trait]
impl<B: Backend> LogReader for SqlStore<B> {
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        let high_water_mark = self.backend.high_water_mark().await?;
        // A log that cannot be followed at all says so first.
        self.check_positions().await?;
        self.catalog.in_incarnation(high_water_mark.incarnation);
        Ok(high_water_mark)
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        // Asked for before the page is read: a log that is set back in between is found out when the checkpoint is
        // moved, because the last event is another one then.
        let end = query.end();
        let last = if end < query.upto { self.last_of_page(end).await? } else { None };
        let mut page = self.backend.read(&query).await?;
        if page.events.is_empty() && page.unreadable.is_none() && page.reached < query.upto {
            page.reached = self.beyond_gap(page.reached, query.upto).await?;
        }
        if page.reached >= end && page.reached < query.upto {
            page.witness = last;
        }
        Ok(page)
    }

    async fn notification(&self) {
        self.backend.notification().await;
    }
}

#[async_trait]
impl<B: Backend> Appender for SqlStore<B> {
    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        self.backend.append(events).await
    }
}

impl<B: Backend> SqlStore<B> {
    async fn last_of_page(&self, upto: Position) -> Result<Option<Witness>, StoreError> {
        let doing = "looking for the last event of a page";
        let row = self.backend.row(&self.sql.events_last, &[Arg::Int(signed(upto.get()))], doing).await?;
        row.map_or(Ok(None), |row| row::witness(&row))
    }

    /// Up to where there is nothing at all after `reached`: gaps may be wide.
    async fn beyond_gap(&self, reached: Position, upto: Position) -> Result<Position, StoreError> {
        let doing = "looking for the next event";
        let next = self.backend.row(&self.sql.events_next, &[Arg::Int(signed(reached.get()))], doing).await?;
        let next = next.map(|row| row.int_or_null("next")).transpose().doing(doing)?.flatten();
        let before = next.map_or(upto, |next| Position::new(unsigned(next).saturating_sub(1)));
        Ok(before.clamp(reached, upto))
    }
}
