//! Notifications of new events and of changes among the workers: those of this process, and those of any other. One
//! task listens for the whole process, from the first time that a caller waits.
//!
//! Notifications may be lost: a waiting task also looks by itself from time to time. So a connection that breaks, or
//! that the server denies, is no error; it is made again. Where sessions are shared, no process can listen, and
//! there are no notifications of other processes at all.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kennel_core::retry::Backoff;
use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connector::Connector;
use crate::notifications::Notifications;

/// The channel that appends are announced on, by Kennel and by the trigger that it installs.
const CHANNEL: &str = "kennel_events";
/// The channel that changes of workers and generations are announced on.
const WORKERS_CHANNEL: &str = "kennel_workers";
/// The channel that changes of projections are announced on.
const DEPLOYMENTS_CHANNEL: &str = "kennel_deployments";
/// How long closing waits for the server.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// After a failure it is tried again after so long, then after twice as long each time.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a server may take to give a connection to listen on.
const CONNECT_MAX: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(crate) struct Listen {
    /// Nothing where no process can listen.
    connector: Option<Arc<Connector>>,
    notifications: Arc<Heard>,
    task: OnceLock<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Heard {
    events: Notifications,
    workers: Notifications,
    deployments: Notifications,
    /// The connection that is listened on, in the form that a listener takes.
    pool: Mutex<Option<PgPool>>,
}

impl Listen {
    pub(crate) fn new(connector: Option<Arc<Connector>>) -> Self {
        Self { connector, notifications: Arc::default(), task: OnceLock::new() }
    }

    /// Whether notifications of other processes are received.
    pub(crate) fn hears(&self) -> bool {
        self.connector.is_some()
    }

    /// Announces an append of this process.
    pub(crate) fn announce(&self) {
        self.notifications.events.give();
    }

    /// Resolves at the next notification of new events.
    pub(crate) async fn next(&self) {
        self.listen();
        self.notifications.events.next().await;
    }

    /// Resolves at the next notification of a change among the workers.
    pub(crate) async fn next_change(&self) {
        self.listen();
        self.notifications.workers.next().await;
    }

    /// Resolves at the next notification that a projection has changed.
    pub(crate) async fn next_deployment(&self) {
        self.listen();
        self.notifications.deployments.next().await;
    }

    fn listen(&self) {
        let Some(connector) = &self.connector else { return };
        self.task
            .get_or_init(|| tokio::spawn(listen(Arc::clone(connector), Arc::clone(&self.notifications))));
    }

    pub(crate) async fn close(&self) {
        self.stop();
        let pool = self.notifications.pool.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pool) = pool {
            // A listener says goodbye to the server, which may not answer.
            let _ = tokio::time::timeout(GOODBYE_MAX, pool.close()).await;
        }
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

async fn listen(connector: Arc<Connector>, notifications: Arc<Heard>) {
    let mut backoff = Backoff::new(PAUSE_MIN, PAUSE_MAX);
    loop {
        let began = Instant::now();
        let heard = hear(&connector, &notifications).await;
        let lasted = began.elapsed() > PAUSE_MAX;
        if let Err(error) = heard {
            // Reported once: what follows is the same until it has worked for a while.
            if lasted || backoff.is_fresh() {
                tracing::warn!(
                    %error,
                    "there is no connection to hear of new events on: they are looked for from time to time instead, \
                     and noticed up to a second later"
                );
            } else {
                tracing::debug!(%error, "listening for notifications failed; trying again");
            }
        }
        if lasted {
            backoff.reset();
        }
        tokio::time::sleep(backoff.next_pause()).await;
    }
}

async fn hear(connector: &Arc<Connector>, notifications: &Heard) -> Result<(), sqlx::Error> {
    let settings = Arc::clone(connector);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_MAX)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { settings.prepare(connection).await })
        })
        .connect_lazy_with(connector.options());
    *notifications.pool.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen_all([CHANNEL, WORKERS_CHANNEL, DEPLOYMENTS_CHANNEL]).await?;
    // What has happened before is not announced again.
    notifications.events.give();
    notifications.workers.give();
    notifications.deployments.give();
    while let Some(mut heard) = listener.try_recv().await? {
        loop {
            let notifications = match heard.channel() {
                WORKERS_CHANNEL => &notifications.workers,
                DEPLOYMENTS_CHANNEL => &notifications.deployments,
                _ => &notifications.events,
            };
            notifications.give();
            match listener.next_buffered() {
                Some(next) => heard = next,
                None => break,
            }
        }
    }
    Ok(())
}
