//! Errors as RFC 9457 has them: `application/problem+json`. Every error under /v1 is one, whichever layer found it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{IntoResponses, ToSchema};

use kennel::control::{ControlError, ControlErrorKind};

/// The media type of problems.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is: a URN that does not change, to be compared with, not followed.
    #[serde(rename = "type")]
    #[schema(value_type = String, pattern = "^urn:kennel:problem:[a-z-]+$")]
    urn: String,
    /// The same as a sentence.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time, to what, and what to do next.
    detail: String,
    #[serde(skip)]
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// The beginning of every URN. What follows is the word of a kind.
const URN: &str = "urn:kennel:problem:";

/// What kind of problem it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemKind {
    Invalid,
    Unauthorized,
    Forbidden,
    Missing,
    Method,
    Conflict,
    TooLarge,
    MediaType,
    Unsupported,
    Internal,
    Unavailable,
    Busy,
    Timeout,
}

impl ProblemKind {
    const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Missing,
        Self::Method,
        Self::Conflict,
        Self::TooLarge,
        Self::MediaType,
        Self::Unsupported,
        Self::Internal,
        Self::Unavailable,
        Self::Busy,
        Self::Timeout,
    ];

    /// The status, the last word of the URN, and the title.
    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Invalid => (400, "invalid-request", "The request is not valid"),
            Self::Unauthorized => (401, "unauthorized", "A token is needed"),
            Self::Forbidden => (403, "forbidden", "This is not allowed from here"),
            Self::Missing => (404, "not-found", "There is no such thing"),
            Self::Method => (405, "method-not-allowed", "This cannot be done to it"),
            Self::Conflict => (409, "conflict", "The projection does not allow this now"),
            Self::TooLarge => (413, "too-large", "The body is too large"),
            Self::MediaType => (415, "unsupported-media-type", "The body has the wrong type"),
            Self::Unsupported => (422, "unsupported", "The component cannot run like this"),
            Self::Internal => (500, "internal", "The host has failed"),
            Self::Unavailable => (503, "unavailable", "The host cannot do this now"),
            Self::Busy => (503, "busy", "The host is busy"),
            Self::Timeout => (503, "timeout", "This took too long"),
        }
    }
}

/// Each kind of error as HTTP has it.
impl From<ControlErrorKind> for ProblemKind {
    fn from(kind: ControlErrorKind) -> Self {
        match kind {
            ControlErrorKind::Invalid => Self::Invalid,
            ControlErrorKind::Forbidden => Self::Forbidden,
            ControlErrorKind::NotFound => Self::Missing,
            ControlErrorKind::Conflict => Self::Conflict,
            ControlErrorKind::Unsupported => Self::Unsupported,
            ControlErrorKind::Unavailable => Self::Unavailable,
            ControlErrorKind::Failed => Self::Internal,
        }
    }
}

/// The kind of error that a problem of this type reports; none if it is no problem of a host.
#[must_use]
pub fn error_kind(urn: &str) -> Option<ControlErrorKind> {
    let word = urn.strip_prefix(URN)?;
    let kind = ProblemKind::ALL.into_iter().find(|kind| kind.parts().1 == word)?;
    Some(match kind {
        ProblemKind::Invalid | ProblemKind::Method | ProblemKind::TooLarge | ProblemKind::MediaType => {
            ControlErrorKind::Invalid
        }
        ProblemKind::Unauthorized | ProblemKind::Forbidden => ControlErrorKind::Forbidden,
        ProblemKind::Missing => ControlErrorKind::NotFound,
        ProblemKind::Conflict => ControlErrorKind::Conflict,
        ProblemKind::Unsupported => ControlErrorKind::Unsupported,
        ProblemKind::Unavailable | ProblemKind::Busy | ProblemKind::Timeout => ControlErrorKind::Unavailable,
        ProblemKind::Internal => ControlErrorKind::Failed,
    })
}

impl Problem {
    /// A problem of this kind with these details.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        let (status, word, title) = kind.parts();
        let urn = format!("{URN}{word}");
        Self { urn, title, status, detail: detail.into(), headers: Vec::new() }
    }

    /// With a header of the response.
    pub(super) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        self
    }

    /// The request was abandoned.
    pub(super) fn timeout(limit: Duration) -> Self {
        let seconds = limit.as_secs();
        Self::new(
            ProblemKind::Timeout,
            format!("the host has not answered within {seconds} s and has abandoned the request: nothing was changed unless the \
                     history of the projection shows it; look there, then try again"),
        )
        .retry_after(1)
    }

    /// The body of the request did not arrive in time.
    pub(super) fn late(limit: Duration) -> Self {
        let seconds = limit.as_secs();
        let detail =
            format!("the body has not arrived within {seconds} s: nothing was changed, send it again");
        Self::new(ProblemKind::Timeout, detail).retry_after(1)
    }

    /// There is no permit for the request.
    pub(super) fn busy(waited: Duration) -> Self {
        let detail = format!(
            "other requests like this one keep the host busy: nothing was free within {} s; nothing was changed, try again",
            waited.as_secs()
        );
        Self::new(ProblemKind::Busy, detail).retry_after(waited.as_secs())
    }

    fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Text and a number always have a form in JSON.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let kind = ProblemKind::from(error.kind());
        let detail = match kind {
            // The cause may name machines and users: it is for the log.
            ProblemKind::Internal | ProblemKind::Unavailable => {
                tracing::error!(reason = kennel_engine::chain(&error), "a request to the API failed");
                format!("{error}; the log of the host says why")
            }
            _ => error.to_string(),
        };
        let problem = Self::new(kind, detail);
        if kind == ProblemKind::Unavailable { problem.retry_after(1) } else { problem }
    }
}

/// What an endpoint may answer besides success, for the document.
macro_rules! may_answer {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident),*;)*) => { $(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                described(&[$(ProblemKind::$kind),*])
            }
        }
    )* };
}

may_answer! {
    /// Endpoints that read.
    Reads: Unauthorized, Forbidden, Internal, Unavailable;
    /// Endpoints that read a thing that has to be there.
    ReadsOne: Invalid, Unauthorized, Forbidden, Missing, Internal, Unavailable;
    /// Endpoints that compare.
    Compares: Invalid, Unauthorized, Forbidden, Missing, Conflict, Internal, Unavailable;
    /// Endpoints that take an operation.
    Operations: Invalid, Unauthorized, Forbidden, Missing, Conflict, TooLarge, MediaType, Unsupported, Internal, Unavailable;
    /// Endpoints that take a component.
    Stores: Invalid, Unauthorized, Forbidden, TooLarge, MediaType, Unsupported, Internal, Unavailable;
    /// Endpoints that describe the interface.
    Describes: Forbidden;
}

fn described(kinds: &[ProblemKind]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let text = |description: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String);
        HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
    };
    let responses = kinds.iter().map(|kind| {
        let (status, _, title) = kind.parts();
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(title).content(PROBLEM_JSON, content);
        let response = match kind {
            ProblemKind::Unauthorized => response.header("WWW-Authenticate", text("`Bearer`, and the error")),
            ProblemKind::Unavailable => response
                .description("Something the host needs is away, it is busy, or this took too long")
                .header("Retry-After", text("How many seconds to wait")),
            _ => response,
        };
        (status.to_string(), RefOr::T(response.build()))
    });
    responses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_read_the_kind_that_the_host_meant() {
        for kind in ProblemKind::ALL {
            let read = error_kind(&Problem::new(kind, "").urn).unwrap();
            let status = |kind: ProblemKind| kind.parts().0;
            match kind {
                // The library knows one kind for what HTTP has several of.
                ProblemKind::Method | ProblemKind::TooLarge | ProblemKind::MediaType => {
                    assert_eq!(read, ControlErrorKind::Invalid, "{kind:?}");
                }
                ProblemKind::Unauthorized => assert_eq!(read, ControlErrorKind::Forbidden),
                _ => assert_eq!(status(ProblemKind::from(read)), status(kind), "{kind:?}"),
            }
        }
        assert_eq!(error_kind("about:blank"), None);
        assert_eq!(error_kind("urn:kennel:problem:other"), None);
    }
}
