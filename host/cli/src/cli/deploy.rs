//! `kennel deploy`: deploys a component to a projection.

use std::process::ExitCode;

use clap::Args;

use kennel_core::lifecycle::{Activity, Mode, Outcome, Promotion};
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::projection::OnFailure;

use super::control::{ControlArgs, RequesterArgs};
use super::follow::follow;
use super::source::Source;
use super::{output, values};
use crate::config::{Config, ProjectionConfig};
use kennel::control::view::{ChangeView, DeploymentView, ProjectionView};
use kennel::control::{Control, Operation, Requester};

const EXAMPLES: &str = "\
Examples:
  kennel deploy order-summary target/guests/order-summary.wasm
  kennel deploy audit-log audit.wasm --on-failure dead-letter --set retention=30
  kennel deploy order-summary new.wasm --mode rebuild --reason 'totals with tax'
  kennel deploy order-summary 3f2a91c04b7d
  kennel deploy order-summary oci://ghcr.io/shop/order-summary:1.2

The component is checked, compiled and asked to describe itself before anything changes; until then, and if it is \
unsupported, the serving deployment goes on. `continue` swaps the code at the next batch of each partition. `rebuild` builds a read \
model of its own from the start of the log, beside the one that serves, and replaces that once it has caught up; \
`kennel rollback` returns from both.

Settings stay as they are unless something else is said here or in kennel.toml, key by key:
  [projections.audit-log]
  on_failure = \"dead-letter\"";

/// Checks a component and has a projection run it, from now on or once its read model has been built.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Deploy {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    /// The component: a file, the digest of one that the store holds, or oci://REGISTRY/REPOSITORY[:TAG][@DIGEST]
    #[arg(value_name = "FILE|DIGEST|oci://…")]
    source: Source,
    /// How the new code comes to the projection: `continue` or `rebuild`
    #[arg(long, value_name = "MODE", default_value_t = Mode::Continue)]
    mode: Mode,
    /// When a read model that was built is promoted: `auto` or `manual`
    #[arg(long = "promote", value_name = "WHEN", default_value_t = Promotion::Auto)]
    promotion: Promotion,
    /// Do not wait for a read model to be built
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    requester: RequesterArgs,
    /// What becomes of an event that cannot be handled: `halt` or `dead-letter` [default: as before; `halt` at first]
    #[arg(long, value_name = "POLICY")]
    on_failure: Option<OnFailure>,
    /// Most events handled and committed together [default: as before; 1000 at first]
    #[arg(long, value_name = "EVENTS", value_parser = values::batch)]
    batch: Option<usize>,
    /// A setting that the guest can read; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    settings: Vec<(String, String)>,
    /// A setting to remove; may be given many times
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
    /// The replica set that runs a new projection [default: that of `kennel run` here, else main]
    #[arg(long, value_name = "NAME")]
    replica_set: Option<ReplicaSet>,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

impl Deploy {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open_or_create(config).await?;
        let component = self.source.put_component(&*control).await?;
        let unset = self.unset.iter().map(|key| (key.clone(), None));
        let set = self.settings.iter().map(|(key, value)| (key.clone(), Some(value.clone())));
        let given = ProjectionConfig {
            batch: self.batch,
            on_failure: self.on_failure,
            config: unset.chain(set).collect(),
            grants: None,
        };
        let section = config.projections.get(&self.name).cloned().unwrap_or_default();
        let deploy = Operation::Deploy {
            component: component.digest,
            mode: self.mode,
            promotion: self.promotion,
            replica_set: self.replica_set.clone(),
            settings: section.with(given),
            force: false,
        };
        let requester = self.requester.requester();
        let requester = Requester { reason: requester.reason.or(component.from), ..requester };
        let change = control.carry_out(&self.name, deploy, requester).await?;
        finish(&*control, &self.name, change, self.detach, self.json).await
    }
}

/// Waits until the candidate is built, unless `detach` is set, and reports the outcome of the operation.
pub(super) async fn finish(
    control: &dyn Control,
    name: &ProjectionName,
    change: ChangeView,
    detach: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (changed, deployment) = (change.changed, change.deployment);
    let projection = if detach { change.projection } else { follow(control, name, change).await? };
    let change = ChangeView { changed, deployment, projection };
    if json {
        output::json(&change)?;
    } else {
        output::line(reported(name, &change))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The outcome of an operation, in a sentence or two.
pub(super) fn reported(name: &ProjectionName, change: &ChangeView) -> String {
    let ChangeView { changed, deployment, projection } = change;
    let Some(found) = deployment.and_then(|number| projection.deployment(number)) else {
        return format!("`{name}` is as it was");
    };
    let returns = found.returns_to.map(|number| format!(", as in deployment {number}")).unwrap_or_default();
    let what = format!(
        "deployment {} of `{name}`: component {} ({} {}{returns})",
        found.number,
        output::short(&found.component),
        found.name,
        found.version
    );
    let then = match (found.outcome, changed) {
        (Outcome::Serving, false) => "serves already; nothing was changed".to_owned(),
        (Outcome::Serving, true) => serves(projection),
        (Outcome::Candidate, _) => candidate(name, projection),
        (Outcome::Superseded, _) => "has served, and another has replaced it since".to_owned(),
        (Outcome::Cancelled, _) => "was cancelled".to_owned(),
    };
    format!("{what} {then}{}", collections(*changed, found, projection))
}

/// A sentence more if the collections are declared in another way than by the code that is continued.
fn collections(changed: bool, found: &DeploymentView, projection: &ProjectionView) -> String {
    let before = projection.continued_by(found.number).filter(|_| changed);
    match before.filter(|before| before.collections != found.collections) {
        Some(before) => format!(
            ". The collections that it declares differ from those of deployment {}; its tables stay as they are",
            before.number
        ),
        None => String::new(),
    }
}

fn serves(projection: &ProjectionView) -> String {
    match (projection.activity, projection.workers) {
        (Activity::Paused, _) => "serves; the projection is paused, `kennel resume` has it go on".to_owned(),
        (_, 0) => "serves; `kennel run` will run it".to_owned(),
        _ => "serves".to_owned(),
    }
}

fn candidate(name: &ProjectionName, projection: &ProjectionView) -> String {
    let Some(build) = &projection.candidate else { return "is being built".to_owned() };
    let far = format!(
        "is being built: at position {} of {}",
        output::thousands(build.position),
        output::thousands(build.position + build.remaining)
    );
    match build.promotion {
        Promotion::Auto => format!("{far}. `kennel status` shows how far it is"),
        Promotion::Manual => {
            format!("{far}. `kennel diff {name}` compares it, `kennel promote {name}` promotes it")
        }
    }
}
