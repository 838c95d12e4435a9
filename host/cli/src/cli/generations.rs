//! `kennel generations`: how the division of the work has changed, and why.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use kennel_core::membership::{Cause, Generation, WorkerId};
use kennel_core::name::ReplicaSet;
use kennel_core::port::GenerationRecord;

use super::{REPLICA_SET_VARIABLE, StoreArgs, output};
use crate::config::Config;
use crate::wire;

/// Lists how the division of a replica set's work has changed, newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel generations\n  kennel generations --limit 3 --json")]
pub(super) struct Generations {
    #[command(flatten)]
    store: StoreArgs,
    /// The replica set [default: main]
    #[arg(long, value_name = "NAME", env = REPLICA_SET_VARIABLE)]
    replica_set: Option<ReplicaSet>,
    /// Print at most so many generations
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Record {
    generation: Generation,
    partitions: u32,
    cause: Cause,
    age_seconds: f64,
    /// The owner of each partition.
    owners: Vec<WorkerId>,
}

impl Generations {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let replica_set = config.run.replica_set(self.replica_set.as_ref());
        let store = wire::open_existing(&self.store.target(config)?).await?;
        let history = store.history(&replica_set, self.limit).await?;
        let records: Vec<Record> = history.into_iter().map(Record::new).collect();
        if self.json {
            output::json(&records)?;
        } else if records.is_empty() {
            output::line(format!(
                "replica set {replica_set} has had no generation yet: `kennel run` makes one"
            ))?;
        } else {
            let rows = records.iter().map(|record| {
                vec![
                    record.generation.to_string(),
                    record.partitions.to_string(),
                    record.cause.as_str().to_owned(),
                    format!("{:.1} s ago", record.age_seconds),
                ]
            });
            output::table(&["GENERATION", "PARTITIONS", "CAUSE", "MADE"], rows.collect())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Record {
    fn new(record: GenerationRecord) -> Self {
        Self {
            generation: record.assignment.generation,
            partitions: record.assignment.partitions(),
            cause: record.cause,
            age_seconds: record.age.as_secs_f64(),
            owners: record.assignment.owners,
        }
    }
}
