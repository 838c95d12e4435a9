//! The parts of this process that are blocked, and why: the source of `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The conditions that the parts of the engine report. Each part owns its own entry.
#[derive(Debug, Default)]
pub struct Status {
    conditions: Mutex<BTreeMap<String, String>>,
}

impl Status {
    /// A process that has not begun: it is not ready before it has agreed on a generation.
    #[must_use]
    pub fn starting() -> Self {
        let status = Self::default();
        status.block(COORDINATION, "the workers have not joined a generation yet");
        status
    }

    /// Records that `part` is blocked, and why.
    pub fn block(&self, part: &str, reason: impl Into<String>) {
        self.conditions().insert(part.to_owned(), reason.into());
    }

    /// Records that nothing blocks `part`.
    pub fn clear(&self, part: &str) {
        self.conditions().remove(part);
    }

    /// Everything that is blocked: part and reason.
    #[must_use]
    pub fn blocked(&self) -> BTreeMap<String, String> {
        self.conditions().clone()
    }

    fn conditions(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part that keeps the workers registered.
pub const COORDINATION: &str = "coordination";
/// The part that watches the end of the log.
pub const HIGH_WATER_MARK: &str = "high_water_mark";
/// The part that watches the connections to the store.
pub const CONNECTIONS: &str = "connections";
/// The part that watches the active deployments.
pub const CATALOG: &str = "catalog";
