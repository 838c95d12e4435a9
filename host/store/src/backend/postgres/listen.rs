//! Signs of new events: appends of this process, and notifications of any other. One task listens for
//! the whole process, from the first time that somebody waits.
//!
//! Signs may be lost: whoever waits also looks by itself from time to time. So a connection that breaks
//! is no error; it is made again.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::task::JoinHandle;

use crate::signs::Signs;

/// The channel that appends are announced on, by Kennel and by the trigger that it installs.
const CHANNEL: &str = "kennel_events";
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Listen {
    /// A pool of one, kept open as long as the store, lets the listener reconnect by itself.
    pool: PgPool,
    signs: Arc<Signs>,
    task: OnceLock<JoinHandle<()>>,
}

impl Listen {
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        Self { pool, signs: Arc::default(), task: OnceLock::new() }
    }

    /// Announces an append of this process.
    pub(crate) fn announce(&self) {
        self.signs.give();
    }

    /// Resolves at the next sign of new events.
    pub(crate) async fn next(&self) {
        self.task.get_or_init(|| tokio::spawn(listen(self.pool.clone(), Arc::clone(&self.signs))));
        self.signs.next().await;
    }

    pub(crate) async fn close(&self) {
        self.stop();
        self.pool.close().await;
    }

    fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(pool: PgPool, signs: Arc<Signs>) {
    loop {
        match hear(&pool, &signs).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "listening for appended events failed; trying again"),
        }
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
}

async fn hear(pool: &PgPool, signs: &Signs) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // What was appended before is not announced again.
    signs.give();
    while listener.try_recv().await?.is_some() {
        while listener.next_buffered().is_some() {}
        signs.give();
    }
    Ok(())
}
