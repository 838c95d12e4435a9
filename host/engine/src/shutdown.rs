//! How a program asks the engine to stop, and how its parts are notified.

use tokio::sync::watch;

/// Shows whether a stop was asked for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Asks for a stop; dropping the last one asks as well, so that nothing runs on without an owner.
#[derive(Clone, Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// A trigger and what it triggers.
    #[must_use]
    pub fn channel() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Whether a stop has been asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves once a stop has been asked for.
    pub async fn requested(&mut self) {
        // An error means that the trigger is gone, which asks for a stop as well.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl ShutdownTrigger {
    /// Asks for a stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
