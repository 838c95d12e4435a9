//! How long a request may take, and how many of those that cost much may be at work at once.
//!
//! A request that takes too long is given up, and so is one whose client has gone. Nothing is half done then: whatever
//! an order changes is one transaction, which was committed or was not.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;

use super::problem::Problem;

/// For what only reads or writes a few rows.
pub(crate) const SHORT: Duration = Duration::from_secs(10);
/// For what compares whole read models.
pub(crate) const COMPARING: Duration = Duration::from_secs(60);
/// For what may have to compile a component, which may take 5 minutes.
pub(crate) const COMPILING: Duration = Duration::from_secs(330);

/// How many requests that may compile are at work at once. Each holds a component in memory.
const PLACES: usize = 4;
/// How long a request waits for a place.
const PLACE_WAIT: Duration = Duration::from_secs(5);

/// The places for requests that cost much.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

/// Lets a request take so long, body and all.
pub(super) async fn within(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout(limit).into_response(),
    }
}

/// Lets a request in when there is a place, before its body is read.
pub(super) async fn in_turn(State(places): State<Places>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(PLACE_WAIT, places.0.acquire()).await {
        Ok(Ok(_place)) => next.run(request).await,
        _ => Problem::busy(PLACE_WAIT).into_response(),
    }
}
