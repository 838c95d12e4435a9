//! Components in OCI registries: published by a tag, fetched by a tag or a digest, verified either way.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `reference` | `oci://REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]` |
//! | `artifact` | the documents that make a component an artifact, written and read |
//! | `client` | the conversation with a registry |
//! | `credentials` | what `docker login` has left behind |
//! | `error` | the errors, with messages for people |
//!
//! The layout is that of the CNCF's guide, "Wasm OCI Artifact layout". Components are not judged here, neither when
//! they are pushed nor when they are pulled: whether a host can run one is the runtime's to say. The documents that a
//! registry sends along with a component are bounded by the time that a transfer may take, not in size.

mod artifact;
mod client;
mod credentials;
mod error;
mod reference;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::digest::Digest;
use kennel_core::limits;

use artifact::Artifact;
use client::Connection;

pub use error::{OciError, Unfit};
pub use reference::{InvalidReference, Reference, SCHEME};

/// Longest time that a registry may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that one push or pull may take, from the first connection to the last byte.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The annotations of an artifact in its manifest, such as `org.opencontainers.image.title`.
pub type Annotations = BTreeMap<String, String>;

/// A component that was fetched.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The component as it was pushed.
    pub bytes: Vec<u8>,
    /// The digest of those bytes, by which Kennel knows the component.
    pub digest: Digest,
    /// The digest of the manifest: the same reference with it means this component for ever.
    pub manifest: Digest,
}

/// Hears of a transfer's progress: how many of how many bytes of the component have been moved. The default
/// one does not listen.
#[derive(Clone, Default)]
pub struct TransferWatch(Option<Arc<dyn Fn(u64, u64) + Send + Sync>>);

impl TransferWatch {
    /// Calls `hear` again and again with the bytes moved and the bytes in all.
    pub fn new(hear: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    fn report(&self, moved: u64, total: u64) {
        if let Some(hear) = &self.0 {
            hear(moved, total);
        }
    }
}

impl fmt::Debug for TransferWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

/// Fetches a component. What arrives is what the manifest names, and the manifest is what the reference names if
/// that has a digest; anything else is an error.
pub async fn pull(reference: &Reference, watch: TransferWatch) -> Result<Pulled, OciError> {
    within_time(reference, async {
        let connection = Connection::open(reference).await?;
        let manifest = connection.manifest().await?;
        let layer = artifact::layer_of(&manifest)
            .map_err(|unfit| OciError::Unfit { reference: reference.to_string(), unfit })?;
        let bytes = connection.layer(layer, &watch).await?;
        Ok(Pulled { bytes, digest: layer.digest, manifest: Digest::of(&manifest) })
    })
    .await
}

/// Publishes a component under a tag and returns the digest of its manifest. The same component with the same
/// annotations has the same manifest, whichever user pushes it and whenever, so that pushing again changes nothing.
pub async fn push(
    component: Arc<[u8]>,
    reference: &Reference,
    annotations: &Annotations,
    watch: TransferWatch,
) -> Result<Digest, OciError> {
    if reference.digest().is_some() {
        return Err(OciError::Pinned { reference: reference.to_string() });
    }
    let size = component.len() as u64;
    if size > limits::COMPONENT_BYTES_MAX as u64 {
        return Err(OciError::Unfit { reference: reference.to_string(), unfit: Unfit::TooLarge(size) });
    }
    let Artifact { layer, config, manifest } = Artifact::of(&component, annotations);
    within_time(reference, async {
        let connection = Connection::open(reference).await?;
        connection.put_blob(component, layer, &watch).await?;
        let config_digest = Digest::of(&config);
        connection.put_blob(config.into(), config_digest, &TransferWatch::default()).await?;
        let digest = Digest::of(&manifest);
        connection.put_manifest(manifest).await?;
        Ok(digest)
    })
    .await
}

async fn within_time<T>(
    reference: &Reference,
    transfer: impl Future<Output = Result<T, OciError>>,
) -> Result<T, OciError> {
    // The future of a transfer is large, and futures that wait for it should not have to be.
    let in_time = tokio::time::timeout(TRANSFER_TIMEOUT, Box::pin(transfer)).await;
    in_time.unwrap_or_else(|_| {
        Err(OciError::Slow { registry: reference.registry().to_owned(), limit: TRANSFER_TIMEOUT })
    })
}

/// Lets TLS use the provider of cryptography that the database's connections use. Doing it again changes nothing.
pub(crate) fn install_tls() {
    // An error means that one is installed already, maybe by the program that embeds Kennel: its choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
