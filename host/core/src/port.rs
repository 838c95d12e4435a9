//! What the engine needs of a store and of a runtime, in the terms of the domain.
//!
//! Floor 2 meets here: `kennel-store` implements the first four ports, `kennel-runtime` the last, and
//! `kennel-engine` drives them without knowing either.

mod connections;
mod coordination;
mod deployments;
mod event_source;
mod read_model;
mod runtime;

pub use connections::ConnectionUsage;
pub use coordination::{ClaimOutcome, Coordination, GenerationRecord, NewWorker, ProposeOutcome, View};
pub use deployments::{
    Changed, ComponentStore, Cutover, CutoverOutcome, DeploymentStore, ProjectionProgress, ProjectionState,
    StatusReports, StoredComponent,
};
pub use event_source::{Appended, Appender, Blocker, HighWaterMark, LogReader, Page, ReadQuery, Unreadable};
pub use read_model::{Commit, CommitOutcome, DeadLetter, Document, Fetched, ReadModel, Wanted};
pub use runtime::{
    CallFailure, CodeSource, Component, ComponentError, Fault, GuestEnv, HostError, Instance, LogLevel,
    Runtime,
};

/// All ports of a store: whatever implements them each has this one as well.
pub trait StorePorts:
    LogReader + Appender + ReadModel + ComponentStore + DeploymentStore + StatusReports + Cutover + Coordination
{
}

impl<S> StorePorts for S where
    S: LogReader
        + Appender
        + ReadModel
        + ComponentStore
        + DeploymentStore
        + StatusReports
        + Cutover
        + Coordination
{
}

/// A store that could not do what it was asked. The cause is in the source chain.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or has gone away: trying again later may help.
    #[error("the store is unavailable while {doing}")]
    Unavailable {
        doing: String,
        #[source]
        source: BoxError,
    },
    /// The request can never succeed as it is.
    #[error("{message}")]
    Invalid { message: String },
    /// The content of the store is such that events would be missed: an operator has to change it before work can go
    /// on.
    #[error("{reason}")]
    Unfit { reason: String },
    /// The same, because of one of the events that were to be appended: its number in the list, from 0.
    #[error("{message}")]
    InvalidEvent { index: usize, message: String },
    /// Something else went wrong.
    #[error("the store failed while {doing}")]
    Failed {
        doing: String,
        #[source]
        source: BoxError,
    },
}

/// Any error, as the source of another.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
