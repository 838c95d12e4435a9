//! `kennel migrate`: creates or updates the tables of a store.

use std::process::ExitCode;

use clap::Args;

use super::{StoreArgs, output};
use crate::config::Config;
use crate::wire;

/// Creates or updates the tables of a store. Doing it again changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel migrate\n  kennel migrate --store sqlite:shop.db")]
pub(super) struct Migrate {
    #[command(flatten)]
    store: StoreArgs,
}

impl Migrate {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let url = wire::migrate(self.store.url(config)).await?;
        output::line(format!("{url} is up to date"))?;
        Ok(ExitCode::SUCCESS)
    }
}
