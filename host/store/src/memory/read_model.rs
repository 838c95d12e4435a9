//! Read models in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use kennel_core::change::{Access, Change, CollectionChanges, Expectation, Stored, add};
use kennel_core::checkpoint::Checkpoint;
use kennel_core::port::{
    Commit, CommitOutcome, DeadLetter, Document, Fetched, ReadModel, StoreError, Wanted,
};
use kennel_core::projection::ReadModelId;

use super::{Built, MemoryStore};
use crate::naming;

#[async_trait]
impl ReadModel for MemoryStore {
    async fn fetch_up_to(
        &self,
        read_model: ReadModelId,
        wanted: &[Wanted],
        bytes_max: usize,
    ) -> Result<Vec<Vec<Fetched>>, StoreError> {
        let state = self.state();
        let built = state.read_models.get(&read_model);
        let mut bytes = 0;
        let answers = wanted.iter().map(|Wanted { collection, keys }| {
            let documents = built.and_then(|built| built.collections.get(collection));
            let find = |key| match documents.and_then(|documents| documents.get(key)) {
                None => Fetched::Absent,
                Some(_) if bytes > bytes_max => Fetched::Left,
                Some(stored) => {
                    bytes += stored.document.len();
                    Fetched::Stored(stored.clone())
                }
            };
            keys.iter().map(find).collect()
        });
        Ok(answers.collect())
    }

    async fn scan_up_to(
        &self,
        read_model: ReadModelId,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let state = self.state();
        let documents =
            state.read_models.get(&read_model).and_then(|built| built.collections.get(collection));
        let Some(documents) = documents else { return Ok(Vec::new()) };
        let found = documents
            .range(naming::first_of_scan(after, prefix)..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .scan(0, |bytes, found| {
                let goes_on = *bytes <= bytes_max;
                *bytes += found.1.document.len();
                goes_on.then_some(found)
            });
        Ok(found.map(|(key, stored)| Document { key: key.clone(), stored: stored.clone() }).collect())
    }

    async fn commit(&self, batch: &Commit) -> Result<CommitOutcome, StoreError> {
        if batch.to.position < batch.from {
            let (from, to) = (batch.from, batch.to.position);
            let message = format!("a batch cannot move a checkpoint back from {from} to {to}");
            return Err(StoreError::Invalid { message });
        }
        let mut state = self.state();
        let (before, after) = (state.last_event(batch.from), state.last_event(batch.to.position));
        let Some(built) = state.read_models.get_mut(&batch.read_model) else {
            return Ok(CommitOutcome::Fenced);
        };
        if !built.owns(batch) {
            return Ok(CommitOutcome::Fenced);
        }
        let moved = |row: &Checkpoint| {
            batch.ranges.iter().any(|range| range.intersection(row.range) == Some(row.range))
        };
        if after != batch.to.witness
            || built.checkpoints.iter().filter(|row| moved(row)).any(|row| row.witness != before)
        {
            return Ok(CommitOutcome::LogSetBack);
        }
        // Everything that can fail comes before anything is changed.
        let mut prepared = Vec::with_capacity(batch.changes.len());
        for changes in &batch.changes {
            match built.prepare(changes, batch.sole_owner) {
                Ok(documents) => prepared.push((changes.collection.clone(), documents)),
                Err(outcome) => return Ok(outcome),
            }
        }
        for (collection, documents) in prepared {
            built.apply(collection, documents);
        }
        for row in built.checkpoints.iter_mut().filter(|row| moved(row)) {
            (row.position, row.witness) = (batch.to.position, batch.to.witness);
        }
        for letter in &batch.dead_letters {
            built.dead_letters.insert(letter.failure.position, letter.failure.clone());
        }
        Ok(CommitOutcome::Committed)
    }

    async fn collections(&self, read_model: ReadModelId) -> Result<Vec<Arc<str>>, StoreError> {
        let state = self.state();
        let collections =
            state.read_models.get(&read_model).into_iter().flat_map(|built| built.collections.keys());
        Ok(collections.map(|name| Arc::from(name.as_str())).collect())
    }

    async fn dead_letters(
        &self,
        read_model: ReadModelId,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let state = self.state();
        let letters =
            state.read_models.get(&read_model).into_iter().flat_map(|built| built.dead_letters.values());
        Ok(letters.take(limit).map(|failure| DeadLetter { failure: failure.clone() }).collect())
    }
}

/// What becomes of each document of a collection: `None` removes it.
type Prepared = BTreeMap<String, Option<Stored>>;

impl Built {
    /// Whether the batch's owner may move all of its ranges.
    fn owns(&self, batch: &Commit) -> bool {
        batch.ranges.iter().all(|range| {
            let mine = self.checkpoints.iter().filter(|row| {
                row.range.intersection(*range) == Some(row.range)
                    && row.generation == batch.generation
                    && row.position == batch.from
            });
            mine.map(|row| row.range.end() - row.range.start()).sum::<u64>() == range.end() - range.start()
        })
    }

    fn prepare(&self, changes: &CollectionChanges, sole_owner: bool) -> Result<Prepared, CommitOutcome> {
        let documents = self.collections.get(&changes.collection);
        let found = |change: &Change| documents.and_then(|documents| documents.get(&change.key));
        for change in changes.changes.iter().filter(|_| !sole_owner) {
            let revision = found(change).map(|stored| stored.revision);
            let as_expected = match change.expectation {
                Expectation::Unread => true,
                Expectation::Absent => revision.is_none(),
                Expectation::Revision(expected) => revision == Some(expected),
            };
            if !as_expected {
                let (collection, key) = (changes.collection.clone(), change.key.clone());
                return Err(CommitOutcome::Conflict { collection, key });
            }
        }
        let mut prepared = Prepared::new();
        for change in &changes.changes {
            let document: Arc<str> = match &change.access {
                Access::Put(document) => Arc::clone(document),
                Access::Increment(amounts) => {
                    let before = found(change).map(|stored| &*stored.document);
                    let sum = add(&changes.collection, &change.key, before, amounts);
                    sum.map_err(|invalid| CommitOutcome::Invalid { reason: invalid.to_string() })?.into()
                }
                Access::Delete => {
                    prepared.insert(change.key.clone(), None);
                    continue;
                }
                Access::Read => continue,
            };
            prepared.insert(change.key.clone(), Some(Stored { document, revision: change.revision }));
        }
        Ok(prepared)
    }

    fn apply(&mut self, collection: String, prepared: Prepared) {
        // A collection comes into being with the first document that is put into it.
        if prepared.values().all(Option::is_none) && !self.collections.contains_key(&collection) {
            return;
        }
        let documents = self.collections.entry(collection).or_default();
        for (key, stored) in prepared {
            match stored {
                Some(stored) => drop(documents.insert(key, stored)),
                None => drop(documents.remove(&key)),
            }
        }
    }
}
