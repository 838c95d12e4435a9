//! Why an operation was not carried out: a kind for programs, a message for people. Which HTTP status and which exit code
//! say the same is decided in `kennel_server` and `kennel_cli`.

use kennel_core::digest::Digest;
use kennel_core::grant::GrantError;
use kennel_core::lifecycle::Rejected;
use kennel_core::name::ProjectionName;
use kennel_core::port::{BoxError, ComponentError, Fault, StoreError};

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlErrorKind {
    /// The request can never succeed as it is.
    Invalid,
    /// The client may not do this, or has not shown that it may.
    Forbidden,
    /// There is no such projection, deployment or component.
    NotFound,
    /// The state of the projection does not allow it.
    Conflict,
    /// The component cannot run here, or cannot go on where the serving one is; or the log does not reach so far.
    Unsupported,
    /// The store, the host or its compiler is away or busy: trying again later may help.
    Unavailable,
    /// The store or the host has failed.
    Failed,
}

/// An operation that was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The component cannot run here.
    #[error(transparent)]
    Unsupported(#[from] ComponentError),
    /// The projection does not allow it now.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the store holds no component {0}: store it first, or deploy the file")]
    NoComponent(Digest),
    #[error(
        "`{0}` has one read model only: there is nothing to compare it with. `kennel rebuild {0} --promote manual` builds \
         another"
    )]
    NothingToCompare(ProjectionName),
    #[error("{0}")]
    Invalid(String),
    /// The settings grant too little, or what this host does not know.
    #[error(transparent)]
    Grants(#[from] GrantError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An error that a host answered.
    #[error("{detail}")]
    Host { kind: ControlErrorKind, detail: String },
    /// An answer that is not a host's.
    #[error("{detail}")]
    NotAHost { kind: ControlErrorKind, detail: String },
    #[error("the host at {host} does not answer: is `kennel run` running there, and is the URL right?")]
    Unreachable {
        host: String,
        #[source]
        source: BoxError,
    },
}

impl ControlError {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ControlErrorKind {
        match self {
            Self::Unsupported(ComponentError { fault: Fault::Host, .. }) => ControlErrorKind::Unavailable,
            Self::Unsupported(_)
            | Self::Grants(_)
            | Self::Rejected(Rejected::Incompatible { .. } | Rejected::BeyondLog { .. })
            | Self::Store(StoreError::Invalid { .. } | StoreError::InvalidEvent { .. }) => {
                ControlErrorKind::Unsupported
            }
            Self::Rejected(Rejected::Missing(_)) | Self::NoComponent(_) => ControlErrorKind::NotFound,
            Self::Rejected(_) | Self::NothingToCompare(_) => ControlErrorKind::Conflict,
            Self::Invalid(_) => ControlErrorKind::Invalid,
            Self::Store(StoreError::Unavailable { .. } | StoreError::Unfit { .. })
            | Self::Unreachable { .. } => ControlErrorKind::Unavailable,
            Self::Store(StoreError::Failed { .. }) => ControlErrorKind::Failed,
            Self::Host { kind, .. } | Self::NotAHost { kind, .. } => *kind,
        }
    }

    /// Whether the store or the host may answer again before long: it is away, or a host that answers has failed.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self.kind(), ControlErrorKind::Unavailable)
            || matches!(self, Self::Host { kind: ControlErrorKind::Failed, .. })
    }
}
