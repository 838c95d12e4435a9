//! How long a request may take, how many of those that cost much may be at work at once, and how much memory those take
//! that have not arrived yet.
//!
//! A request that takes too long is abandoned, and so is one whose client has gone. Nothing is half done then: whatever
//! an operation changes is one transaction, which was committed or was not.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use kennel_core::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// For what only reads or writes a few rows.
pub const SHORT: Duration = Duration::from_secs(10);
/// For what compares whole read models, which may be large.
pub const COMPARING: Duration = Duration::from_secs(600);
/// For what may have to compile a component: a minute until it has arrived, 5 minutes to compile it, and some seconds.
pub const COMPILING: Duration = Duration::from_secs(390);
/// How long the body of an operation may take to arrive.
pub(super) const BODY_ARRIVES: Duration = Duration::from_secs(5);
/// How long a component may take to arrive.
pub(super) const COMPONENT_ARRIVES: Duration = Duration::from_secs(60);

/// How many requests of a kind that costs much are at work at once.
const PERMITS: usize = 4;
/// How long a request waits for a permit, or for room.
const PERMIT_WAIT: Duration = Duration::from_secs(5);
/// How much memory components take that are arriving or at work, in bytes: as much as all permits allow.
const ROOM_BYTES: usize = PERMITS * limits::COMPONENT_BYTES_MAX;
/// What room is given out in, in bytes: those who send hardly anything hold hardly anything, however many they are.
const ROOM_PIECE: usize = 64 * 1024;

/// The permits for requests that cost much.
#[derive(Clone, Debug)]
pub(super) struct Permits(Arc<Semaphore>);

impl Default for Permits {
    fn default() -> Self {
        Self::of(PERMITS)
    }
}

/// Lets a request take so long, body and all.
pub(super) async fn within(limit: Duration, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout(limit).into_response(),
    }
}

impl Permits {
    /// So many.
    pub(super) fn of(permits: usize) -> Self {
        Self(Arc::new(Semaphore::new(permits)))
    }

    /// A permit, to be held while the request is at work. Its holder should not wait for a client.
    pub(super) async fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match tokio::time::timeout(PERMIT_WAIT, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::busy(PERMIT_WAIT)),
        }
    }
}

/// The memory that something takes: components that are arriving or at work, or answers that are being sent.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pieces: Arc<Semaphore>,
    all: usize,
}

/// The part of it that one of them takes. It is given back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Reservation(Option<OwnedSemaphorePermit>);

impl Default for Room {
    fn default() -> Self {
        Self::of(ROOM_BYTES)
    }
}

impl Room {
    /// For so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        let all = bytes / ROOM_PIECE;
        Self { pieces: Arc::new(Semaphore::new(all)), all }
    }

    /// Has a reservation be room for so many bytes, or all there is if that is less.
    pub(super) async fn reserve(&self, reservation: &mut Reservation, bytes: usize) -> Result<(), Problem> {
        let has = reservation.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let wanted = bytes.div_ceil(ROOM_PIECE).min(self.all);
        let lacks = u32::try_from(wanted.saturating_sub(has)).unwrap_or(u32::MAX);
        if lacks == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.pieces).acquire_many_owned(lacks);
        match (tokio::time::timeout(PERMIT_WAIT, more).await, &mut reservation.0) {
            (Ok(Ok(more)), Some(held)) => held.merge(more),
            (Ok(Ok(more)), none) => *none = Some(more),
            _ => return Err(Problem::busy(PERMIT_WAIT)),
        }
        Ok(())
    }
}

impl Reservation {
    /// Gives back the surplus beyond so many bytes.
    pub(super) fn keep(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            let surplus = held.num_permits().saturating_sub(bytes.div_ceil(ROOM_PIECE));
            drop(held.split(surplus));
        }
    }
}
