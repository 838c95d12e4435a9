//! Signs of new events, handed from whoever notices them to whoever waits.
//!
//! A sign that comes while nobody waits is kept for the next who does: the usual waiter looks at the
//! log, finds nothing, and only then begins to wait. Several signs count as one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(crate) struct Signs {
    given: AtomicU64,
    taken: AtomicU64,
    waiting: Notify,
}

impl Signs {
    /// Gives a sign.
    pub(crate) fn give(&self) {
        self.given.fetch_add(1, Ordering::SeqCst);
        self.waiting.notify_waiters();
    }

    /// Resolves at the next sign, or at once if one is left over.
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
    async fn a_sign_is_kept_for_the_next_who_waits_and_taken_once() {
        let signs = Signs::default();
        let comes = async || tokio::time::timeout(Duration::from_secs(1), signs.next()).await.is_ok();
        assert!(!comes().await);
        signs.give();
        signs.give();
        assert!(comes().await);
        assert!(!comes().await);
        let (first, second, ()) = tokio::join!(comes(), comes(), async { signs.give() });
        assert!(first && second);
        assert!(!comes().await);
    }
}
