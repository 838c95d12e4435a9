//! What stands still in this process, and why: the source of `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the parts of the engine report about themselves. Each part owns its own entry.
#[derive(Debug, Default)]
pub struct Status {
    obstacles: Mutex<BTreeMap<String, String>>,
}

impl Status {
    /// A process that has not begun: it is not ready before it has agreed on a generation.
    #[must_use]
    pub fn starting() -> Self {
        let status = Self::default();
        status.block(COORDINATION, "the workers have not joined a generation yet");
        status
    }

    /// Notes that `part` stands still, and why.
    pub fn block(&self, part: &str, reason: impl Into<String>) {
        self.obstacles().insert(part.to_owned(), reason.into());
    }

    /// Notes that nothing stands in the way of `part`.
    pub fn clear(&self, part: &str) {
        self.obstacles().remove(part);
    }

    /// Everything that stands still: part and reason.
    #[must_use]
    pub fn blocked(&self) -> BTreeMap<String, String> {
        self.obstacles().clone()
    }

    fn obstacles(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.obstacles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part that keeps the workers registered.
pub const COORDINATION: &str = "coordination";
/// The part that watches the end of the log.
pub const HORIZON: &str = "horizon";
/// The part that watches the connections to the store.
pub const CONNECTIONS: &str = "connections";
/// The part that watches the active deployments.
pub const CATALOG: &str = "catalog";
