//! What a request is made of: names, numbers and bodies. Every mistake in them becomes a problem that names it.

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt as _;
use kennel_core::limits;
use serde::de::DeserializeOwned;

use super::problem::{Problem, ProblemKind};
use super::request_limits::{BODY_ARRIVES, COMPONENT_ARRIVES, Reservation, Room};
use super::state::ApiState;
use kennel::json;

/// The media type of components.
pub(super) const WASM: &str = "application/wasm";
const JSON: &str = "application/json";

/// The one thing in the path that is not fixed: a name or a digest.
pub(super) struct Named<T>(pub(super) T);

impl<S, T> FromRequestParts<S> for Named<T>
where
    S: Send + Sync,
    T: std::str::FromStr<Err: std::fmt::Display> + Send,
{
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::new(ProblemKind::Invalid, rejection.body_text()))?;
        text.parse().map(Self).map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))
    }
}

/// What follows the `?`.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|rejection| {
            let cause = std::error::Error::source(&rejection)
                .map_or_else(|| rejection.body_text(), ToString::to_string);
            Problem::new(ProblemKind::Invalid, format!("the query of the URL is not valid: {cause}"))
        })
    }
}

/// The request of an operation: a body of JSON.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = has_type(request.headers(), JSON);
        let body = body(request, state).await?;
        read(is_json, &body).map(Self)
    }
}

/// The request of an operation that need not say anything: without a body, or with `null`, it is `{}`.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = has_type(request.headers(), JSON);
        let body = body(request, state).await?;
        let silent = body.is_empty() || is_json && body.trim_ascii() == b"null";
        if silent { read(true, b"{}").map(Self) } else { read(is_json, &body).map(Self) }
    }
}

/// A component: a body of bytes, and the room that it takes.
pub(super) struct Wasm {
    pub(super) bytes: Vec<u8>,
    pub(super) reservation: Reservation,
}

impl FromRequest<ApiState> for Wasm {
    type Rejection = Problem;
    async fn from_request(request: Request, api: &ApiState) -> Result<Self, Problem> {
        if !has_type(request.headers(), WASM) {
            return Err(wrong_type(WASM));
        }
        check_announced(request.headers(), limits::COMPONENT_BYTES_MAX)?;
        let arriving = component(request.into_body(), &api.room);
        let arrived = tokio::time::timeout(COMPONENT_ARRIVES, arriving).await;
        arrived.unwrap_or_else(|_| Err(Problem::late(COMPONENT_ARRIVES)))
    }
}

/// A component as it arrives. It takes room as far as it has come, whatever was announced.
async fn component(body: Body, room: &Room) -> Result<Wasm, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut reservation) = (Vec::new(), Reservation::default());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| did_not_arrive(&error))?;
        let length = bytes.len() + chunk.len();
        if length > limits::COMPONENT_BYTES_MAX {
            return Err(too_large(limits::COMPONENT_BYTES_MAX));
        }
        room.reserve(&mut reservation, length).await?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(Wasm { bytes, reservation })
}

fn read<T: DeserializeOwned>(is_json: bool, body: &[u8]) -> Result<T, Problem> {
    if !is_json {
        return Err(wrong_type(JSON));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let request = json::table(&mut deserializer).and_then(|request| deserializer.end().map(|()| request));
    request.map_err(|error| {
        Problem::new(ProblemKind::Invalid, format!("the body does not have the expected form: {error}"))
    })
}

fn wrong_type(expected: &str) -> Problem {
    Problem::new(
        ProblemKind::MediaType,
        format!("the body has to be of type {expected}: send `Content-Type: {expected}`"),
    )
}

/// Whether the body is said to be of this type, whatever its parameters.
fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|text| text.split(';').next()).unwrap_or_default();
    given.trim().eq_ignore_ascii_case(expected)
}

/// The body of an operation.
async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    check_announced(request.headers(), limits::OPERATION_BYTES_MAX)?;
    let arrived = tokio::time::timeout(BODY_ARRIVES, Bytes::from_request(request, state)).await;
    arrived.map_err(|_| Problem::late(BODY_ARRIVES))?.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(failed) if failed.status() == 413 => {
            too_large(limits::OPERATION_BYTES_MAX)
        }
        other => did_not_arrive(&other.body_text()),
    })
}

/// A body that says beforehand that it has more bytes than it may have is not even read.
fn check_announced(headers: &HeaderMap, bytes_max: usize) -> Result<(), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match announced.and_then(|text| text.parse::<u64>().ok()) {
        Some(bytes) if bytes > bytes_max as u64 => Err(too_large(bytes_max)),
        _ => Ok(()),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = match bytes_max >> 20 {
        0 => format!("the body of an operation has at most {} KiB", bytes_max >> 10),
        mebibytes => format!("a component has at most {mebibytes} MiB"),
    };
    Problem::new(ProblemKind::TooLarge, detail)
}

fn did_not_arrive(reason: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Invalid, format!("the body did not arrive: {reason}"))
}
