//! Freezes a process: its calls to the store stand still until it thaws, as if it had been stopped by a
//! signal or cut off from the network, while the others go on without it.

use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::Notify;

/// What a store call belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum On {
    Log,
    ReadModel,
    Registry,
    Coordination,
}

/// What stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Frozen {
    #[default]
    Nothing,
    /// Heartbeats are lost while batches are still being committed.
    Coordination,
    Everything,
}

#[derive(Debug, Default)]
pub(super) struct Ice {
    frozen: Mutex<Frozen>,
    changed: Notify,
}

impl Ice {
    pub(super) fn set(&self, frozen: Frozen) {
        *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) = frozen;
        self.changed.notify_waiters();
    }

    /// Waits until calls of this kind may pass.
    pub(super) async fn pass(&self, on: On) {
        loop {
            let changed = self.changed.notified();
            if !self.holds(on) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn holds(&self, on: On) -> bool {
        match *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) {
            Frozen::Nothing => false,
            Frozen::Coordination => on == On::Coordination,
            Frozen::Everything => true,
        }
    }
}
