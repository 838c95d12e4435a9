//! `kennel deployments`: the deployments of a projection.

use std::process::ExitCode;

use clap::Args;
use kennel_core::name::ProjectionName;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;

/// Lists the deployments of a projection: when, by whom, why, and what became of each.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel deployments order-summary\n  kennel deployments order-summary --json | jq '.[] | select(.outcome == \"serving\")'"
)]
pub(super) struct Deployments {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Deployments {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let projection = control.projection(&self.name).await?;
        if self.json {
            output::json(&projection.deployments)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = projection.deployments.iter().rev().map(|one| {
            vec![
                one.number.to_string(),
                one.outcome.to_string(),
                match one.returns_to {
                    Some(number) => format!("{} to {number}", one.origin),
                    None => one.origin.to_string(),
                },
                output::short(&one.component).to_owned(),
                one.version.clone(),
                output::seconds_of(&one.deployed_at),
                one.actor.clone(),
                one.reason.clone().unwrap_or_default(),
            ]
        });
        let header =
            ["DEPLOYMENT", "OUTCOME", "MODE", "COMPONENT", "VERSION", "DEPLOYED (UTC)", "BY", "REASON"];
        output::table(&header, rows.collect())?;
        Ok(ExitCode::SUCCESS)
    }
}
