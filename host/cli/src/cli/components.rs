//! `kennel components`: the components that a store holds.

use std::process::ExitCode;

use clap::Args;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;

/// Lists the components that the store holds and the deployments that use them, the latest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel components\n  kennel components --json | jq -r '.[].digest'")]
pub(super) struct Components {
    #[command(flatten)]
    control: ControlArgs,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Components {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let components = control.components().await?;
        if self.json {
            output::json(&components)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = components.iter().map(|one| {
            let uses = one.used_by.iter().map(|used| format!("{} {}", used.projection, used.deployment));
            vec![
                output::short(&one.digest).to_owned(),
                output::thousands(one.bytes),
                output::seconds_of(&one.stored_at),
                uses.collect::<Vec<_>>().join(", "),
            ]
        });
        output::table(&["COMPONENT", "BYTES", "STORED (UTC)", "DEPLOYMENTS"], rows.collect())?;
        Ok(ExitCode::SUCCESS)
    }
}
