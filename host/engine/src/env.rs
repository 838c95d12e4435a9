//! The environment of a guest while one batch runs: a write set laid over the stored read model.
//!
//! Reads that the write set cannot answer go to the store. Which collections a projection reads by the aggregate's own
//! id is remembered from batch to batch, so that the next batch can fetch them in one query before it starts. The
//! documents that are read and kept for a guest are bounded, and count against the memory that its batch has.

mod read;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kennel_core::change::{ChangeError, CollectionChanges, WriteSet};
use kennel_core::event::Event;
use kennel_core::limits;
use kennel_core::name::check_key;
use kennel_core::port::{GuestEnv, HostError, LogLevel, ReadModel, StoreError, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::Deployment;

use crate::memory::Share;

/// What a batch must be able to take on top of what it has before it begins another event.
const EVENT_ROOM_BYTES: usize = 1024 * 1024;

/// Collections that are fetched ahead at most: a projection that names its collections by the event
/// would make every batch fetch more than it needs.
const PREFETCH_COLLECTIONS_MAX: usize = 8;

/// The collections that a projection has read under the id of the event's own aggregate.
#[derive(Debug, Default)]
pub struct PrefetchPlan {
    by_aggregate_id: BTreeSet<String>,
    /// Those of the runner before this one, which count for one batch: it shows which of them remain.
    carried_over: BTreeSet<String>,
    /// How large the documents that were fetched ahead last are on average; 0 if none was.
    document_bytes: usize,
}

impl PrefetchPlan {
    /// The plan that a successor begins with, which may run other code. Without it, its first batch would fetch
    /// documents one by one.
    #[must_use]
    pub fn for_successor(self) -> Self {
        Self { carried_over: self.by_aggregate_id, ..Self::default() }
    }

    /// How many documents are worth fetching ahead: what goes beyond the bound would be loaded in vain.
    fn documents_max(&self) -> usize {
        limits::PREFETCH_BYTES_MAX.checked_div(self.document_bytes).unwrap_or(usize::MAX)
    }

    /// The collections that are worth fetching ahead.
    fn expected(&self) -> BTreeSet<&str> {
        self.by_aggregate_id.iter().chain(&self.carried_over).map(String::as_str).collect()
    }

    /// Learns that a collection was read under the id of the event's own aggregate.
    fn learn(&mut self, collection: &str) {
        if self.by_aggregate_id.len() < PREFETCH_COLLECTIONS_MAX && !self.by_aggregate_id.contains(collection)
        {
            self.by_aggregate_id.insert(collection.to_owned());
        }
    }
}

/// The environment of one batch.
pub struct BatchEnv {
    read_models: Arc<dyn ReadModel>,
    deployment: Arc<Deployment>,
    inner: Mutex<Inner>,
}

struct Inner {
    writes: WriteSet,
    position: Position,
    aggregate_id: String,
    prefetch: PrefetchPlan,
    /// The memory that the batch has, until it is over.
    share: Option<Share>,
    /// What of it the guest has.
    guest_bytes: usize,
}

impl Inner {
    /// Sees to it that the batch has memory for what it holds, and for so many bytes `more`.
    fn cover(&mut self, more: usize) -> Result<(), HostError> {
        let bytes = self.guest_bytes.saturating_add(self.writes.held()).saturating_add(more);
        let covered = self.share.as_mut().is_none_or(|share| share.cover(bytes));
        if covered { Ok(()) } else { Err(HostError::Crowded) }
    }

    /// How much of its memory the batch has left.
    fn left(&self) -> usize {
        let taken = self.guest_bytes + self.writes.held();
        self.share.as_ref().map_or(0, |share| share.bytes().saturating_sub(taken))
    }
}

impl std::fmt::Debug for BatchEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEnv").field("read_model", &self.deployment.read_model).finish_non_exhaustive()
    }
}

impl BatchEnv {
    /// An environment with an empty write set, for a batch that has this memory.
    #[must_use]
    pub fn new(
        read_models: Arc<dyn ReadModel>,
        deployment: Arc<Deployment>,
        prefetch: PrefetchPlan,
        share: Share,
    ) -> Self {
        let inner = Inner {
            writes: WriteSet::default(),
            position: Position::START,
            aggregate_id: String::new(),
            prefetch,
            share: Some(share),
            guest_bytes: 0,
        };
        Self { read_models, deployment, inner: Mutex::new(inner) }
    }

    /// Fetches in one query what the batch will most likely read, as far as that is not too much at once.
    pub async fn prefetch(&self, events: &[Event]) -> Result<(), StoreError> {
        let (collections, documents_max) = {
            let inner = self.inner();
            let prefetch = &inner.prefetch;
            let collections: Vec<String> = prefetch.expected().into_iter().map(str::to_owned).collect();
            (collections, prefetch.documents_max())
        };
        if collections.is_empty() {
            return Ok(());
        }
        let keys_max = documents_max / collections.len();
        let mut known = HashSet::new();
        let ids = events.iter().map(|event| event.aggregate_id.as_str());
        let ids = ids.filter(|id| known.insert(*id) && check_key(id).is_ok());
        let mut keys: Vec<String> = ids.take(keys_max.max(1)).map(str::to_owned).collect();
        keys.sort_unstable();
        let wanted: Vec<Wanted> =
            collections.into_iter().map(|collection| Wanted { collection, keys: keys.clone() }).collect();
        let found = self.fetch(&wanted, limits::PREFETCH_BYTES_MAX).await?;
        self.inner().prefetch.document_bytes = found.bytes.checked_div(found.documents).unwrap_or(0);
        Ok(())
    }

    /// Begins an event.
    pub fn begin(&self, event: &Event) {
        let mut inner = self.inner();
        inner.writes.begin(event.position);
        inner.position = event.position;
        inner.aggregate_id.clone_from(&event.aggregate_id);
    }

    /// Ends the event: its changes stay. Returns whether the batch should be committed now, because of what
    /// it has touched so far.
    pub fn keep(&self) -> bool {
        let mut inner = self.inner();
        inner.writes.keep();
        inner.writes.held() >= limits::BATCH_CHANGE_BYTES_MAX
            || inner.writes.collections() >= limits::BATCH_COLLECTIONS_MAX
            || inner.cover(EVENT_ROOM_BYTES).is_err()
    }

    /// Ends the event: its changes are undone.
    pub fn undo(&self) {
        self.inner().writes.undo();
    }

    /// Takes out what the batch has changed, what it has taught about reading, and its memory.
    pub fn finish(&self) -> (Vec<CollectionChanges>, PrefetchPlan, Option<Share>) {
        let mut inner = self.inner();
        let (writes, prefetch) = (std::mem::take(&mut inner.writes), std::mem::take(&mut inner.prefetch));
        let prefetch = PrefetchPlan { carried_over: BTreeSet::new(), ..prefetch };
        (writes.into_changes(), prefetch, inner.share.take())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic cannot leave a write set half changed in a way that gets committed: the batch it
        // belongs to is dropped with the panicking task.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a change.
    fn change(&self, change: impl FnOnce(&mut WriteSet) -> Result<(), ChangeError>) -> Result<(), HostError> {
        let mut inner = self.inner();
        change(&mut inner.writes)?;
        inner.cover(0)
    }
}

#[async_trait]
impl GuestEnv for BatchEnv {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        self.read_one(collection, key).await
    }

    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
        self.read_many(collection, keys).await
    }

    async fn scan(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits::READ_KEYS_MAX);
        self.read_range(collection, after, prefix, limit).await
    }

    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError> {
        self.change(|writes| writes.put(collection, key, document))
    }

    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError> {
        self.change(|writes| writes.delete(collection, key))
    }

    fn increment(&self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), HostError> {
        self.change(|writes| writes.increment(collection, key, field, by))
    }

    fn config(&self, key: &str) -> Option<String> {
        self.deployment.settings.config.get(key).cloned()
    }

    fn admit_memory(&self, bytes: usize) -> bool {
        let mut inner = self.inner();
        inner.guest_bytes = bytes;
        inner.cover(0).is_ok()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let Deployment { projection, number: deployment, .. } = &*self.deployment;
        let position = self.inner().position;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "kennel::guest", %projection, deployment, %position, "{message}")
            };
        }
        match level {
            LogLevel::Debug => line!(debug),
            LogLevel::Info => line!(info),
            LogLevel::Warn => line!(warn),
            LogLevel::Error => line!(error),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
