//! Notifications of new events. Appends of this process announce themselves; those of other processes
//! show in `PRAGMA data_version`, which changes with every commit of another connection.
//!
//! Commits of this process's projections change it too, so a change only counts when the head of the
//! log has moved: otherwise every commit would wake all waiters for nothing.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlStr, SqliteConnection};
use tokio::sync::Mutex;

use crate::notifications::Notifications;

/// How often to look. Looking costs some 20 microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Watch {
    options: SqliteConnectOptions,
    head: SqlStr,
    notifications: Notifications,
    eye: Mutex<Option<Eye>>,
}

#[derive(Debug)]
struct Eye {
    connection: SqliteConnection,
    version: i64,
    head: i64,
}

impl Watch {
    pub(crate) fn new(options: SqliteConnectOptions, head: SqlStr) -> Self {
        Self { options, head, notifications: Notifications::default(), eye: Mutex::new(None) }
    }

    /// Announces an append of this process.
    pub(crate) fn announce(&self) {
        self.notifications.give();
    }

    /// Resolves at the next notification of new events.
    pub(crate) async fn next(&self) {
        tokio::select! {
            () = self.notifications.next() => {}
            () = self.look() => {
                // For the others who wait; this caller has had the notification.
                self.notifications.give();
                self.notifications.next().await;
            }
        }
    }

    /// Stops watching.
    pub(crate) async fn close(&self) {
        // A caller that is looking holds the lock for good; then the connection ends with the
        // process.
        let eye = self.eye.try_lock().ok().and_then(|mut eye| eye.take());
        if let Some(eye) = eye {
            // An error is of no consequence: nothing was written by it.
            let _ = eye.connection.close().await;
        }
    }

    /// Leaves its connection open for good.
    pub(crate) fn forget(&mut self) {
        std::mem::forget(self.eye.get_mut().take());
    }

    /// Returns once another process has appended. Only one caller looks; the others wait for it to
    /// announce what it sees.
    async fn look(&self) {
        let mut eye = self.eye.lock().await;
        loop {
            let seen = match eye.as_mut() {
                Some(open) => open.has_news(&self.head).await,
                None => {
                    *eye = Eye::open(&self.options, &self.head).await.ok();
                    Ok(false)
                }
            };
            match seen {
                Ok(true) => return,
                Ok(false) => {}
                Err(_) => *eye = None,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Eye {
    async fn open(options: &SqliteConnectOptions, head: &SqlStr) -> Result<Self, sqlx::Error> {
        let mut eye = Self { connection: options.connect().await?, version: 0, head: 0 };
        eye.version = number(&mut eye.connection, &SqlStr::from_static("PRAGMA data_version")).await?;
        eye.head = number(&mut eye.connection, head).await?;
        Ok(eye)
    }

    async fn has_news(&mut self, head: &SqlStr) -> Result<bool, sqlx::Error> {
        let version = number(&mut self.connection, &SqlStr::from_static("PRAGMA data_version")).await?;
        if version == self.version {
            return Ok(false);
        }
        self.version = version;
        let head = number(&mut self.connection, head).await?;
        Ok(head > std::mem::replace(&mut self.head, head))
    }
}

async fn number(connection: &mut SqliteConnection, sql: &SqlStr) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(sql.clone()).fetch_one(connection).await
}
