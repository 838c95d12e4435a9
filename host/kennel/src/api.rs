//! The HTTP endpoints that `kennel run` serves: /metrics, /healthz and /readyz.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kennel_engine::{Shutdown, Status};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::net::TcpListener;
use tower_http::timeout::TimeoutLayer;

use crate::exit::Kind;

/// Longest time that a request may take.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// What the endpoints tell about.
#[derive(Clone, Debug)]
pub struct Sources {
    pub registry: Registry,
    pub status: Arc<Status>,
}

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
pub async fn serve(listener: TcpListener, sources: Sources, mut stop: Shutdown) -> anyhow::Result<()> {
    let app = router(sources);
    axum::serve(listener, app).with_graceful_shutdown(async move { stop.requested().await }).await?;
    Ok(())
}

/// The routes, for programs that serve them beside their own.
pub fn router(sources: Sources) -> Router {
    Router::new()
        .route("/metrics", get(|State(sources): State<Sources>| metrics(State(sources.registry))))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_DEADLINE))
        .with_state(sources)
}

/// Everything that is registered, as Prometheus reads it.
pub(crate) async fn metrics(State(registry): State<Registry>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The process answers: that is all that a liveness probe should ask.
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 when nothing stands still, else 503 with one line for each obstacle.
async fn readyz(State(sources): State<Sources>) -> Response {
    let blocked = sources.status.blocked();
    if blocked.is_empty() {
        return "ready\n".into_response();
    }
    let lines: String = blocked.iter().map(|(part, reason)| format!("{part}: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}
