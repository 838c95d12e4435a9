//! Makes sure that no caller waits for events that are never read: positions begin at 1, and a read model that has
//! not begun stands at 0, so an event at 0 or below would be skipped by every worker, silently.

use std::time::Duration;

use kennel_core::port::StoreError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::error::Doing as _;
use crate::opening::ConnectError;
use crate::session::Row as _;
use crate::store::SqlStore;

/// How often to look. Such an event is a mistake of its writer, and no less one a second later.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a caller last looked, and the lowest position below 1 that there was.
#[derive(Debug, Default)]
pub(crate) struct Positions(Mutex<Option<(Instant, Option<i64>)>>);

impl<B: Backend> SqlStore<B> {
    /// Rejects a log with an event that would never be read. Looks once a second at most.
    pub(crate) async fn check_positions(&self) -> Result<(), StoreError> {
        let mut known = self.positions.0.lock().await;
        let lowest = match *known {
            Some((at, lowest)) if at.elapsed() < LOOK_EVERY => lowest,
            _ => {
                let lowest = self.lowest_below_one().await?;
                *known = Some((Instant::now(), lowest));
                lowest
            }
        };
        match lowest {
            None => Ok(()),
            Some(lowest) => Err(StoreError::Invalid { message: invalid_log(lowest) }),
        }
    }

    /// The same, for a store that is being opened.
    pub(crate) async fn open_checked(self, name: impl Fn() -> String) -> Result<Self, ConnectError> {
        match self.check_positions().await {
            Ok(()) => Ok(self),
            Err(StoreError::Invalid { message }) => {
                Err(ConnectError::Unfit { store: name(), reason: message })
            }
            Err(error) => Err(ConnectError::Unavailable { store: name(), source: error.into() }),
        }
    }

    async fn lowest_below_one(&self) -> Result<Option<i64>, StoreError> {
        let doing = "looking for events below position 1";
        let row = self.backend.row(&self.sql.events_below, &[], doing).await?;
        row.map(|row| row.int_or_null("lowest")).transpose().doing(doing).map(Option::flatten)
    }
}

fn invalid_log(lowest: i64) -> String {
    format!(
        "the event log holds an event at position {lowest}: positions begin at 1, so it would never be handled; move it to \
         a position above all others, or remove it"
    )
}
