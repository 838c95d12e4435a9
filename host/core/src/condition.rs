//! Conditions: what keeps a deployment from making progress although no event failed.

use crate::lifecycle::Role;
use crate::named::named;

named! {
    /// Why a deployment makes no progress: a word for programs.
    ConditionReason, "a reason of conditions" {
        /// A host cannot load the component.
        ComponentNotLoaded = "ComponentNotLoaded",
        /// A reader or another process keeps the candidate from being promoted, or it does not catch up in time.
        CutoverBlocked = "CutoverBlocked",
        /// The log does not hold what was handled.
        LogSetBack = "LogSetBack",
    }
}

impl ConditionReason {
    /// Whether a deployment in this role can have it.
    #[must_use]
    pub const fn concerns(self, role: Role) -> bool {
        match self {
            Self::CutoverBlocked => matches!(role, Role::Candidate),
            Self::ComponentNotLoaded | Self::LogSetBack => true,
        }
    }
}

/// What keeps a deployment from making progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub reason: ConditionReason,
    /// A sentence for people: the observation, and what to do if anything can be done.
    pub message: String,
}

/// A condition as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedCondition {
    pub condition: Condition,
    /// The host or the controller that sees it.
    pub source: String,
    /// When the source first reported this reason, in microseconds since 1970 by the store's clock. `None` for one that
    /// is not reported, but found whenever a store looks.
    pub since: Option<u64>,
}

impl ReportedCondition {
    /// The source of the conditions that a store finds by comparing checkpoints with the log.
    pub const STORE: &str = "store";

    /// A condition that a store finds by itself.
    #[must_use]
    pub fn found(condition: Condition) -> Self {
        Self { condition, source: Self::STORE.to_owned(), since: None }
    }
}
