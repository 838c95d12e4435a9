//! `kennel push`: publishes a component in an OCI registry.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use kennel_core::projection::Descriptor;
use serde::Serialize;

use super::{output, pull, source};
use crate::oci::{self, Annotations, Reference};
use crate::wire;
use kennel::control::ControlError;

const EXAMPLES: &str = "\
Examples:
  kennel push order-summary.wasm oci://ghcr.io/shop/order-summary:1.2
  kennel push order-summary.wasm oci://localhost:5000/order-summary --json | jq -r .reference

The printed reference names this very component, whatever becomes of the tag. \
Credentials are those of `docker login`, `podman login` or `oras login`.";

/// Checks a component and publishes it in an OCI registry.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Push {
    /// The component
    file: PathBuf,
    /// Where to: oci://REGISTRY/REPOSITORY[:TAG]; without a tag, `latest`
    reference: Reference,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome {
    /// With the digest of the manifest.
    reference: String,
    tag: Option<String>,
    /// Of the component.
    digest: String,
    bytes: usize,
}

impl Push {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let bytes: Arc<[u8]> = source::read_component(&self.file)?.into();
        let size = bytes.len();
        let component = wire::runtime()?.prepare(bytes.clone()).await.map_err(|error| {
            let error = ControlError::Unsupported(error);
            crate::exit::kind_of_operation(&error)
                .error(format!("{}: {error}; nothing was pushed", self.file.display()))
        })?;
        let (watch, bar) = pull::watched("pushing");
        let annotations = annotations(component.descriptor());
        let pushed = oci::push(bytes, &self.reference, &annotations, watch).await;
        bar.finish_and_clear();
        let pinned = self.reference.pinned(pushed?).to_string();
        if self.json {
            output::json(&Outcome {
                reference: pinned,
                tag: self.reference.tag().map(str::to_owned),
                digest: component.digest().to_string(),
                bytes: size,
            })?;
        } else {
            output::line(pinned)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What registries show of an artifact, as far as the component says it of itself.
fn annotations(descriptor: &Descriptor) -> Annotations {
    let said = [("title", &descriptor.name), ("version", &descriptor.version)];
    let said = said.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.clone())).collect()
}
