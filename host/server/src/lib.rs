//! Kennel over HTTP: health, metrics and the operations on projections.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `health` | /metrics, /healthz and /readyz, for probes and scrapers |
//! | [`v1`] | /v1: the operations of [`kennel::control`], and their document |
//! | [`metrics`] | a server for metrics alone, for programs that embed Kennel |
//! | [`authentication`], [`token`] | who may use /v1 |
//! | `connections` | how many connections there may be, and how long they may be silent |
//! | `state` | what the operations work with |
//! | `stream` | how long a client may let its answer lie |
//! | `answers` | how much memory answers take on their way |
//! | `panics` | what becomes of a request whose answer panics |
//! | `problem` | errors as `application/problem+json` |
//! | `extract` | what a request is made of, read so that every mistake becomes a problem |
//! | `request_limits` | how long a request may take, and how many may work at once |
//! | `projections`, `components` | the operations, one function each |
//!
//! It speaks plain HTTP: for encryption, operators put a proxy in front of it.

mod answers;
pub mod authentication;
mod components;
mod connections;
mod extract;
mod health;
pub mod metrics;
mod panics;
mod problem;
mod projections;
pub mod request_limits;
mod state;
mod stream;
pub mod token;
pub mod v1;

use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::Router;
use kennel_engine::Shutdown;
use tokio::net::TcpListener;

pub use authentication::Authentication;
pub use health::Sources;
pub use panics::caught;
pub use problem::{PROBLEM_JSON, error_kind};
pub use v1::Api;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}")]
pub struct BindError {
    address: SocketAddr,
    reason: String,
    kind: ErrorKind,
}

impl BindError {
    /// Whether another program uses the port.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.kind == ErrorKind::AddrInUse
    }
}

/// Takes the address, so that a port in use is noticed before any work begins.
///
/// # Errors
/// If another program uses the port, if it needs special rights, or if the address is not one of this machine.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|error| {
        let kind = error.kind();
        let reason = match kind {
            ErrorKind::AddrInUse => {
                "another program uses the port; choose another with --listen, or 127.0.0.1:0 for any free one"
                    .to_owned()
            }
            ErrorKind::PermissionDenied => {
                "ports below 1024 need special rights; choose a higher one with --listen".to_owned()
            }
            _ => format!("{error}; choose an address of this machine with --listen"),
        };
        BindError { address, reason, kind }
    })
}

/// Serves until a stop is asked for and the requests under way have ended.
///
/// A connection may be silent for 10 s, and a client may take nothing of its answer for as long. There are at most 512
/// connections, and fewer where the process may have only few files open.
pub async fn serve(listener: TcpListener, app: Router, stop: Shutdown) {
    connections::serve(listener, app, stop).await;
}

/// The routes for probes and scrapers, for programs that serve them beside their own.
pub fn router(sources: Sources) -> Router {
    health::router(sources)
}
