//! What a guest sees of the host while one batch runs: a write set laid over the stored read model.
//!
//! Reads that the write set cannot answer go to the store. Which collections a projection reads by the
//! aggregate's own id is remembered from batch to batch, so that the next batch can fetch them in one
//! query before it starts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kennel_core::change::{CollectionChanges, Lookup, Refused, WriteSet};
use kennel_core::event::Event;
use kennel_core::limits;
use kennel_core::name::{ProjectionName, check_key};
use kennel_core::port::{GuestEnv, HostError, LogLevel, ReadModel, StoreError, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, ReadModelId};

/// Collections that are fetched ahead at most: a projection that names its collections by the event
/// would make every batch fetch more than it needs.
const HABITS_MAX: usize = 8;

/// The collections that a projection has read under the id of the event's own aggregate.
#[derive(Debug, Default)]
pub struct ReadHabits {
    by_aggregate_id: BTreeSet<String>,
    /// Those of whoever did this work before, which count for one batch: it shows which of them remain.
    handed_over: BTreeSet<String>,
}

impl ReadHabits {
    /// What a successor begins with, which may run other code. Without it, its first batch would fetch
    /// documents one by one.
    #[must_use]
    pub fn hand_over(self) -> Self {
        Self { by_aggregate_id: BTreeSet::new(), handed_over: self.by_aggregate_id }
    }

    /// The collections that are worth fetching ahead.
    fn expected(&self) -> BTreeSet<&str> {
        self.by_aggregate_id.iter().chain(&self.handed_over).map(String::as_str).collect()
    }

    /// Learns that a collection was read under the id of the event's own aggregate.
    fn learn(&mut self, collection: &str) {
        if self.by_aggregate_id.len() < HABITS_MAX && !self.by_aggregate_id.contains(collection) {
            self.by_aggregate_id.insert(collection.to_owned());
        }
    }
}

/// The environment of one batch.
pub struct BatchEnv {
    read_models: Arc<dyn ReadModel>,
    read_model: ReadModelId,
    projection: ProjectionName,
    number: u32,
    config: BTreeMap<String, String>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    writes: WriteSet,
    position: Position,
    aggregate_id: String,
    habits: ReadHabits,
}

impl std::fmt::Debug for BatchEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEnv").field("read_model", &self.read_model).finish_non_exhaustive()
    }
}

impl BatchEnv {
    /// An environment with an empty write set.
    #[must_use]
    pub fn new(read_models: Arc<dyn ReadModel>, deployment: &Deployment, habits: ReadHabits) -> Self {
        Self {
            read_models,
            read_model: deployment.read_model,
            projection: deployment.projection.clone(),
            number: deployment.number,
            config: deployment.settings.config.clone(),
            inner: Mutex::new(Inner { habits, ..Inner::default() }),
        }
    }

    /// Fetches in one query what the batch will most likely read.
    pub async fn prefetch(&self, events: &[Event]) -> Result<(), StoreError> {
        let collections: Vec<String> =
            self.inner().habits.expected().into_iter().map(str::to_owned).collect();
        if collections.is_empty() {
            return Ok(());
        }
        let ids: HashSet<&str> = events.iter().map(|event| event.aggregate_id.as_str()).collect();
        let mut keys: Vec<String> =
            ids.into_iter().filter(|id| check_key(id).is_ok()).map(str::to_owned).collect();
        keys.sort_unstable();
        let wanted: Vec<Wanted> =
            collections.into_iter().map(|collection| Wanted { collection, keys: keys.clone() }).collect();
        self.fetch(&wanted).await
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
        inner.writes.bytes() >= limits::BATCH_CHANGE_BYTES_MAX
            || inner.writes.collections() >= limits::BATCH_COLLECTIONS_MAX
    }

    /// Ends the event: its changes are undone.
    pub fn undo(&self) {
        self.inner().writes.undo();
    }

    /// Takes out what the batch has changed, and what it has taught about reading.
    pub fn finish(&self) -> (Vec<CollectionChanges>, ReadHabits) {
        let inner = std::mem::take(&mut *self.inner());
        (inner.writes.into_changes(), ReadHabits { handed_over: BTreeSet::new(), ..inner.habits })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic cannot leave a write set half changed in a way that gets committed: the batch it
        // belongs to is dropped with the panicking task.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, wanted: &[Wanted]) -> Result<(), StoreError> {
        let found = self.read_models.fetch(self.read_model, wanted).await?;
        let mut inner = self.inner();
        for (wanted, found) in wanted.iter().zip(found) {
            for (key, stored) in wanted.keys.iter().zip(found) {
                inner.writes.remember(&wanted.collection, key, stored);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl GuestEnv for BatchEnv {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        {
            let mut inner = self.inner();
            let found = inner.writes.lookup(collection, key)?;
            if key == inner.aggregate_id {
                inner.habits.learn(collection);
            }
            if let Lookup::Known(document) = found {
                return Ok(document);
            }
        }
        let wanted = Wanted { collection: collection.to_owned(), keys: vec![key.to_owned()] };
        self.fetch(&[wanted]).await?;
        match self.inner().writes.lookup(collection, key)? {
            Lookup::Known(document) => Ok(document),
            Lookup::Unknown => Ok(None),
        }
    }

    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
        if keys.len() > limits::READ_KEYS_MAX {
            return Err(Refused::TooManyKeys { given: keys.len() }.into());
        }
        let mut missing = Vec::new();
        {
            let mut inner = self.inner();
            for key in keys {
                if inner.writes.lookup(collection, key)? == Lookup::Unknown {
                    missing.push(key.clone());
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            self.fetch(&[Wanted { collection: collection.to_owned(), keys: missing }]).await?;
        }
        let mut inner = self.inner();
        let documents = keys.iter().map(|key| match inner.writes.lookup(collection, key)? {
            Lookup::Known(document) => Ok(document),
            Lookup::Unknown => Ok(None),
        });
        documents.collect()
    }

    async fn scan(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        self.inner().writes.admit(collection)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits::READ_KEYS_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        // Every pending deletion inside may hide one stored row, so that many more rows are needed.
        let pending = self.inner().writes.changed(collection, after, prefix).len();
        let rows = self.read_models.scan(self.read_model, collection, after, prefix, limit + pending).await?;
        let complete = rows.len() < limit + pending;
        let last = rows.last().map(|row| row.key.clone());
        let mut inner = self.inner();
        let mut merged: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for row in rows {
            inner.writes.remember(collection, &row.key, Some(row.stored.clone()));
            inner.writes.lookup(collection, &row.key)?;
            merged.insert(row.key, row.stored.document);
        }
        for key in inner.writes.changed(collection, after, prefix) {
            // Beyond the last row that was read, stored rows could lie between: those come with a
            // later scan.
            if !complete && last.as_ref().is_some_and(|last| key > *last) {
                continue;
            }
            match resolve(&mut inner.writes, collection, &key)? {
                Some(document) => merged.insert(key, document),
                None => merged.remove(&key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError> {
        Ok(self.inner().writes.put(collection, key, document)?)
    }

    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError> {
        Ok(self.inner().writes.delete(collection, key)?)
    }

    fn increment(&self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), HostError> {
        Ok(self.inner().writes.increment(collection, key, field, by)?)
    }

    fn config(&self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let (projection, deployment, position) = (&self.projection, self.number, self.inner().position);
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

/// The document as the batch has left it. One that was only incremented and that the scan did not bring
/// along does not exist in the store, or the scan would have found it.
fn resolve(writes: &mut WriteSet, collection: &str, key: &str) -> Result<Option<Arc<str>>, Refused> {
    if writes.lookup(collection, key)? == Lookup::Unknown {
        writes.remember(collection, key, None);
    }
    match writes.lookup(collection, key)? {
        Lookup::Known(document) => Ok(document),
        Lookup::Unknown => Ok(None),
    }
}

#[cfg(test)]
mod tests;
