//! The planner under random joins and leaves, and the checker of invariants under broken plans.

use std::collections::BTreeSet;

use kennel_core::membership::{Assignment, Cause, Generation, WorkerId};
use kennel_core::plan::{BrokenInvariant, Plan, check, next};
use proptest::prelude::*;
use uuid::Uuid;

/// Few enough that workers come back, which the planner must not care about.
const WORKERS: u128 = 12;

fn worker(number: u128) -> WorkerId {
    // Spread over the id's bytes so that the order of ids is not the order of joining.
    WorkerId(Uuid::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
}

/// The living workers in each step: any set may follow any other.
fn history() -> impl Strategy<Value = Vec<BTreeSet<WorkerId>>> {
    let alive = prop::collection::btree_set((1..=WORKERS).prop_map(worker), 0..8);
    prop::collection::vec(alive, 1..12)
}

/// What the plan must be, written the slow and plain way.
fn expected(current: &[WorkerId], alive: &BTreeSet<WorkerId>) -> Option<Plan> {
    let same_members = current.iter().copied().collect::<BTreeSet<_>>() == *alive;
    if alive.is_empty() || same_members {
        return None;
    }
    let mut owners = Vec::new();
    for owner in current {
        if alive.contains(owner) {
            owners.push(*owner);
        }
    }
    let stayed = owners.len();
    for newcomer in alive {
        if !current.contains(newcomer) {
            owners.push(*newcomer);
        }
    }
    let some_left = stayed < current.len();
    let some_joined = owners.len() > stayed;
    let cause = if current.is_empty() {
        Cause::First
    } else if some_left && some_joined {
        Cause::Changed
    } else if some_left {
        Cause::Left
    } else {
        Cause::Joined
    };
    Some(Plan { owners, cause })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_history_is_planned_by_the_invariants(history in history(), rotation in any::<prop::sample::Index>()) {
        let mut current = Assignment::default();
        for alive in history {
            let members: Vec<WorkerId> = alive.iter().copied().collect();
            let plan = next(&current, &members);
            prop_assert_eq!(&plan, &expected(&current.owners, &alive));

            // Neither the order in which a store lists the members nor a member listed twice matters.
            let mut listed = members.clone();
            if !listed.is_empty() {
                listed.rotate_left(rotation.index(members.len()));
                listed.extend(members.first());
            }
            prop_assert_eq!(&plan, &next(&current, &listed));

            if let Some(plan) = plan {
                prop_assert_eq!(check(&plan, &members), Ok(()));
                current = Assignment { generation: current.generation.next(), owners: plan.owners };
                prop_assert_eq!(next(&current, &members), None, "a plan that is in force needs no other");
            }
        }
    }

    /// A plan that is right for its members, broken in one place.
    #[test]
    fn the_checker_catches_a_broken_plan(
        alive in prop::collection::btree_set((1..=WORKERS).prop_map(worker), 2..8),
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let members: Vec<WorkerId> = alive.into_iter().collect();
        let Some(plan) = next(&Assignment::default(), &members) else { panic!("{members:?} need a plan") };
        let count = members.len();
        let at = at.index(count);
        let other = (at + 1 + from.index(count - 1)) % count;
        let broken = |change: &dyn Fn(&mut Vec<WorkerId>)| {
            let mut plan = plan.clone();
            change(&mut plan.owners);
            check(&plan, &members)
        };

        let stranger = worker(WORKERS + 1);
        prop_assert_eq!(broken(&|owners| owners[at] = stranger), Err(BrokenInvariant::DeadOwner(at)));
        prop_assert_eq!(broken(&|owners| owners[at] = owners[other]), Err(BrokenInvariant::OwnsTwice(members[other])));
        prop_assert_eq!(broken(&|owners| owners.push(owners[at])), Err(BrokenInvariant::OwnsTwice(members[at])));
        let one_less = BrokenInvariant::CountDiffers { partitions: count - 1, alive: count };
        prop_assert_eq!(broken(&|owners| { owners.remove(at); }), Err(one_less));

        // A member that the plan leaves out, and one that died after the plan was made.
        let mut joined = members.clone();
        joined.push(stranger);
        let one_more = BrokenInvariant::CountDiffers { partitions: count, alive: count + 1 };
        prop_assert_eq!(check(&plan, &joined), Err(one_more));
        let mut died = members.clone();
        died.remove(at);
        prop_assert_eq!(check(&plan, &died), Err(BrokenInvariant::DeadOwner(at)));
    }

    /// A worker finds its partition by its index in the plan.
    #[test]
    fn an_assignment_gives_the_owner_of_each_partition(alive in prop::collection::btree_set((1..=WORKERS).prop_map(worker), 1..8)) {
        let owners: Vec<WorkerId> = alive.into_iter().collect();
        let assignment = Assignment { generation: Generation::new(1), owners: owners.clone() };
        prop_assert_eq!(usize::try_from(assignment.partitions()), Ok(owners.len()));
        for (index, owner) in (0_u32..).zip(&owners) {
            prop_assert_eq!(assignment.partition_of(*owner), Some(index));
        }
        prop_assert_eq!(assignment.partition_of(worker(WORKERS + 1)), None);
    }
}

#[test]
fn without_living_workers_the_generation_stands() {
    let current = Assignment { generation: Generation::new(3), owners: vec![worker(1), worker(2)] };
    assert_eq!(next(&current, &[]), None);
    assert_eq!(next(&Assignment::default(), &[]), None);
}
