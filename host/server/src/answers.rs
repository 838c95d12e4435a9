//! How much memory answers take on their way to their clients. A client may take its answer slowly or not at all, and
//! there may be many of them: bytes that no client has taken yet count, and where there is no room for another answer
//! the request fails with the advice to try again. How long a client may let its answer lie is decided in `stream`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use kennel_core::digest::Digest;
use kennel_core::limits;

use super::problem::Problem;
use super::request_limits::{Permits, Reservation, Room};
use kennel::control::Control;

/// How much memory the answers of one router take, in bytes. One that is larger than this alone takes all of it.
const ANSWERS_BYTES: usize = 64 << 20;
/// How many answers are being put together at once.
const ANSWERS_AT_WORK: usize = 16;
/// How many different components of the largest size are being sent at once.
const COMPONENTS: usize = 3;

/// The memory that answers take.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    room: Room,
    at_work: Permits,
}

/// An answer whose bytes are counted elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted;

impl Default for Answers {
    fn default() -> Self {
        Self { room: Room::of(ANSWERS_BYTES), at_work: Permits::of(ANSWERS_AT_WORK) }
    }
}

/// Answers if there is room for that.
pub(super) async fn bounded(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    // Requests that change something have limits of their own, and short answers.
    let _permit = match *request.method() {
        Method::GET => match answers.at_work.take().await {
            Ok(permit) => Some(permit),
            Err(problem) => return problem.into_response(),
        },
        _ => None,
    };
    let response = next.run(request).await;
    answers.admit(response).await
}

impl Answers {
    /// The answer, if there is room for it until it has been sent.
    async fn admit(&self, response: Response) -> Response {
        let bytes = response.body().size_hint().lower();
        if response.extensions().get::<Counted>().is_some() || bytes == 0 {
            return response;
        }
        let mut reservation = Reservation::default();
        match self.room.reserve(&mut reservation, usize::try_from(bytes).unwrap_or(usize::MAX)).await {
            Ok(()) => response.map(|body| Body::new(Reserved { body, _reservation: reservation })),
            Err(problem) => problem.into_response(),
        }
    }
}

/// A body, with the room that it takes until it has been sent or abandoned.
struct Reserved {
    body: Body,
    _reservation: Reservation,
}

impl HttpBody for Reserved {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The components that are being sent. Those who want the same one share its bytes, however many they are.
#[derive(Clone, Debug)]
pub(super) struct Components {
    sent: Arc<Mutex<BTreeMap<Digest, Weak<Loaded>>>>,
    /// One is loaded at a time: that takes more memory than to send it.
    loading: Permits,
    room: Room,
}

/// The bytes of a component, and the room that they take.
#[derive(Debug)]
struct Loaded {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

/// A request's share of them.
struct Share(Arc<Loaded>);

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Default for Components {
    fn default() -> Self {
        Self {
            sent: Arc::default(),
            loading: Permits::of(1),
            room: Room::of(COMPONENTS * limits::COMPONENT_BYTES_MAX),
        }
    }
}

impl Components {
    /// The bytes of a component, as one that is being sent already or from the store.
    pub(super) async fn get(&self, control: &dyn Control, digest: Digest) -> Result<Bytes, Problem> {
        if let Some(sent) = self.sent(digest) {
            return Ok(sent);
        }
        let _permit = self.loading.take().await?;
        // Another request may have loaded it meanwhile.
        if let Some(sent) = self.sent(digest) {
            return Ok(sent);
        }
        let mut reservation = Reservation::default();
        self.room.reserve(&mut reservation, limits::COMPONENT_BYTES_MAX).await?;
        let bytes = control.component(digest).await?;
        reservation.keep(bytes.len());
        let loaded = Arc::new(Loaded { bytes, _reservation: reservation });
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|_, one| one.strong_count() > 0);
        sent.insert(digest, Arc::downgrade(&loaded));
        Ok(Bytes::from_owner(Share(loaded)))
    }

    fn sent(&self, digest: Digest) -> Option<Bytes> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.get(&digest)?.upgrade().map(|loaded| Bytes::from_owner(Share(loaded)))
    }
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::http::{StatusCode, header};

    use super::*;

    fn answer(bytes: usize) -> Response {
        vec![0_u8; bytes].into_response()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_clients_do_not_take_leave_no_room_for_others() {
        let answers = Answers::default();
        // One that is larger than all there is gets all there is.
        let stuck = answers.admit(answer(ANSWERS_BYTES * 2)).await;
        assert_eq!(stuck.status(), StatusCode::OK);
        let rejected = answers.admit(answer(1)).await;
        assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(rejected.headers().contains_key(header::RETRY_AFTER));
        let counted = answers.admit((Extension(Counted), answer(ANSWERS_BYTES)).into_response()).await;
        assert_eq!(counted.status(), StatusCode::OK, "it has room elsewhere");
        drop(stuck);
        let next = answers.admit(answer(ANSWERS_BYTES)).await;
        assert_eq!(next.status(), StatusCode::OK, "the room is free again");
    }
}
