//! How a guest reads documents: from the write set if it knows them, else from the store. All that is read is
//! remembered until the batch is over, so it is bounded: for one call, for one event, and by the memory of the batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use kennel_core::change::{ChangeError, Lookup, WriteSet};
use kennel_core::limits;
use kennel_core::port::{Document, Fetched, HostError, StoreError, Wanted};

use super::{BatchEnv, Inner};

/// The least that is read before more memory is asked for.
const READ_BYTES_MIN: usize = 1024 * 1024;

/// What the store had of the documents that were wanted.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) documents: usize,
    pub(super) bytes: usize,
    /// Keys of documents that it was too much to load.
    left: Vec<String>,
}

/// How much may be read.
struct Allowed {
    /// At once.
    at_hand: usize,
    /// If the batch gets more memory.
    most: usize,
}

impl Inner {
    fn allowed(&self, read_already: usize) -> Allowed {
        let most = limits::READ_BYTES_MAX.saturating_sub(read_already).min(self.writes.left_to_read());
        Allowed { at_hand: self.left().max(READ_BYTES_MIN).min(most), most }
    }

    /// After something was read: whether it was too much.
    fn after_read(&mut self) -> Result<(), HostError> {
        if self.writes.left_to_read() == 0 {
            return Err(ChangeError::TooMuchRead.into());
        }
        self.cover(0)
    }

    /// Why not all could be read.
    fn too_much(&self) -> HostError {
        let by_event = self.writes.left_to_read() < limits::READ_BYTES_MAX;
        if by_event { ChangeError::TooMuchRead.into() } else { ChangeError::TooMuchReturned.into() }
    }

    /// Whether documents with so many bytes can be returned to the guest, which copies them.
    fn cover_returned(&mut self, bytes: usize) -> Result<(), HostError> {
        if bytes > limits::READ_BYTES_MAX {
            return Err(ChangeError::TooMuchReturned.into());
        }
        self.cover(bytes)
    }
}

impl BatchEnv {
    /// Asks the store and remembers what it says.
    pub(super) async fn fetch(&self, wanted: &[Wanted], bytes_max: usize) -> Result<Found, StoreError> {
        let answers = self.read_models.fetch_up_to(self.deployment.read_model, wanted, bytes_max).await?;
        let mut inner = self.inner();
        let mut found = Found::default();
        for (wanted, answers) in wanted.iter().zip(answers) {
            for (key, answer) in wanted.keys.iter().zip(answers) {
                let stored = match answer {
                    Fetched::Left => {
                        found.left.push(key.clone());
                        continue;
                    }
                    Fetched::Absent => None,
                    Fetched::Stored(stored) => {
                        found.documents += 1;
                        found.bytes += stored.document.len();
                        Some(stored)
                    }
                };
                inner.writes.remember(&wanted.collection, key, stored);
            }
        }
        Ok(found)
    }

    /// Fetches what a guest wants, all of it.
    async fn fetch_for_guest(&self, collection: &str, keys: Vec<String>) -> Result<(), HostError> {
        let Allowed { at_hand, most } = self.inner().allowed(0);
        let mut wanted = Wanted { collection: collection.to_owned(), keys };
        wanted.keys = self.fetch(std::slice::from_ref(&wanted), at_hand).await?.left;
        self.inner().after_read()?;
        if !wanted.keys.is_empty() && at_hand < most {
            self.inner().cover(most)?;
            wanted.keys = self.fetch(std::slice::from_ref(&wanted), most).await?.left;
            self.inner().after_read()?;
        }
        if wanted.keys.is_empty() { Ok(()) } else { Err(self.inner().too_much()) }
    }

    pub(super) async fn read_one(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        {
            let mut inner = self.inner();
            let found = inner.writes.lookup(collection, key)?;
            if key == inner.aggregate_id {
                inner.prefetch.learn(collection);
            }
            if let Lookup::Known(document) = found {
                return Ok(document);
            }
        }
        self.fetch_for_guest(collection, vec![key.to_owned()]).await?;
        known(&mut self.inner().writes, collection, key)
    }

    pub(super) async fn read_many(
        &self,
        collection: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Arc<str>>>, HostError> {
        if keys.len() > limits::READ_KEYS_MAX {
            return Err(ChangeError::TooManyKeys { given: keys.len() }.into());
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
            self.fetch_for_guest(collection, missing).await?;
        }
        let mut inner = self.inner();
        let mut bytes = 0;
        let mut documents = Vec::with_capacity(keys.len());
        for key in keys {
            let document = known(&mut inner.writes, collection, key)?;
            bytes += document.as_ref().map_or(0, |document| document.len());
            inner.cover_returned(bytes)?;
            documents.push(document);
        }
        Ok(documents)
    }

    pub(super) async fn read_range(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        self.inner().writes.admit(collection)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut merged: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut bytes = 0;
        let mut reached = after.map(str::to_owned);
        let complete = loop {
            let (rows, complete) =
                self.next_rows(collection, reached.as_deref(), prefix, limit - merged.len(), bytes).await?;
            let mut inner = self.inner();
            reached = rows.last().map(|row| row.key.clone()).or(reached);
            for row in rows {
                bytes += row.stored.document.len();
                inner.writes.remember(collection, &row.key, Some(row.stored));
                if let Some(document) = known(&mut inner.writes, collection, &row.key)? {
                    merged.insert(row.key, document);
                }
            }
            inner.after_read()?;
            if complete || merged.len() >= limit {
                break complete;
            }
        };
        let mut inner = self.inner();
        // Beyond the last row that was read, stored rows could lie between: those come with a later scan.
        let within = |key: &str| complete || reached.as_ref().is_some_and(|reached| key <= reached.as_str());
        let changed = inner.writes.changed(collection, after, prefix);
        let more: Vec<String> = changed
            .filter(|(key, removed)| !removed && within(key) && !merged.contains_key(*key))
            .map(|(key, _)| key.to_owned())
            .collect();
        for key in more {
            // One that was only incremented and that the scan did not bring along does not exist in the store.
            if inner.writes.lookup(collection, &key)? == Lookup::Unknown {
                inner.writes.remember(collection, &key, None);
            }
            if let Some(document) = known(&mut inner.writes, collection, &key)? {
                merged.insert(key, document);
            }
        }
        let merged: Vec<(String, Arc<str>)> = merged.into_iter().take(limit).collect();
        inner.cover_returned(merged.iter().map(|(key, document)| key.len() + document.len()).sum())?;
        Ok(merged)
    }

    /// The next stored rows of a range, enough for so many of them to be left when those are taken away that this
    /// batch has removed, and whether they are the last. `read_already` is what the scan has read so far.
    async fn next_rows(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        wanted: usize,
        read_already: usize,
    ) -> Result<(Vec<Document>, bool), HostError> {
        let (Allowed { at_hand, most }, limit) = {
            let inner = self.inner();
            let removed = inner.writes.changed(collection, after, prefix).filter(|(_, removed)| *removed);
            let removed = removed.take(limits::READ_KEYS_MAX).count();
            (inner.allowed(read_already), wanted + removed)
        };
        let read_model = self.deployment.read_model;
        let rows = self.read_models.scan_up_to(read_model, collection, after, prefix, limit, at_hand).await?;
        let bytes: usize = rows.iter().map(|row| row.stored.document.len()).sum();
        if bytes > at_hand {
            let mut inner = self.inner();
            if bytes > most {
                return Err(inner.too_much());
            }
            inner.cover(most)?;
        }
        let complete = rows.len() < limit && bytes <= at_hand;
        Ok((rows, complete))
    }
}

/// A document that has been looked for.
fn known(writes: &mut WriteSet, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
    match writes.lookup(collection, key)? {
        Lookup::Known(document) => Ok(document),
        Lookup::Unknown => Ok(None),
    }
}
