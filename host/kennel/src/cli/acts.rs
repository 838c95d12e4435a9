//! The subcommands that give one short order about a projection: rebuild, rollback, switch, cancel, pause,
//! resume, accept-log and retire.

use std::process::ExitCode;

use clap::Args;
use kennel_core::lifecycle::Switch;
use kennel_core::name::ProjectionName;

use super::control::{ByArgs, ControlArgs};
use super::{deploy, output};
use crate::config::Config;
use crate::control::Action;
use crate::control::view::ChangeView;

/// What every order needs.
#[derive(Debug, Args)]
struct Order {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    by: ByArgs,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Order {
    /// Gives an order that takes effect at once.
    async fn give(
        self,
        config: &Config,
        action: Action,
        told: impl FnOnce(&ChangeView) -> String,
    ) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let change = control.act(&self.name, action, self.by.by()).await?;
        if self.json {
            output::json(&change)?;
        } else {
            output::line(told(&change))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Gives an order that may have something built, and waits for it.
    async fn build(self, config: &Config, action: Action, detach: bool) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let change = control.act(&self.name, action, self.by.by()).await?;
        deploy::finish(&*control, &self.name, change, detach, self.json).await
    }
}

/// Builds the read model of a projection anew, from the start of the log, beside the one that serves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel rebuild order-summary
  kennel rebuild order-summary --switch manual
  kennel diff order-summary && kennel switch order-summary

The one that serves does so until the new one has caught up. Ctrl-C leaves the build going on; `kennel cancel` ends it.")]
pub(super) struct Rebuild {
    #[command(flatten)]
    order: Order,
    /// When the new read model takes its place: `auto` or `manual`
    #[arg(long, value_name = "WHEN", default_value_t = Switch::Auto)]
    switch: Switch,
    /// Do not wait for it
    #[arg(long)]
    detach: bool,
}

impl Rebuild {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.order.build(config, Action::Rebuild { switch: self.switch }, self.detach).await
    }
}

/// Returns to the deployment that served before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel rollback order-summary
  kennel rollback order-summary --to 3 --note 'totals are wrong'

After a rebuild the old read model is brought up to date first, and then takes its place whole. After a `continue` only \
the code returns: what the newer code has written stays. `kennel deployments` lists what there is to return to. What \
serves after a rollback is returned from only with --to.")]
pub(super) struct Rollback {
    #[command(flatten)]
    order: Order,
    /// The number of the deployment to return to [default: the one that served before]
    #[arg(long, value_name = "NUMBER")]
    to: Option<u32>,
    /// Do not wait until it serves
    #[arg(long)]
    detach: bool,
}

impl Rollback {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.order.build(config, Action::Rollback { to: self.to }, self.detach).await
    }
}

/// Has the read model that was built take its place once it has caught up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel switch order-summary")]
pub(super) struct SwitchOver {
    #[command(flatten)]
    order: Order,
    /// Do not wait until it serves
    #[arg(long)]
    detach: bool,
}

impl SwitchOver {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.order.build(config, Action::Switch, self.detach).await
    }
}

/// Gives up the deployment that is being built; what serves goes on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel cancel order-summary --note 'wrong component'")]
pub(super) struct Cancel {
    #[command(flatten)]
    order: Order,
}

impl Cancel {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.order.name.clone();
        let told = move |change: &ChangeView| {
            format!("deployment {} of `{name}` was given up", change.deployment.unwrap_or_default())
        };
        self.order.give(config, Action::Cancel, told).await
    }
}

/// Has a projection stand still where it is, until it is resumed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel pause order-summary --note 'the disk is nearly full'")]
pub(super) struct Pause {
    #[command(flatten)]
    order: Order,
}

impl Pause {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.order.name.clone();
        let told = move |change: &ChangeView| match change.changed {
            true => format!("`{name}` is paused: nothing more is committed until `kennel resume {name}`"),
            false => format!("`{name}` was paused already"),
        };
        self.order.give(config, Action::Pause, told).await
    }
}

/// Has a paused projection go on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel resume order-summary")]
pub(super) struct Resume {
    #[command(flatten)]
    order: Order,
}

impl Resume {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.order.name.clone();
        let told = move |change: &ChangeView| match change.changed {
            true => format!("`{name}` goes on"),
            false => format!("`{name}` was not paused"),
        };
        self.order.give(config, Action::Resume, told).await
    }
}

/// Goes on with a log that was set back, by a restore or a failover, below what a projection has handled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel status
  kennel accept-log order-summary --after 60 --note 'restored from last night'
  kennel rebuild order-summary

While the log does not hold what was handled, the projection is halted and `kennel status` says what is seen. This order \
keeps the read model as it is, with what events wrote that are gone, and has the events that the log holds after the \
given position handled. The position is that of the last event that was there before; 0 if there is none. `kennel rebuild` \
builds the read model from what the log holds now instead.")]
pub(super) struct AcceptLog {
    #[command(flatten)]
    order: Order,
    /// The last position that the log has kept: events after it are handled
    #[arg(long, value_name = "POSITION")]
    after: u64,
}

impl AcceptLog {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let (name, after) = (self.order.name.clone(), self.after);
        let told = move |_: &ChangeView| format!("`{name}` goes on after {after}");
        self.order.give(config, Action::AcceptLog { after }, told).await
    }
}

/// Takes a projection out of service: it is no longer run. Its history stays, and deploying to it brings it back.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel retire order-summary
  kennel retire order-summary --drop-read-model

Its read model stays as it is, to be queried, unless --drop-read-model removes it.")]
pub(super) struct Retire {
    #[command(flatten)]
    order: Order,
    /// Remove the read model as well
    #[arg(long)]
    drop_read_model: bool,
}

impl Retire {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.order.name.clone();
        let drop = self.drop_read_model;
        let told = move |change: &ChangeView| match (change.changed, drop) {
            (false, _) => format!("`{name}` was retired already"),
            (true, false) => format!("`{name}` is retired; its read model stays as it is"),
            (true, true) => format!("`{name}` is retired and its read model goes"),
        };
        self.order.give(config, Action::Retire { drop }, told).await
    }
}
