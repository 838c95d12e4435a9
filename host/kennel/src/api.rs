//! What `kennel run` serves over HTTP.
//!
//! | module | what lives there |
//! | --- | --- |
//! | `health` | /metrics, /healthz and /readyz, for probes and scrapers |
//! | [`v1`] | /v1: the operations of [`crate::control`], and their document |
//! | [`authentication`] | who may use /v1 |
//! | `connections` | how many connections there may be, and how long they may be silent |
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
mod panics;
mod problem;
mod projections;
pub(crate) mod request_limits;
mod stream;
pub mod v1;

use std::io::ErrorKind;
use std::net::SocketAddr;

use axum::Router;
use kennel_engine::Shutdown;
use tokio::net::TcpListener;

use crate::exit::Kind;

pub use authentication::Authentication;
pub use health::Sources;
pub(crate) use health::metrics;
pub use panics::caught;
pub(crate) use problem::PROBLEM_JSON;
pub use v1::Api;

/// Takes the address, so that a port in use is noticed before any work begins.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let (kind, reason) = match error.kind() {
            ErrorKind::AddrInUse => (
                Kind::Taken,
                "another program uses the port; choose another with --listen, or 127.0.0.1:0 for any free one"
                    .to_owned(),
            ),
            ErrorKind::PermissionDenied => (
                Kind::Config,
                "ports below 1024 need special rights; choose a higher one with --listen".to_owned(),
            ),
            _ => (Kind::Config, format!("{error}; choose an address of this machine with --listen")),
        };
        kind.error(format!("cannot listen on {address}: {reason}"))
    })
}

/// Serves until a stop is asked for and the requests under way have ended.
///
/// A connection may be silent for 10 s, and a client may take nothing of its answer for as long. There are at most 512, and fewer where the process may have only few files open.
pub async fn serve(listener: TcpListener, app: Router, stop: Shutdown) {
    connections::serve(listener, app, stop).await;
}

/// The routes for probes and scrapers, for programs that serve them beside their own.
pub fn router(sources: Sources) -> Router {
    health::router(sources)
}
