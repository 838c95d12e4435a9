//! A component that is ready to run for a deployment: what the catalog publishes and runners run.

use std::sync::Arc;

use kennel_core::lifecycle::Role;
use kennel_core::port::Component;
use kennel_core::projection::Deployment;

/// A component that is ready to run for a deployment.
#[derive(Clone)]
pub struct Loaded {
    pub deployment: Arc<Deployment>,
    pub role: Role,
    /// Whether its read model has served before and is only brought up to date.
    pub returning: bool,
    pub component: Arc<dyn Component>,
}

impl Loaded {
    /// Whether both would run in the same way.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.deployment == other.deployment
            && self.role == other.role
            && self.component.digest() == other.component.digest()
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Loaded").field(&self.deployment.id).finish()
    }
}
