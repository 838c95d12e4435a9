//! How far each partition of a projection is. Pure: the current generation's partitions over checkpoints
//! that may still be divided as earlier generations left them.

use kennel_core::checkpoint;
use kennel_core::membership::{Assignment, WorkerId};
use kennel_core::partition::{self, HashRange};
use kennel_core::port::ProjectionProgress;
use kennel_core::position::Position;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far one partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Partition {
    pub partition: u32,
    /// The part of the hash space that its owner handles of this projection.
    #[schema(value_type = Object)]
    pub range: HashRange,
    /// Its owner.
    #[schema(value_type = String)]
    pub worker: WorkerId,
    /// Every event of the range up to here has taken effect.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Positions between there and the head of the log.
    pub lag: u64,
}

/// The partitions in order: all of them, or the one that a projection with `partitioning: single` has.
#[must_use]
pub fn of(progress: &ProjectionProgress, assignment: &Assignment, head: Position) -> Vec<Partition> {
    let deployment = &progress.deployment;
    let (partitioning, count) = (deployment.descriptor.partitioning, assignment.partitions());
    let owned = (0..count).zip(&assignment.owners).filter_map(|(partition, worker)| {
        let range = partition::share(partitioning, &deployment.projection, partition, count)?;
        let position = checkpoint::handled(&progress.checkpoints, range);
        let lag = head.distance_from(position);
        Some(Partition { partition, range, worker: *worker, position, lag })
    });
    owned.collect()
}

#[cfg(test)]
mod tests {
    use kennel_core::checkpoint::Checkpoint;
    use kennel_core::digest::Digest;
    use std::time::Duration;

    use kennel_core::lifecycle::{Activity, Promotion, Role};
    use kennel_core::membership::Generation;
    use kennel_core::name::ReplicaSet;
    use kennel_core::port::ProjectionState;
    use kennel_core::projection::{
        Deployment, DeploymentId, Descriptor, Partitioning, ReadModelId, Scope, Settings,
    };
    use uuid::Uuid;

    use super::*;

    /// Checkpoints that divide the hash space at quarters, with these positions.
    fn progress(partitioning: Partitioning, positions: [u64; 4]) -> ProjectionProgress {
        let row = |(index, position)| Checkpoint {
            range: HashRange::of_partition(index, 4),
            position: Position::new(position),
            generation: Generation::new(3),
            witness: None,
        };
        ProjectionProgress {
            deployment: Deployment {
                id: DeploymentId::new(1),
                projection: "ledger".parse().unwrap(),
                number: 1,
                replica_set: ReplicaSet::default(),
                digest: Digest::of(b"ledger"),
                descriptor: Descriptor {
                    name: "ledger".to_owned(),
                    version: "1".to_owned(),
                    scope: Scope::default(),
                    partitioning,
                    collections: Vec::new(),
                },
                settings: Settings::default(),
                read_model: ReadModelId::new(1),
            },
            role: Role::Serving,
            activity: Activity::Running,
            promotion: Promotion::Auto,
            fenced: false,
            from: Position::START,
            age: Duration::ZERO,
            state: ProjectionState::Running,
            last_failure: None,
            checkpoints: (0..4).zip(positions).map(row).collect(),
            dead_letters: 0,
            conditions: Vec::new(),
        }
    }

    fn check(partitioning: Partitioning, partitions: u128, expected: &[(u32, u64, u64)]) {
        let owners = (1..=partitions).map(|number| WorkerId(Uuid::from_u128(number))).collect();
        let assignment = Assignment { generation: Generation::new(4), owners };
        let found = of(&progress(partitioning, [5, 9, 7, 10]), &assignment, Position::new(10));
        let reported: Vec<_> = found.iter().map(|p| (p.partition, p.position.get(), p.lag)).collect();
        assert_eq!(reported, expected, "{partitions} partitions");
        for part in found {
            assert_eq!(part.worker, assignment.owners[part.partition as usize]);
        }
    }

    #[test]
    fn a_partition_stands_where_its_slowest_checkpoint_stands() {
        check(Partitioning::ByAggregate, 0, &[]);
        check(Partitioning::ByAggregate, 1, &[(0, 5, 5)]);
        check(Partitioning::ByAggregate, 2, &[(0, 5, 5), (1, 7, 3)]);
        // Thirds cross the quarters.
        check(Partitioning::ByAggregate, 3, &[(0, 5, 5), (1, 7, 3), (2, 7, 3)]);
        check(Partitioning::ByAggregate, 4, &[(0, 5, 5), (1, 9, 1), (2, 7, 3), (3, 10, 0)]);
    }

    #[test]
    fn a_projection_that_is_not_divided_has_one_partition() {
        let owner = partition::of_single(&"ledger".parse().unwrap(), 3);
        check(Partitioning::Single, 3, &[(owner, 5, 5)]);
        check(Partitioning::Single, 0, &[]);
    }
}
