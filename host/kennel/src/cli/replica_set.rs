//! What a store tells of a replica set: its generation, and its workers with what each owns. One place for
//! `kennel workers` and `kennel status`.

use std::time::Duration;

use serde::Serialize;

use kennel_core::membership::{Assignment, Generation, Member};
use kennel_core::name::ReplicaSet;
use kennel_core::partition::HashRange;
use kennel_core::port::Coordination as _;

use super::output;
use crate::wire::Store;

#[derive(Serialize)]
pub(super) struct ReplicaSetReport {
    pub(super) replica_set: ReplicaSet,
    generation: Generation,
    /// Of the current generation.
    pub(super) partitions: u32,
    /// Those that own a partition first, in the order of these.
    pub(super) workers: Vec<Worker>,
    #[serde(skip)]
    pub(super) assignment: Assignment,
}

#[derive(Serialize)]
pub(super) struct Worker {
    id: String,
    host: String,
    pid: u32,
    state: &'static str,
    alive: bool,
    heartbeat_age_seconds: f64,
    /// None: the current generation gives it nothing.
    partition: Option<u32>,
    /// The part of the hash space that it owns.
    range: Option<HashRange>,
}

impl Worker {
    fn new(member: &Member, assignment: &Assignment) -> Self {
        let partition = assignment.partition_of(member.id);
        Self {
            id: member.id.to_string(),
            host: member.host.clone(),
            pid: member.pid,
            state: member.state.as_str(),
            alive: member.alive,
            heartbeat_age_seconds: member.heartbeat_age.as_secs_f64(),
            partition,
            range: partition.map(|index| HashRange::of_partition(index, assignment.partitions())),
        }
    }
}

impl ReplicaSetReport {
    /// Looks. A worker that has been silent for `stale_after` counts as dead.
    pub(super) async fn look(
        store: &Store,
        replica_set: ReplicaSet,
        stale_after: Duration,
    ) -> anyhow::Result<Self> {
        let view = store.view(&replica_set, stale_after).await?;
        let assignment = view.assignment;
        let mut workers: Vec<Worker> =
            view.members.iter().map(|member| Worker::new(member, &assignment)).collect();
        workers.sort_by_key(|worker| worker.partition.unwrap_or(u32::MAX));
        let (generation, partitions) = (assignment.generation, assignment.partitions());
        Ok(Self { replica_set, generation, partitions, workers, assignment })
    }

    /// Prints it as text.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        let plural = if self.partitions == 1 { "" } else { "s" };
        output::line(format!(
            "replica set {}: generation {}, {} partition{plural}",
            self.replica_set, self.generation, self.partitions
        ))?;
        if self.workers.is_empty() {
            return output::line("no workers: `kennel run` adds some");
        }
        let rows = self.workers.iter().map(|worker| {
            vec![
                worker.id.clone(),
                worker.host.clone(),
                worker.pid.to_string(),
                worker.state.to_owned(),
                if worker.alive { "yes" } else { "no" }.to_owned(),
                format!("{:.1} s ago", worker.heartbeat_age_seconds),
                worker.partition.map(|index| index.to_string()).unwrap_or_default(),
                worker.range.map(shown).unwrap_or_default(),
            ]
        });
        output::table(
            &["WORKER", "HOST", "PID", "STATE", "ALIVE", "HEARTBEAT", "PARTITION", "RANGE"],
            rows.collect(),
        )
    }
}

/// A range by its first and its last point.
pub(super) fn shown(range: HashRange) -> String {
    format!("{:08x}-{:08x}", range.start(), range.end() - 1)
}
