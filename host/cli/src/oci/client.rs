//! The conversation with a registry. The only place that names oci-client; its errors get their messages here.
//!
//! It does not follow the addresses that a manifest may give for its layers: a component comes from the registry that
//! was named.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kennel_core::digest::Digest;
use kennel_core::limits;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use reqwest::header::HeaderValue;
use tokio::io::AsyncWrite;

use super::artifact::{ACCEPTED_TYPES, Layer, MANIFEST_TYPE};
use super::credentials::{self, Login};
use super::error::{OciError, Unfit};
use super::reference::Reference;
use super::{CONNECT_TIMEOUT, TransferWatch, install_tls};

/// How much of a component is handed to the network at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// Longest part of a registry's answer that is reported, in bytes.
const ANSWER_BYTES_MAX: usize = 300;

/// A registry, ready to be asked about one reference.
pub(super) struct Connection<'a> {
    client: Client,
    auth: RegistryAuth,
    image: oci_client::Reference,
    reference: &'a Reference,
}

/// What was asked for when an error came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Manifest,
    Layer,
    Push,
}

impl<'a> Connection<'a> {
    /// Makes ready to talk; nothing is sent yet.
    pub(super) async fn open(reference: &'a Reference) -> Result<Self, OciError> {
        install_tls();
        let registry = reference.registry().to_owned();
        // Credentials may come from another program, which may take its time.
        let login = tokio::task::spawn_blocking(move || credentials::of(&registry)).await;
        let login = login.map_err(|error| OciError::Setup { cause: error.to_string() })??;
        let auth = login
            .map_or(RegistryAuth::Anonymous, |Login { user, password }| RegistryAuth::Basic(user, password));
        let config = ClientConfig {
            protocol: if reference.is_loopback() { ClientProtocol::Http } else { ClientProtocol::Https },
            // One request for a component: not every registry takes it in pieces.
            use_monolithic_push: true,
            connect_timeout: Some(CONNECT_TIMEOUT),
            user_agent: concat!("kennel/", env!("CARGO_PKG_VERSION")),
            // What goes to this machine, unencrypted, goes through no proxy that the environment names: one that is named
            // here is asked instead of that, and for none of these addresses.
            http_proxy: reference.is_loopback().then(|| "http://localhost".to_owned()),
            no_proxy: reference.is_loopback().then(|| "localhost,127.0.0.0/8,::1".to_owned()),
            ..ClientConfig::default()
        };
        let client =
            Client::try_from(config).map_err(|error| OciError::Setup { cause: root_cause(&error) })?;
        let image = image_of(reference);
        client.store_auth_if_needed(image.resolve_registry(), &auth).await;
        Ok(Self { client, auth, image, reference })
    }

    /// The manifest, as the registry has it; if the reference has a digest, the one with that.
    pub(super) async fn manifest(&self) -> Result<Vec<u8>, OciError> {
        let answer = self.client.pull_manifest_raw(&self.image, &self.auth, &ACCEPTED_TYPES).await;
        let (manifest, _) = answer.map_err(|error| self.explain(error, Asked::Manifest))?;
        let expected = self.reference.digest().unwrap_or_else(|| Digest::of(&manifest));
        self.verify(Asked::Manifest, &manifest, expected)?;
        Ok(manifest.to_vec())
    }

    /// The bytes of a layer.
    pub(super) async fn layer(&self, layer: Layer, watch: &TransferWatch) -> Result<Vec<u8>, OciError> {
        let digest = format!("sha256:{}", layer.digest);
        let mut received =
            Received { bytes: Vec::with_capacity(layer.size), size: layer.size, watch, too_long: false };
        let pulled = self.client.pull_blob(&self.image, digest.as_str(), &mut received).await;
        if received.too_long {
            let unfit = Unfit::LongerThanSaid(layer.size as u64);
            return Err(OciError::Unfit { reference: self.reference.to_string(), unfit });
        }
        pulled.map_err(|error| self.explain(error, Asked::Layer))?;
        self.verify(Asked::Layer, &received.bytes, layer.digest)?;
        Ok(received.bytes)
    }

    /// Uploads content, unless it is there already.
    pub(super) async fn put_blob(
        &self,
        content: Arc<[u8]>,
        digest: Digest,
        watch: &TransferWatch,
    ) -> Result<(), OciError> {
        let digest = format!("sha256:{digest}");
        let total = content.len() as u64;
        // A user who may push need not be allowed to pull, so that only a yes counts.
        if self.client.blob_exists(&self.image, &digest).await.is_ok_and(|exists| exists) {
            watch.report(total, total);
            return Ok(());
        }
        let watch = watch.clone();
        let chunks = (0..content.len()).step_by(CHUNK_BYTES).map(move |start| {
            let chunk = &content[start..content.len().min(start + CHUNK_BYTES)];
            watch.report((start + chunk.len()) as u64, total);
            Ok(chunk.to_vec().into())
        });
        let chunks = futures::stream::iter(chunks);
        let pushed = self.client.push_blob_stream(&self.image, chunks, &digest, Some(total)).await;
        pushed.map(drop).map_err(|error| self.explain(error, Asked::Push))
    }

    /// Makes the reference's tag stand for a manifest, whose content is there.
    pub(super) async fn put_manifest(&self, manifest: Vec<u8>) -> Result<(), OciError> {
        let of = HeaderValue::from_static(MANIFEST_TYPE);
        let pushed = self.client.push_manifest_raw(&self.image, manifest, of).await;
        pushed.map(drop).map_err(|error| self.explain(error, Asked::Push))
    }

    fn verify(&self, asked: Asked, content: &[u8], expected: Digest) -> Result<(), OciError> {
        let actual = Digest::of(content);
        if actual == expected {
            return Ok(());
        }
        Err(self.damaged(asked, format!("sha256:{expected}"), format!("sha256:{actual}")))
    }

    fn damaged(&self, asked: Asked, expected: String, actual: String) -> OciError {
        let what = if asked == Asked::Manifest { "manifest" } else { "component" };
        OciError::Damaged { reference: self.reference.to_string(), what, expected, actual }
    }

    /// Renders an error.
    fn explain(&self, error: OciDistributionError, asked: Asked) -> OciError {
        match error {
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                self.damaged(asked, expected, actual)
            }
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => self.unauthorized(),
            OciDistributionError::RegistryError { envelope, .. } => self.answered(&envelope, asked),
            OciDistributionError::ServerError { code: 401 | 403, .. } => self.unauthorized(),
            OciDistributionError::ServerError { code: 404, .. } => self.absent(asked),
            OciDistributionError::ServerError { code, message, .. } => {
                let said = serde_json::from_str::<OciEnvelope>(&message);
                self.failed(format!("{code} {}", said.map_or(message, |envelope| said_in(&envelope))))
            }
            OciDistributionError::RequestError(error) => self.unreached(&error),
            other => self.failed(root_cause(&other)),
        }
    }

    fn answered(&self, envelope: &OciEnvelope, asked: Asked) -> OciError {
        for error in &envelope.errors {
            match error.code {
                OciErrorCode::Unauthorized | OciErrorCode::Denied => return self.unauthorized(),
                OciErrorCode::BlobUnknown
                | OciErrorCode::ManifestBlobUnknown
                | OciErrorCode::ManifestUnknown
                | OciErrorCode::NameUnknown
                | OciErrorCode::NotFound => return self.absent(asked),
                _ => {}
            }
        }
        self.failed(said_in(envelope))
    }

    fn absent(&self, asked: Asked) -> OciError {
        let reference = self.reference.to_string();
        match asked {
            Asked::Manifest => OciError::Unknown { reference },
            Asked::Layer => OciError::Incomplete { reference },
            Asked::Push => self.failed(format!(
                "it does not know `{}`; create the repository first",
                self.reference.repository()
            )),
        }
    }

    fn unauthorized(&self) -> OciError {
        OciError::Unauthorized {
            registry: self.reference.registry().to_owned(),
            repository: self.reference.repository().to_owned(),
            who: if self.auth == RegistryAuth::Anonymous { "anonymous" } else { "your" },
        }
    }

    fn unreached(&self, error: &reqwest::Error) -> OciError {
        let registry = self.reference.registry().to_owned();
        if error.is_connect() || error.is_timeout() {
            let protocol = if self.reference.is_loopback() { "http" } else { "https" };
            return OciError::Unreachable { registry, protocol, cause: root_cause(error) };
        }
        self.failed(format!("the connection broke: {}; try again", root_cause(error)))
    }

    fn failed(&self, answer: String) -> OciError {
        OciError::Failed { registry: self.reference.registry().to_owned(), answer: printable(&answer) }
    }
}

/// The reference as oci-client has it. A digest decides, even beside a tag.
fn image_of(reference: &Reference) -> oci_client::Reference {
    let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => {
            oci_client::Reference::with_digest(registry, repository, format!("sha256:{digest}"))
        }
        (None, tag) => {
            oci_client::Reference::with_tag(registry, repository, tag.unwrap_or_default().to_owned())
        }
    }
}

/// What a registry says is wrong.
fn said_in(envelope: &OciEnvelope) -> String {
    let said = envelope.errors.iter().map(|error| error.message.as_str()).filter(|said| !said.is_empty());
    said.collect::<Vec<_>>().join("; ")
}

/// Text from elsewhere, fit for one line on a terminal.
fn printable(text: &str) -> String {
    let cut = limits::cut(text.trim(), ANSWER_BYTES_MAX);
    let plain: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if cut.len() < text.trim().len() { plain + "…" } else { plain }
}

/// The root cause of an error. The libraries in between say where they were, which does not help users.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Takes as many bytes as were announced, and not one more.
struct Received<'a> {
    bytes: Vec<u8>,
    size: usize,
    watch: &'a TransferWatch,
    too_long: bool,
}

impl AsyncWrite for Received<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() > self.size - self.bytes.len() {
            self.too_long = true;
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        self.bytes.extend_from_slice(bytes);
        self.watch.report(self.bytes.len() as u64, self.size as u64);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
