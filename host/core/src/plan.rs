//! The planner: the living workers and the current generation in, the next generation out. Pure.
//!
//! The invariants that every plan holds are written separately in [`check`], so that a mistake in the planner does not
//! hide in its own test.

use std::collections::HashSet;

use crate::membership::{Assignment, Cause, WorkerId};
use crate::partition::HashRange;

/// A proposal for the next generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `owners[k]` owns partition `k` of `owners.len()`.
    pub owners: Vec<WorkerId>,
    pub cause: Cause,
}

/// The next generation's plan, or `None` if `current` already fits the living workers.
///
/// Workers keep their order, so that the same members always give the same plan and a worker that stays keeps as much
/// of its range as the new count allows. Without living workers there is nothing to plan: the current generation stands
/// until a worker joins.
#[must_use]
pub fn next(current: &Assignment, alive: &[WorkerId]) -> Option<Plan> {
    let living: HashSet<WorkerId> = alive.iter().copied().collect();
    let mut owners: Vec<WorkerId> =
        current.owners.iter().copied().filter(|owner| living.contains(owner)).collect();
    let left = owners.len() < current.owners.len();
    let known: HashSet<WorkerId> = owners.iter().copied().collect();
    let mut newcomers: Vec<WorkerId> = living.difference(&known).copied().collect();
    newcomers.sort_unstable();
    let cause = match (current.owners.is_empty(), left, newcomers.is_empty()) {
        (_, false, true) => return None,
        (true, ..) => Cause::First,
        (false, true, true) => Cause::Left,
        (false, false, false) => Cause::Joined,
        (false, true, false) => Cause::Changed,
    };
    owners.append(&mut newcomers);
    if owners.is_empty() { None } else { Some(Plan { owners, cause }) }
}

/// An invariant that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenInvariant {
    #[error("partition {0} belongs to a worker that is not alive")]
    DeadOwner(usize),
    #[error("{0} owns more than one partition")]
    OwnsTwice(WorkerId),
    #[error("{partitions} partitions for {alive} living workers")]
    CountDiffers { partitions: usize, alive: usize },
    #[error("hash point {0} is not owned exactly once")]
    NotTiled(u64),
}

/// Checks a plan against the invariants: every point of the hash space is owned exactly once, by a living worker, and
/// there are as many partitions as living workers.
pub fn check(plan: &Plan, alive: &[WorkerId]) -> Result<(), BrokenInvariant> {
    let living: HashSet<WorkerId> = alive.iter().copied().collect();
    let mut seen = HashSet::new();
    for (index, owner) in plan.owners.iter().enumerate() {
        if !living.contains(owner) {
            return Err(BrokenInvariant::DeadOwner(index));
        }
        if !seen.insert(*owner) {
            return Err(BrokenInvariant::OwnsTwice(*owner));
        }
    }
    if plan.owners.len() != living.len() {
        return Err(BrokenInvariant::CountDiffers { partitions: plan.owners.len(), alive: living.len() });
    }
    let count = u32::try_from(plan.owners.len()).unwrap_or(u32::MAX);
    let mut edge = 0;
    for index in 0..count {
        let range = HashRange::of_partition(index, count);
        if range.start() != edge {
            return Err(BrokenInvariant::NotTiled(edge));
        }
        edge = range.end();
    }
    if edge == HashRange::ALL.end() { Ok(()) } else { Err(BrokenInvariant::NotTiled(edge)) }
}
