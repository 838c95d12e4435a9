//! Operations on projections as the history of a run shows them and as its counters name them.

use kennel_core::lifecycle::{Mode, Operation, Promotion};

/// An operation in one line.
pub(super) fn describe(operation: &Operation) -> String {
    match operation {
        Operation::Deploy(deploy) | Operation::Rebuild(deploy) => {
            let (mode, promotion, component) = (deploy.mode, deploy.promotion, deploy.digest.short());
            format!("deploy {component} {mode} {promotion}{}", if deploy.force { " force" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

/// What an operation that has changed something is counted as.
pub(super) fn counted_as(operation: &Operation) -> &'static str {
    match operation {
        Operation::Deploy(deploy) if deploy.mode == Mode::Continue => "continues",
        Operation::Deploy(deploy) if deploy.promotion == Promotion::Manual => "manual rebuilds",
        Operation::Deploy(_) | Operation::Rebuild(_) => "rebuilds",
        Operation::Rollback { .. } => "ways back",
        Operation::Promote => "manual promotions",
        Operation::Cancel => "cancels",
        Operation::Pause => "pauses",
        Operation::Resume => "resumes",
        Operation::Retire { .. } => "retirements",
        Operation::AcceptLog { .. } => "accepted logs",
    }
}
