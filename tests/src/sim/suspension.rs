//! Suspends a process: its calls to the store hang until it continues, as if it had been stopped by a
//! signal or cut off from the network, while the others go on without it.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::Notify;

/// What a store call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Log,
    ReadModel,
    Deployments,
    Coordination,
}

/// The calls that hang.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Suspended {
    #[default]
    Nothing,
    /// Heartbeats are lost while batches are still being committed.
    Coordination,
    Everything,
}

#[derive(Debug, Default)]
pub(super) struct Suspension {
    suspended: Mutex<Suspended>,
    changed: Notify,
}

impl Suspension {
    pub(super) fn set(&self, suspended: Suspended) {
        *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) = suspended;
        self.changed.notify_waiters();
    }

    /// Waits until calls of this kind may pass.
    pub(super) async fn pass(&self, on: On) {
        loop {
            let changed = self.changed.notified();
            if !self.applies_to(on) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn applies_to(&self, on: On) -> bool {
        match *self.suspended.lock().unwrap_or_else(PoisonError::into_inner) {
            Suspended::Nothing => false,
            Suspended::Coordination => on == On::Coordination,
            Suspended::Everything => true,
        }
    }
}
