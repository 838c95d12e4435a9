//! Exit codes: a documented part of the command's interface, decided in this one place.
//!
//! | code | meaning |
//! | --- | --- |
//! | 0 | success |
//! | 1 | something unforeseen: a bug, or a failure that has no code of its own |
//! | 2 | the command line is wrong |
//! | 3 | the store or the host cannot be used: unreachable, read-only, damaged, removed or replaced while in use |
//! | 4 | the input is wrong: a component that cannot run here, an event that does not parse |
//! | 5 | taken (a name, a port, a store that another process runs), or in conflict with the state of the projection |
//! | 6 | the configuration is wrong |
//! | 7 | something requested does not exist, or a tool that a build needs is missing |
//! | 8 | a projection is halted, or a comparison has found a difference or came too early |

use std::process::ExitCode;

use kennel_core::port::StoreError;
use kennel_store::InvalidUrl;

use crate::oci::OciError;
use kennel::control::{ControlError, ControlErrorKind};

/// The kinds of failure that have an exit code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    Store,
    Input,
    Conflict,
    Config,
    Missing,
    Halted,
}

impl ExitKind {
    /// The exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Store => 3,
            Self::Input => 4,
            Self::Conflict => 5,
            Self::Config => 6,
            Self::Missing => 7,
            Self::Halted => 8,
        }
    }

    /// An error of this kind with this message.
    pub fn error(self, message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Failed { kind: self, source: anyhow::Error::msg(message.into()) })
    }

    /// Makes any error one of this kind.
    pub fn of(self, source: impl Into<anyhow::Error>) -> anyhow::Error {
        anyhow::Error::new(Failed { kind: self, source: source.into() })
    }
}

/// An error with a kind. Its message is that of its source.
#[derive(Debug)]
struct Failed {
    kind: ExitKind,
    source: anyhow::Error,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// Gives every error of an expression a kind.
pub trait ResultExt<T> {
    /// Makes the error one of `kind`.
    fn kind(self, kind: ExitKind) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> ResultExt<T> for Result<T, E> {
    fn kind(self, kind: ExitKind) -> anyhow::Result<T> {
        self.map_err(|error| kind.of(error))
    }
}

/// The exit code for an error.
#[must_use]
pub fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(kind(error).map_or(1, ExitKind::code))
}

/// The kind of an error; none for an unforeseen one.
#[must_use]
pub fn kind(error: &anyhow::Error) -> Option<ExitKind> {
    let given = error.chain().find_map(|cause| cause.downcast_ref::<Failed>().map(|failed| failed.kind));
    let of_store = || error.downcast_ref::<StoreError>().map(kind_of_store);
    let of_operation = || error.downcast_ref::<ControlError>().map(kind_of_operation);
    let of_registry = || error.downcast_ref::<OciError>().and_then(kind_of_registry);
    let of_url = || error.downcast_ref::<InvalidUrl>().map(|_| ExitKind::Config);
    given.or_else(of_url).or_else(of_store).or_else(of_operation).or_else(of_registry)
}

/// A request that the store can never fulfil is wrong itself; anything else is a failure of the store.
const fn kind_of_store(error: &StoreError) -> ExitKind {
    match error {
        StoreError::Invalid { .. } | StoreError::InvalidEvent { .. } => ExitKind::Input,
        StoreError::Unavailable { .. } | StoreError::Unfit { .. } | StoreError::Failed { .. } => {
            ExitKind::Store
        }
    }
}

/// What an operation that was not carried out means for the command.
pub(crate) const fn kind_of_operation(error: &ControlError) -> ExitKind {
    match error.kind() {
        ControlErrorKind::Forbidden => ExitKind::Config,
        ControlErrorKind::NotFound => ExitKind::Missing,
        ControlErrorKind::Conflict => ExitKind::Conflict,
        ControlErrorKind::Invalid | ControlErrorKind::Unsupported => ExitKind::Input,
        ControlErrorKind::Unavailable | ControlErrorKind::Failed => ExitKind::Store,
    }
}

/// A registry that is away or fails is neither the store nor anything that the user got wrong.
const fn kind_of_registry(error: &OciError) -> Option<ExitKind> {
    match error {
        OciError::Unknown { .. } | OciError::Incomplete { .. } => Some(ExitKind::Missing),
        OciError::Damaged { .. } | OciError::Unfit { .. } | OciError::Pinned { .. } => Some(ExitKind::Input),
        OciError::Unauthorized { .. } | OciError::Credentials { .. } => Some(ExitKind::Config),
        OciError::Unreachable { .. }
        | OciError::Slow { .. }
        | OciError::Setup { .. }
        | OciError::Failed { .. } => None,
    }
}
