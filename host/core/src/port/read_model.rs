//! Read models: what projections have written, committed together with their checkpoints.

use std::sync::Arc;

use async_trait::async_trait;

use super::StoreError;
use crate::change::{CollectionChanges, Stored};
use crate::checkpoint::Mark;
use crate::failure::EventFailure;
use crate::membership::Generation;
use crate::partition::HashRange;
use crate::position::Position;
use crate::projection::ReadModelId;

/// Documents to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub collection: String,
    pub keys: Vec<String>,
}

/// A document with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub key: String,
    pub stored: Stored,
}

/// An event that a projection could not handle and has gone past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub failure: EventFailure,
}

/// One batch: everything in it takes effect, or nothing.
#[derive(Clone, Debug)]
pub struct Commit {
    pub read_model: ReadModelId,
    /// The generation that owns `ranges`: a store rejects the batch if any of them has another owner or another
    /// position than `from`.
    pub generation: Generation,
    pub ranges: Vec<HashRange>,
    pub from: Position,
    /// Where the ranges stand afterwards. A store rejects the batch if the last event of its log at or below is not the
    /// witness, or if what the ranges cover already is not in its log.
    pub to: Mark,
    pub changes: Vec<CollectionChanges>,
    pub dead_letters: Vec<DeadLetter>,
    /// Events that were handled.
    pub events: u64,
    /// Whether this owner is the only one of the read model: then no other can have changed a document
    /// since it was read, and revisions need no check. The fence still holds.
    pub sole_owner: bool,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It has taken effect.
    Committed,
    /// Another generation owns the range, or it stands elsewhere. Nothing was written.
    Fenced,
    /// The log is not the one that was read, or no longer the one that was handled before. Nothing was written;
    /// claiming again shows which.
    LogSetBack,
    /// Another worker changed a document since it was read. Nothing was written; running the batch
    /// again on fresh reads may succeed.
    Conflict { collection: String, key: String },
    /// The database cannot hold what a guest wrote. Nothing was written.
    Invalid { reason: String },
    /// The database ended it before it was done, because it took longer or more than is allowed. Nothing was
    /// written; a smaller batch may fit.
    CutShort { reason: String },
}

/// The answer of a store about a document that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    Stored(Stored),
    Absent,
    /// It was not loaded: the documents before it are as large as they may be.
    Left,
}

/// The read models of a store.
#[async_trait]
pub trait ReadModel: Send + Sync {
    /// The wanted documents, one list per entry of `wanted`, one element per key. Once those that were found
    /// have more than `bytes_max` bytes, no further one is loaded, here or anywhere on the way.
    async fn fetch_up_to(
        &self,
        read_model: ReadModelId,
        wanted: &[Wanted],
        bytes_max: usize,
    ) -> Result<Vec<Vec<Fetched>>, StoreError>;

    /// Documents whose key starts with `prefix` and sorts after `after` by bytes, in that order. The first with which
    /// they have more than `bytes_max` bytes is the last.
    async fn scan_up_to(
        &self,
        read_model: ReadModelId,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, StoreError>;

    /// The wanted documents, however large they are together.
    async fn fetch(
        &self,
        read_model: ReadModelId,
        wanted: &[Wanted],
    ) -> Result<Vec<Vec<Option<Stored>>>, StoreError> {
        let found = self.fetch_up_to(read_model, wanted, usize::MAX).await?;
        let stored = |fetched| match fetched {
            Fetched::Stored(stored) => Some(stored),
            Fetched::Absent | Fetched::Left => None,
        };
        Ok(found.into_iter().map(|found| found.into_iter().map(stored).collect()).collect())
    }

    /// As [`Self::scan_up_to`], however large they are together.
    async fn scan(
        &self,
        read_model: ReadModelId,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.scan_up_to(read_model, collection, after, prefix, limit, usize::MAX).await
    }

    /// Commits a batch, fenced by its generation. A fenced read model takes no batch of any worker.
    async fn commit(&self, batch: &Commit) -> Result<CommitOutcome, StoreError>;

    /// The collections that have been written to, sorted by name.
    async fn collections(&self, read_model: ReadModelId) -> Result<Vec<Arc<str>>, StoreError>;

    /// The dead letters of a read model, by position.
    async fn dead_letters(
        &self,
        read_model: ReadModelId,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
}
