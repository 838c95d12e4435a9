//! Signs of new events and of changes among the workers: what this process does itself, and notifications
//! of any other. One task listens for the whole process, from the first time that somebody waits.
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
/// The channel that changes of workers and generations are announced on.
const WORKERS_CHANNEL: &str = "kennel_workers";
/// The channel that changes of projections are announced on.
const DEPLOYMENTS_CHANNEL: &str = "kennel_deployments";
/// How long closing waits for the server.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Listen {
    /// A pool of one, kept open as long as the store, lets the listener reconnect by itself.
    pool: PgPool,
    signs: Arc<Heard>,
    task: OnceLock<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    events: Signs,
    workers: Signs,
    deployments: Signs,
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
        self.signs.events.give();
    }

    /// Resolves at the next sign of new events.
    pub(crate) async fn next(&self) {
        self.listen();
        self.signs.events.next().await;
    }

    /// Resolves at the next sign of a change among the workers.
    pub(crate) async fn next_change(&self) {
        self.listen();
        self.signs.workers.next().await;
    }

    /// Resolves at the next sign that a projection has changed.
    pub(crate) async fn next_deployment(&self) {
        self.listen();
        self.signs.deployments.next().await;
    }

    fn listen(&self) {
        self.task.get_or_init(|| tokio::spawn(listen(self.pool.clone(), Arc::clone(&self.signs))));
    }

    pub(crate) async fn close(&self) {
        self.stop();
        // A listener says goodbye to the server, which may not answer.
        let _ = tokio::time::timeout(GOODBYE_MAX, self.pool.close()).await;
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

async fn listen(pool: PgPool, signs: Arc<Heard>) {
    loop {
        match hear(&pool, &signs).await {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "listening for notifications failed; trying again"),
        }
        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
    }
}

async fn hear(pool: &PgPool, signs: &Heard) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([CHANNEL, WORKERS_CHANNEL, DEPLOYMENTS_CHANNEL]).await?;
    // What has happened before is not announced again.
    signs.events.give();
    signs.workers.give();
    signs.deployments.give();
    while let Some(mut heard) = listener.try_recv().await? {
        loop {
            let signs = match heard.channel() {
                WORKERS_CHANNEL => &signs.workers,
                DEPLOYMENTS_CHANNEL => &signs.deployments,
                _ => &signs.events,
            };
            signs.give();
            match listener.next_buffered() {
                Some(next) => heard = next,
                None => break,
            }
        }
    }
    Ok(())
}
