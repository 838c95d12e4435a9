//! `kennel orders`: who has ordered what, when and why.

use std::process::ExitCode;

use clap::Args;
use kennel_core::name::ProjectionName;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;

/// Tells what was ordered about a projection: deployments, rollbacks, pauses and so on; when, by whom and why.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel orders order-summary\n  kennel orders order-summary --json | jq '.[] | select(.order == \"pause\")'"
)]
pub(super) struct Orders {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Orders {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let orders = control.orders(&self.name).await?;
        if self.json {
            output::json(&orders)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = orders.into_iter().rev().map(|one| {
            vec![
                output::seconds_of(&one.at),
                one.order,
                one.deployment.map(|number| number.to_string()).unwrap_or_default(),
                one.author,
                one.note.unwrap_or_default(),
            ]
        });
        output::table(&["WHEN (UTC)", "ORDER", "DEPLOYMENT", "BY", "NOTE"], rows.collect())?;
        Ok(ExitCode::SUCCESS)
    }
}
