//! `kennel pull`: fetches a component from an OCI registry into a file.
//!
//! Whether this host can run it is not asked: that is what `kennel inspect` and `kennel deploy` do.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::file::unfinished;
use super::output;
use crate::exit::ExitKind;
use crate::oci::{self, OciError, Pulled, Reference, TransferWatch};

const EXAMPLES: &str = "\
Examples:
  kennel pull oci://ghcr.io/shop/order-summary:1.2
  kennel pull oci://ghcr.io/shop/order-summary:1.2 --output old.wasm
  kennel pull oci://localhost:5000/order-summary@sha256:DIGEST --json

Credentials are those of `docker login`, `podman login` or `oras login`.";

/// Fetches a component from an OCI registry and verifies its digest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Pull {
    /// Where from: oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]; without tag and digest, `latest`
    reference: Reference,
    /// The file to write [default: the last part of the repository, with .wasm]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there and differs
    #[arg(long)]
    force: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Outcome<'a> {
    file: &'a Path,
    /// With the digest of the manifest.
    reference: String,
    /// Of the component.
    digest: String,
    bytes: usize,
}

impl Pull {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let file = self.output.unwrap_or_else(|| format!("{}.wasm", self.reference.name()).into());
        let pulled = fetch(&self.reference).await?;
        save(&pulled.bytes, &file, self.force)?;
        let reference = self.reference.pinned(pulled.manifest).to_string();
        if self.json {
            let (digest, bytes) = (pulled.digest.to_string(), pulled.bytes.len());
            output::json(&Outcome { file: &file, reference, digest, bytes })?;
        } else {
            let (digest, bytes) = (pulled.digest.short(), output::thousands(pulled.bytes.len() as u64));
            output::line(format!(
                "pulled {}: component {digest}, {bytes} bytes, from {reference}",
                file.display()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Fetches a component, with a progress bar.
pub(super) async fn fetch(reference: &Reference) -> Result<Pulled, OciError> {
    let (watch, bar) = watched("pulling");
    let pulled = oci::pull(reference, watch).await;
    bar.finish_and_clear();
    pulled
}

/// A progress bar, and the watch that moves it.
pub(super) fn watched(label: &str) -> (TransferWatch, ProgressBar) {
    let bar = output::transfer(label);
    let moved = bar.clone();
    let watch = TransferWatch::new(move |done, total| {
        moved.set_length(total);
        moved.set_position(done);
    });
    (watch, bar)
}

/// Writes a file at once or not at all. One that is there already stays, unless it is to be replaced.
fn save(bytes: &[u8], file: &Path, force: bool) -> anyhow::Result<()> {
    let cannot =
        |error: io::Error| ExitKind::Input.error(format!("cannot write {}: {error}", file.display()));
    match fs::read(file) {
        Ok(present) if present == bytes => return Ok(()),
        Ok(_) if !force => return Err(taken(file)),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(error)),
    }
    let whole = unfinished(file, bytes).map_err(cannot)?;
    let kept = if force { whole.persist(file) } else { whole.persist_noclobber(file) };
    match kept {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Err(taken(file)),
        Err(failed) => Err(cannot(failed.error)),
    }
}

fn taken(file: &Path) -> anyhow::Error {
    ExitKind::Conflict.error(format!(
        "{} is there and has another content; --force replaces it, --output FILE writes elsewhere",
        file.display()
    ))
}
