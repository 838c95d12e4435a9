//! `kennel operations`: the operations on a projection, when, by whom and why.

use std::process::ExitCode;

use clap::Args;
use kennel_core::name::ProjectionName;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;

/// Lists the operations on a projection: deployments, rollbacks, pauses and so on; when, by whom and why.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel operations order-summary\n  kennel operations order-summary --json | jq '.[] | select(.operation == \"pause\")'"
)]
pub(super) struct Operations {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Operations {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let operations = control.operations(&self.name).await?;
        if self.json {
            output::json(&operations)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = operations.into_iter().rev().map(|one| {
            vec![
                output::seconds_of(&one.at),
                one.detail
                    .map_or_else(|| one.operation.clone(), |detail| format!("{} {detail}", one.operation)),
                one.deployment.map(|number| number.to_string()).unwrap_or_default(),
                one.actor,
                one.reason.unwrap_or_default(),
            ]
        });
        output::table(&["WHEN (UTC)", "OPERATION", "DEPLOYMENT", "BY", "REASON"], rows.collect())?;
        Ok(ExitCode::SUCCESS)
    }
}
