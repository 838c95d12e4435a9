//! Notifications of new events, passed from the task that notices them to the task that waits.
//!
//! A notification that comes while no task waits is kept for the next that does: the usual waiter
//! looks at the log, finds nothing, and only then begins to wait. Several notifications count as
//! one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Notifications {
    given: AtomicU64,
    taken: AtomicU64,
    waiting: Notify,
}

impl Notifications {
    /// Gives a notification.
    pub(crate) fn give(&self) {
        self.given.fetch_add(1, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Resolves at the next notification, or at once if one is left over.
    pub(crate) async fn next(&self) {
        let woken = self.waiting.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        if !self.take() {
            woken.await;
            self.take();
        }
    }

    fn take(&self) -> bool {
        let given = self.given.load(Ordering::SeqCst);
        self.taken.swap(given, Ordering::SeqCst) != given
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_notification_is_kept_for_the_next_waiter_and_taken_once() {
        let notifications = Notifications::default();
        let comes = async || tokio::time::timeout(Duration::from_secs(1), notifications.next()).await.is_ok();
        assert!(!comes().await);
        notifications.give();
        notifications.give();
        assert!(comes().await);
        assert!(!comes().await);
        let (first, second, ()) = tokio::join!(comes(), comes(), async { notifications.give() });
        assert!(first && second);
        assert!(!comes().await);
    }
}
