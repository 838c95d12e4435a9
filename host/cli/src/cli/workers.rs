//! `kennel workers`: the workers of a replica set, and what each owns.

use std::process::ExitCode;

use clap::Args;

use kennel_core::name::ReplicaSet;

use super::{REPLICA_SET_VARIABLE, StoreArgs, output};
use crate::config::Config;
use crate::wire;
use kennel::control::replica_set::ReplicaSetView;

/// Lists the workers of a replica set, whether they are alive, and which part of the work each owns.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel workers\n  kennel workers --replica-set reports --json")]
pub(super) struct Workers {
    #[command(flatten)]
    store: StoreArgs,
    /// The replica set [default: main]
    #[arg(long, value_name = "NAME", env = REPLICA_SET_VARIABLE)]
    replica_set: Option<ReplicaSet>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Workers {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let replica_set = config.run.replica_set(self.replica_set.as_ref());
        let store = wire::open_existing(&self.store.target(config)?).await?;
        let report = ReplicaSetView::look(&*store, replica_set, config.run.stale_after()?).await?;
        if self.json {
            output::json(&report)?;
        } else {
            super::replica_set::print(&report)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
