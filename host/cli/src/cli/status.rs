//! `kennel status`: how the projections are doing, and which workers run them.

mod print;

use std::process::ExitCode;

use clap::Args;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;

/// Shows how the projections are doing (deployment, position, lag, state and the last error) and which workers
/// run them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel status\n  kennel status --json | jq '.projections[] | select(.state != \"running\")'"
)]
pub(super) struct Status {
    #[command(flatten)]
    control: ControlArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let status = self.control.open(config).await?.status().await?;
        if self.json {
            output::json(&status)?;
        } else {
            print::print(&status)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
