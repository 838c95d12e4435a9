//! `kennel workers`: who works for a replica set, and on what.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use kennel_core::membership::{Assignment, Generation, Member};
use kennel_core::name::ReplicaSet;
use kennel_core::partition::HashRange;
use kennel_core::port::Coordination as _;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::exit::{Kind, ResultExt as _};
use crate::wire;

/// Tells which workers a replica set has, whether they are alive, and which part of the work each owns.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel workers\n  kennel workers --replica-set reports --json")]
pub(super) struct Workers {
    #[command(flatten)]
    store: StoreArgs,
    /// The replica set
    #[arg(long, default_value = "main", value_name = "NAME", env = "KENNEL_REPLICA_SET")]
    replica_set: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    replica_set: ReplicaSet,
    generation: Generation,
    partitions: u32,
    workers: Vec<Worker>,
}

#[derive(Serialize)]
struct Worker {
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

impl Workers {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let replica_set: ReplicaSet = self.replica_set.parse().kind(Kind::Input)?;
        let store = wire::open_existing(&self.store.target(config)?).await?;
        let view = store.view(&replica_set, config.run.stale_after()?).await?;
        let report = Report {
            replica_set,
            generation: view.assignment.generation,
            partitions: view.assignment.partitions(),
            workers: view.members.iter().map(|member| Worker::new(member, &view.assignment)).collect(),
        };
        if self.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        Ok(ExitCode::SUCCESS)
    }
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

impl Report {
    fn print(&self) -> anyhow::Result<()> {
        output::line(format!(
            "replica set {}: generation {}, {} partitions",
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
                worker
                    .range
                    .map(|range| format!("{:08x}-{:08x}", range.start(), range.end() - 1))
                    .unwrap_or_default(),
            ]
        });
        output::table(
            &["WORKER", "HOST", "PID", "STATE", "ALIVE", "HEARTBEAT", "PARTITION", "RANGE"],
            rows.collect(),
        )
    }
}
