//! The subcommands that take a projection through its lifecycle: rebuild, rollback, promote, cancel, pause, resume,
//! accept-log and retire.

use std::process::ExitCode;

use clap::Args;
use kennel_core::lifecycle::Promotion;
use kennel_core::name::ProjectionName;

use super::control::{ControlArgs, RequesterArgs};
use super::{deploy, output};
use crate::config::Config;
use kennel::control::Operation;
use kennel::control::view::ChangeView;

/// The arguments of every operation.
#[derive(Debug, Args)]
struct Request {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    #[command(flatten)]
    requester: RequesterArgs,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Request {
    /// Requests an operation that takes effect at once.
    async fn send(
        self,
        config: &Config,
        operation: Operation,
        reported: impl FnOnce(&ChangeView) -> String,
    ) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let change = control.carry_out(&self.name, operation, self.requester.requester()).await?;
        if self.json {
            output::json(&change)?;
        } else {
            output::line(reported(&change))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Requests an operation that may have a read model built, and waits for it.
    async fn build(self, config: &Config, operation: Operation, detach: bool) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let change = control.carry_out(&self.name, operation, self.requester.requester()).await?;
        deploy::finish(&*control, &self.name, change, detach, self.json).await
    }
}

/// Builds the read model of a projection anew, from the start of the log, beside the one that serves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel rebuild order-summary
  kennel rebuild order-summary --promote manual
  kennel diff order-summary && kennel promote order-summary

The one that serves does so until the new one has caught up. Ctrl-C leaves the build going on; `kennel cancel` ends it.")]
pub(super) struct Rebuild {
    #[command(flatten)]
    request: Request,
    /// When the new read model is promoted: `auto` or `manual`
    #[arg(long = "promote", value_name = "WHEN", default_value_t = Promotion::Auto)]
    promotion: Promotion,
    /// Do not wait for it
    #[arg(long)]
    detach: bool,
}

impl Rebuild {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.request.build(config, Operation::Rebuild { promotion: self.promotion }, self.detach).await
    }
}

/// Returns to the deployment that served before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel rollback order-summary
  kennel rollback order-summary --to 3 --reason 'totals are wrong'

After a rebuild the old read model is brought up to date first, and then replaces the newer one as a whole. After a `continue` only \
the code returns: what the newer code has written stays. `kennel deployments` lists the deployments to return to. To \
return from the one that serves after a rollback, name another with --to.")]
pub(super) struct Rollback {
    #[command(flatten)]
    request: Request,
    /// The number of the deployment to return to [default: the one that served before]
    #[arg(long, value_name = "NUMBER")]
    to: Option<u32>,
    /// Do not wait until it serves
    #[arg(long)]
    detach: bool,
}

impl Rollback {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.request.build(config, Operation::Rollback { to: self.to }, self.detach).await
    }
}

/// Promotes the candidate: its read model begins to serve once it has caught up.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel promote order-summary")]
pub(super) struct Promote {
    #[command(flatten)]
    request: Request,
    /// Do not wait until it serves
    #[arg(long)]
    detach: bool,
}

impl Promote {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        self.request.build(config, Operation::Promote, self.detach).await
    }
}

/// Cancels the candidate; the serving deployment goes on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel cancel order-summary --reason 'wrong component'")]
pub(super) struct Cancel {
    #[command(flatten)]
    request: Request,
}

impl Cancel {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.request.name.clone();
        let reported = move |change: &ChangeView| {
            format!("deployment {} of `{name}` was cancelled", change.deployment.unwrap_or_default())
        };
        self.request.send(config, Operation::Cancel, reported).await
    }
}

/// Pauses a projection where it is, until it is resumed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel pause order-summary --reason 'the disk is nearly full'")]
pub(super) struct Pause {
    #[command(flatten)]
    request: Request,
}

impl Pause {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.request.name.clone();
        let reported = move |change: &ChangeView| match change.changed {
            true => format!("`{name}` is paused: nothing more is committed until `kennel resume {name}`"),
            false => format!("`{name}` was paused already"),
        };
        self.request.send(config, Operation::Pause, reported).await
    }
}

/// Resumes a paused projection.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kennel resume order-summary")]
pub(super) struct Resume {
    #[command(flatten)]
    request: Request,
}

impl Resume {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.request.name.clone();
        let reported = move |change: &ChangeView| match change.changed {
            true => format!("`{name}` goes on"),
            false => format!("`{name}` was not paused"),
        };
        self.request.send(config, Operation::Resume, reported).await
    }
}

/// Goes on with a log that was set back, by a restore or a failover, below what a projection has handled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel status
  kennel accept-log order-summary --after 60 --reason 'restored from last night'
  kennel rebuild order-summary

While the log does not hold what was handled, the projection is halted and `kennel status` describes the condition. This operation \
keeps the read model as it is, with the changes of events that are gone, and has the events that the log holds after the \
given position handled. The position is that of the last event that was there before; 0 if there is none. `kennel rebuild` \
builds the read model from what the log holds now instead.")]
pub(super) struct AcceptLog {
    #[command(flatten)]
    request: Request,
    /// The last position that the log has kept: events after it are handled
    #[arg(long, value_name = "POSITION")]
    after: u64,
}

impl AcceptLog {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let (name, after) = (self.request.name.clone(), self.after);
        let reported = move |_: &ChangeView| format!("`{name}` goes on after {after}");
        self.request.send(config, Operation::AcceptLog { after }, reported).await
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
    request: Request,
    /// Remove the read model as well
    #[arg(long)]
    drop_read_model: bool,
}

impl Retire {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let name = self.request.name.clone();
        let drop = self.drop_read_model;
        let reported = move |change: &ChangeView| match (change.changed, drop) {
            (false, _) => format!("`{name}` was retired already"),
            (true, false) => format!("`{name}` is retired; its read model stays as it is"),
            (true, true) => format!("`{name}` is retired and its read model is being deleted"),
        };
        self.request.send(config, Operation::Retire { drop_read_model: drop }, reported).await
    }
}
