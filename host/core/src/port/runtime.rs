//! The runtime that executes components, and what a component sees of the host.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::change::ChangeError;
use crate::digest::Digest;
use crate::event::Event;
use crate::failure::FailureKind;
use crate::grant::NeededGrant;
use crate::named::named;
use crate::projection::Descriptor;

/// Why a component does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot run here, however often it is tried.
    Component,
    /// The host is in trouble: it may run once that is over.
    Host,
}

/// A component that this host cannot run, with a message for its developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ComponentError {
    /// One readable sentence that names the missing, extra or wrong part, and what to do.
    pub message: String,
    pub fault: Fault,
}

/// A host call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The guest asked for something that is not allowed: its own failure.
    #[error(transparent)]
    Invalid(#[from] ChangeError),
    /// The host could not do it: the store's fault alone.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This process has no memory for it at present.
    #[error("this process has no memory left for it at present")]
    Crowded,
}

/// A handler call that did not succeed.
#[derive(Debug)]
pub enum CallFailure {
    /// The guest's failure: counted, kept and subject to the failure policy.
    Guest { kind: FailureKind, message: String },
    /// The host's: the batch is run again when the store is back, and nothing is counted.
    Host(StoreError),
    /// This process has no memory left for it, because others have taken it: the batch is run again when they have
    /// given it back, and nothing is counted.
    Crowded,
}

named! {
    /// Severity of a line in a projection's log.
    LogLevel, "a level" {
        Debug = "debug",
        Info = "info",
        Warn = "warn",
        Error = "error",
    }
}

/// What a guest sees of the host while it handles a batch. Calls come one at a time.
#[async_trait]
pub trait GuestEnv: Send + Sync {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError>;
    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError>;
    async fn scan(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError>;
    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError>;
    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError>;
    fn increment(&self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), HostError>;
    fn config(&self, key: &str) -> Option<String>;
    /// The guest is about to have so many bytes of memory. `false` if others have taken what there is: then its call
    /// must end, in a way that it cannot act upon.
    fn admit_memory(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }
    /// A line for the projection's log, already bounded by the runtime.
    fn log(&self, level: LogLevel, message: &str);
}

/// Compiles components.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// Checks that `bytes` are a component (or a core module made for it) of a world that this host
    /// knows, compiles it, and asks it to describe itself.
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError>;

    /// The component with this digest, if it is ready or its code was kept: without its bytes, and at once.
    async fn find(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        let _ = digest;
        None
    }

    /// The names of the grants that this host has to give.
    fn grants(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// Where the code of a component came from when it was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeSource {
    /// It was compiled for this occasion.
    Compiled,
    /// It had been compiled before and was kept.
    Cached,
}

/// A component that is ready to run. Its digest is that of the bytes as they were passed in.
#[async_trait]
pub trait Component: Send + Sync {
    fn digest(&self) -> Digest;
    fn descriptor(&self) -> &Descriptor;
    /// The imports for which its deployment needs a grant.
    fn needed_grants(&self) -> &[NeededGrant] {
        &[]
    }
    /// Where its code came from when it was prepared.
    fn origin(&self) -> CodeSource;
    /// A fresh instance that calls back into `env`. Waits for a free slot in the pool.
    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure>;
}

/// One guest instance. After any failure it is of no further use and has to be dropped.
#[async_trait]
pub trait Instance: Send {
    /// Handles one event. `seed` decides the random bytes that the guest may see: the same for the
    /// same deployment and position. The event is borrowed, and should be lowered into the guest from
    /// there without a copy (bindings with borrowed parameters): the runner keeps it until its effect is
    /// committed.
    async fn handle(&mut self, event: &Event, seed: u64) -> Result<(), CallFailure>;
    /// The most memory that the instance has used, in bytes.
    fn memory_peak(&self) -> usize;
}
