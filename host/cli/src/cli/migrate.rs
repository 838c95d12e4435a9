//! `kennel migrate`: creates or updates the tables of a store.

use std::process::ExitCode;

use clap::Args;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::wire;

/// Creates or updates the tables of a store. Doing it again changes nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel migrate\n  kennel migrate --store postgres://kennel@db/shop --install-notify"
)]
pub(super) struct Migrate {
    #[command(flatten)]
    store: StoreArgs,
    /// Adds a trigger to the events table that announces every append, so that events of other programs are
    /// noticed at once instead of within a second. PostgreSQL only; SQLite needs none
    #[arg(long)]
    install_notify: bool,
}

impl Migrate {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let target = self.store.target(config)?;
        wire::migrate(&target, self.install_notify).await?;
        output::line(format!("{target} is up to date"))?;
        Ok(ExitCode::SUCCESS)
    }
}
