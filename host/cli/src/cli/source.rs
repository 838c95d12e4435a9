//! Where a component comes from: a file, a digest of one that the store holds, or a registry of images.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use kennel_core::digest::Digest;
use kennel_core::limits;

use super::control::rendered;
use super::pull;
use crate::exit::ExitKind;
use crate::oci;
use kennel::control::{Control, ControlError};

/// Fewest digits of a digest that may stand for it: as many as are shown.
const DIGEST_DIGITS_MIN: usize = 12;

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    /// The beginning of a digest, or all of it.
    Digest(String),
    /// A registry of images.
    Registry(oci::Reference),
}

/// A component that the store holds, and where it came from if that is worth recording as the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) digest: Digest,
    pub(super) from: Option<String>,
}

impl FromStr for Source {
    type Err = oci::InvalidReference;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(oci::SCHEME) {
            return text.parse().map(Self::Registry);
        }
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let hex = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digest = hex && (DIGEST_DIGITS_MIN..=64).contains(&digits.len());
        // If there is a file of that name, it is meant.
        Ok(match digest && !Path::new(text).exists() {
            true => Self::Digest(digits.to_owned()),
            false => Self::File(text.into()),
        })
    }
}

impl Source {
    /// Stores the component.
    pub(super) async fn put_component(&self, control: &dyn Control) -> anyhow::Result<Stored> {
        let mut from = None;
        let digest = match self {
            Self::File(file) => {
                let stored = control.put_component(read_component(file)?).await;
                digest(&stored.map_err(|error| rendered(error, &file.display()))?.digest)
            }
            Self::Registry(reference) => {
                let pulled = pull::fetch(reference).await?;
                from = Some(reference.pinned(pulled.manifest).to_string());
                let stored = control.put_component(pulled.bytes).await;
                digest(&stored.map_err(|error| rendered(error, reference))?.digest)
            }
            Self::Digest(digits) => {
                let components = control.components().await?;
                let found: Vec<&str> = components
                    .iter()
                    .map(|one| one.digest.as_str())
                    .filter(|one| one.starts_with(digits))
                    .collect();
                match found[..] {
                    [one] => digest(one),
                    [] => Err(ExitKind::Missing.error(format!(
                        "the store holds no component {digits}: `kennel components` lists those it holds"
                    ))),
                    _ => Err(ExitKind::Input
                        .error(format!("several components begin with {digits}: give more of the digest"))),
                }
            }
        };
        digest.map(|digest| Stored { digest, from })
    }
}

fn digest(text: &str) -> anyhow::Result<Digest> {
    text.parse().map_err(|_| ControlError::Invalid(format!("`{text}` is not a digest")).into())
}

/// Reads a component's file, unless it is larger than any component may be.
pub(super) fn read_component(file: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot =
        |error: std::io::Error| ExitKind::Input.error(format!("cannot read {}: {error}", file.display()));
    let max = limits::COMPONENT_BYTES_MAX as u64;
    let opened = File::open(file).map_err(cannot)?;
    let metadata = opened.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(ExitKind::Input.error(format!(
            "{0} is a folder: `kennel build {0}` builds the projection in it; give the .wasm file that it leaves",
            file.display()
        )));
    }
    let size = metadata.len();
    // A pipe has no size beforehand, and may never end.
    let mut bytes = Vec::new();
    if size <= max {
        opened.take(max + 1).read_to_end(&mut bytes).map_err(cannot)?;
    }
    let size = size.max(bytes.len() as u64);
    if size > max {
        return Err(ExitKind::Input.error(format!(
            "{} has {} MiB; a component has at most {} MiB",
            file.display(),
            size.div_ceil(1 << 20),
            max >> 20
        )));
    }
    Ok(bytes)
}

/// Reads an example that `make guests` has built.
pub(super) fn read_example(file: &Path) -> anyhow::Result<Vec<u8>> {
    read_component(file).map_err(|error| {
        ExitKind::Input
            .error(format!("{error}; `make guests` builds the examples, --guests says where they are"))
    })
}
