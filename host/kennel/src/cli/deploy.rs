//! `kennel deploy`: checks a component, stores it and activates it as a projection.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use kennel_core::limits;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{Registry as _, Runtime};
use kennel_core::projection::{Deployment, OnFailure, Settings};

use super::{StoreArgs, output, values};
use crate::activate::{self, ActivateError};
use crate::config::{Config, ProjectionConfig};
use crate::exit::Kind;
use crate::wire::{self, Store};

const EXAMPLES: &str = "\
Examples:
  kennel deploy order-summary target/guests/order-summary.wasm
  kennel deploy audit-log audit.wasm --on-failure dead-letter --set retention=30

Settings can also stand in kennel.toml:
  [projections.audit-log]
  on_failure = \"dead-letter\"";

/// Checks a component, stores it and activates it as a projection.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Deploy {
    #[command(flatten)]
    store: StoreArgs,
    /// The name to deploy under
    name: ProjectionName,
    /// The component
    file: PathBuf,
    /// What becomes of an event that cannot be handled: `halt` (default) or `dead-letter`
    #[arg(long, value_name = "POLICY")]
    on_failure: Option<OnFailure>,
    /// Most events handled and committed together [default: 1000]
    #[arg(long, value_name = "EVENTS", value_parser = values::batch)]
    batch: Option<usize>,
    /// A setting that the guest can read; may be given many times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = values::setting)]
    settings: Vec<(String, String)>,
    /// The replica set that runs the projection
    #[arg(long, default_value = "main", value_name = "NAME")]
    replica_set: ReplicaSet,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome<'a> {
    projection: &'a ProjectionName,
    deployment: u32,
    digest: String,
    replica_set: &'a ReplicaSet,
}

impl Deploy {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let (projection, replica_set) = (self.name, self.replica_set);
        let given = ProjectionConfig {
            batch: self.batch,
            on_failure: self.on_failure,
            config: self.settings.iter().cloned().collect::<BTreeMap<_, _>>(),
        };
        let section = config.projections.get(&projection).cloned().unwrap_or_default();
        let settings = section.settings(&given);
        let bytes = read_component(&self.file)?;
        let store = wire::open(&self.store.target(config)?).await?;
        if let Some(existing) = store.find(&projection).await? {
            return Err(in_words(activate::exists(&existing), &self.file));
        }
        let runtime = wire::runtime()?;
        let deployment =
            activate(&store, &*runtime, (&self.file, bytes), &projection, &replica_set, settings).await?;
        let digest = deployment.digest;
        if self.json {
            output::json(&Outcome {
                projection: &projection,
                deployment: deployment.number,
                digest: digest.to_string(),
                replica_set: &replica_set,
            })?;
        } else {
            output::line(format!(
                "deployed {projection}: component {} ({} {}), deployment {}. `kennel run` will run it",
                digest.short(),
                deployment.descriptor.name,
                deployment.descriptor.version,
                deployment.number
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Checks a component that was read from `file`, stores it and activates it under a name that is free.
pub(super) async fn activate(
    store: &Store,
    runtime: &dyn Runtime,
    (file, bytes): (&Path, Vec<u8>),
    projection: &ProjectionName,
    replica_set: &ReplicaSet,
    settings: Settings,
) -> anyhow::Result<Deployment> {
    let activated = activate::activate(store, runtime, bytes, projection, replica_set, settings).await;
    activated.map_err(|error| in_words(error, file))
}

/// Reads an example that `make guests` has built.
pub(super) fn read_example(file: &Path) -> anyhow::Result<Vec<u8>> {
    read_component(file).map_err(|error| {
        Kind::Input.error(format!("{error}; `make guests` builds the examples, --guests says where they are"))
    })
}

fn in_words(error: ActivateError, file: &Path) -> anyhow::Error {
    match error {
        ActivateError::Refused(refusal) => Kind::Input.error(format!("{}: {refusal}", file.display())),
        ActivateError::Exists { .. } => Kind::Taken.of(error),
        ActivateError::Store(error) => error.into(),
    }
}

/// Reads a component's file, unless it is larger than any component may be.
pub(super) fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot =
        |error: std::io::Error| Kind::Input.error(format!("cannot read {}: {error}", file.display()));
    let size = std::fs::metadata(file).map_err(cannot)?.len();
    if size > limits::COMPONENT_BYTES_MAX as u64 {
        let max = limits::COMPONENT_BYTES_MAX >> 20;
        return Err(Kind::Input.error(format!(
            "{} has {} MiB; a component has at most {max} MiB",
            file.display(),
            size >> 20
        )));
    }
    std::fs::read(file).map_err(cannot)
}
