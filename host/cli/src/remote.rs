//! The operations through the API of a host that runs: no database, no runtime, no component is touched here.

mod host;

use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::name::ProjectionName;
use kennel_core::retry::Backoff;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::oci::install_tls;
use kennel::control::status::StatusView;
use kennel::control::view::{ChangeView, ComponentView, DiffView, OperationView, ProjectionView};
use kennel::control::{Control, ControlError, ControlErrorKind, Operation, Requester, operation};
use kennel_server::token::Token;
use kennel_server::{PROBLEM_JSON, error_kind, request_limits};

pub use host::{HostUrl, InvalidHostUrl};

/// Longest time that a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer than the host itself a request waits for it: its error says more than a timeout here.
const MARGIN: Duration = Duration::from_secs(10);
/// How often a request that may be repeated is sent when the connection fails, and the first and the longest pause
/// between.
const TRIES: u32 = 3;
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The operations through a host.
#[derive(Clone, Debug)]
pub struct Remote {
    host: HostUrl,
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
}

/// A host that cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(
        "the token would cross the network to {0} for everybody to read: use https://, or a tunnel that ends at \
         http://localhost"
    )]
    InClear(HostUrl),
    #[error("no requests can be sent from here")]
    Client(#[source] reqwest::Error),
}

/// A request to a host.
struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    samples: Option<usize>,
    body: Option<(&'static str, Vec<u8>)>,
    /// How long the host may take.
    limit: Duration,
}

impl<'a> Call<'a> {
    fn get(path: &'a [&'a str]) -> Self {
        Self { method: Method::GET, path, samples: None, body: None, limit: request_limits::SHORT }
    }
}

impl Remote {
    /// The operations through the host at this URL, with this token if it asks for one.
    ///
    /// # Errors
    /// If the token would be sent so that others can read it, or if this machine cannot do TLS.
    pub fn new(host: HostUrl, token: Option<&Token>) -> Result<Self, RemoteError> {
        if token.is_some() && !host.is_private() {
            return Err(RemoteError::InClear(host));
        }
        install_tls();
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("kennel/", env!("CARGO_PKG_VERSION")))
            // The token is for this host alone.
            .redirect(reqwest::redirect::Policy::none());
        let builder = if host.is_loopback() { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(RemoteError::Client)?;
        let authorization = token.and_then(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Ok(Self { host, client, authorization })
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, ControlError> {
        let url = self.host.at(call.path);
        let response = self.send(&call, &url).await?;
        let bytes = response.bytes().await.map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&bytes).map_err(|error| ControlError::NotAHost {
            kind: ControlErrorKind::Failed,
            detail: format!(
                "{} is no Kennel host, or one of another version: its answer to {} {} is not understood here: {error}",
                self.host,
                call.method,
                url.path()
            ),
        })
    }

    /// Sends a request until it is answered; the answer is a success.
    async fn send(&self, call: &Call<'_>, url: &Url) -> Result<Response, ControlError> {
        let mut tries = if call.method.is_idempotent() { TRIES } else { 1 };
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        let response = loop {
            let mut request = self
                .client
                .request(call.method.clone(), url.clone())
                .timeout(call.limit + MARGIN)
                .header(ACCEPT, "application/json, application/problem+json, application/wasm");
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some(samples) = call.samples {
                request = request.query(&[("samples", samples)]);
            }
            if let Some((content_type, body)) = &call.body {
                request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
            }
            tries -= 1;
            match request.send().await {
                Ok(response) => break response,
                Err(error) if tries > 0 && !error.is_timeout() => {
                    tracing::debug!(%error, "the host cannot be reached; trying again");
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                Err(error) => return Err(self.unreachable(error)),
            }
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.error_of(call, url, response).await)
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> ControlError {
        // The URL is in the sentence already.
        ControlError::Unreachable { host: self.host.to_string(), source: Box::new(error.without_url()) }
    }

    /// What an answer that is no success says.
    async fn error_of(&self, call: &Call<'_>, url: &Url, response: Response) -> ControlError {
        /// A problem, as far as it is reported.
        #[derive(Deserialize)]
        struct Reported {
            #[serde(rename = "type")]
            urn: String,
            detail: String,
        }
        let status = response.status();
        let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|given| given == PROBLEM_JSON);
        let reported = if is_problem { response.json::<Reported>().await.ok() } else { None };
        match reported {
            Some(Reported { urn, detail }) => match error_kind(&urn) {
                Some(kind) => ControlError::Host { kind, detail },
                // That of a proxy, or of a later version.
                None => ControlError::NotAHost { kind: kind_of(status), detail },
            },
            None => self.strange(call, url, status),
        }
    }

    /// An answer that does not come from the API of a host: its status is all that is understood of it.
    fn strange(&self, call: &Call<'_>, url: &Url, status: StatusCode) -> ControlError {
        let (host, what) = (&self.host, format!("it answered {} {} with {status}", call.method, url.path()));
        let detail = match status.as_u16() {
            300..400 => format!("{host} leads elsewhere: {what}; give the URL that it leads to"),
            502..=504 => format!("a proxy before {host} cannot reach it: {what}; try again later"),
            _ => format!("{host} is no Kennel host, or one that is too old to have an API: {what}"),
        };
        ControlError::NotAHost { kind: kind_of(status), detail }
    }
}

/// The kind of an error of which only the status is understood.
fn kind_of(status: StatusCode) -> ControlErrorKind {
    match status.as_u16() {
        401 | 403 => ControlErrorKind::Forbidden,
        404 => ControlErrorKind::NotFound,
        409 => ControlErrorKind::Conflict,
        422 => ControlErrorKind::Unsupported,
        400..500 => ControlErrorKind::Invalid,
        502..=504 => ControlErrorKind::Unavailable,
        _ => ControlErrorKind::Failed,
    }
}

const JSON: &str = "application/json";

#[async_trait]
impl Control for Remote {
    async fn status(&self) -> Result<StatusView, ControlError> {
        self.ask(Call::get(&["v1", "status"])).await
    }

    async fn projections(&self) -> Result<Vec<ProjectionView>, ControlError> {
        self.ask(Call::get(&["v1", "projections"])).await
    }

    async fn projection(&self, name: &ProjectionName) -> Result<ProjectionView, ControlError> {
        self.ask(Call::get(&["v1", "projections", name.as_str()])).await
    }

    async fn operations(&self, name: &ProjectionName) -> Result<Vec<OperationView>, ControlError> {
        self.ask(Call::get(&["v1", "projections", name.as_str(), "operations"])).await
    }

    async fn components(&self) -> Result<Vec<ComponentView>, ControlError> {
        self.ask(Call::get(&["v1", "components"])).await
    }

    async fn component(&self, digest: Digest) -> Result<Vec<u8>, ControlError> {
        let path = ["v1", "components", &digest.to_string()];
        let call = Call { limit: request_limits::COMPILING, ..Call::get(&path) };
        let response = self.send(&call, &self.host.at(&path)).await?;
        Ok(response.bytes().await.map_err(|error| self.unreachable(error))?.into())
    }

    async fn put_component(&self, bytes: Vec<u8>) -> Result<ComponentView, ControlError> {
        let digest = Digest::of(&bytes).to_string();
        // Asked first, because it is cheap: a component that the host would reject unread need not be sent.
        self.components().await?;
        let body = Some(("application/wasm", bytes));
        let path = ["v1", "components", &digest];
        self.ask(Call { method: Method::PUT, body, limit: request_limits::COMPILING, ..Call::get(&path) })
            .await
    }

    async fn carry_out(
        &self,
        name: &ProjectionName,
        operation: Operation,
        requester: Requester,
    ) -> Result<ChangeView, ControlError> {
        let path = ["v1", "projections", name.as_str(), operation::path(operation.kind())];
        let body = Some((JSON, operation.into_body(requester).map_err(unwritten)?));
        self.ask(Call { method: Method::POST, body, limit: request_limits::COMPILING, ..Call::get(&path) })
            .await
    }

    async fn diff(&self, name: &ProjectionName, samples: usize) -> Result<DiffView, ControlError> {
        let path = ["v1", "projections", name.as_str(), "diff"];
        self.ask(Call { samples: Some(samples), limit: request_limits::COMPARING, ..Call::get(&path) }).await
    }
}

fn unwritten(error: serde_json::Error) -> ControlError {
    ControlError::Invalid(format!("the operation cannot be written as JSON: {error}"))
}
