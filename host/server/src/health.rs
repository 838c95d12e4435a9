//! /metrics, /healthz and /readyz: how the process is doing. They change nothing, and are open to everybody who can reach
//! the port, as probes and scrapers expect. The reasons in /readyz are those of the status: they may name hosts, and
//! quote what a guest says of an event.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use kennel_core::text::escaped;
use kennel_engine::{Part, Status};
use prometheus::{Encoder as _, Registry, TextEncoder};
use tower_http::timeout::TimeoutLayer;

use super::answers::{Answers, bounded};
use super::request_limits;

/// What the endpoints report.
#[derive(Clone, Debug)]
pub struct Sources {
    pub registry: Registry,
    pub status: Arc<Status>,
}

pub(super) fn router(sources: Sources) -> Router {
    // Probes are not among them: whatever others do, they have to be answered.
    let answers = middleware::from_fn_with_state(Answers::default(), bounded);
    Router::new()
        .route(
            "/metrics",
            get(|State(sources): State<Sources>| metrics(State(sources.registry))).layer(answers),
        )
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, request_limits::SHORT))
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

/// 200 when nothing is blocked, else 503 with one line for each part that is, and the reason.
async fn readyz(State(sources): State<Sources>) -> Response {
    let blocked = sources.status.blocked();
    if blocked.is_empty() {
        return "ready\n".into_response();
    }
    // The reasons may quote guests and events, and are read in terminals.
    let line = |(part, reason): (&Part, &String)| format!("{part}: {}\n", escaped(reason));
    let mut lines: Vec<String> = blocked.iter().map(line).collect();
    lines.sort_unstable();
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat()).into_response()
}
