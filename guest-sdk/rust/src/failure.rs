//! How a projection says that it could not handle an event.

use std::error::Error;
use std::fmt;

/// Why an event was not handled. Its changes are undone either way.
///
/// Every [`Error`] turns into [`Failure::Reject`] under `?`: a projection sees no clock and no network,
/// so what went wrong once goes wrong again. (That is also why `Failure` itself is no `Error`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Try again: what went wrong may pass.
    Retry(String),
    /// This event can never be handled by this code.
    Reject(String),
}

impl Failure {
    /// What went wrong may pass: the host tries again.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::Retry(reason.to_string())
    }

    /// This event can never be handled by this code.
    pub fn reject(reason: impl fmt::Display) -> Self {
        Self::Reject(reason.to_string())
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Retry(reason) | Self::Reject(reason) => reason,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(reason) => write!(f, "to be tried again: {reason}"),
            Self::Reject(reason) => write!(f, "rejected: {reason}"),
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason.push_str(": ");
            reason.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::Reject(reason)
    }
}
