//! What a guest asks of a read model, folded into at most one change per document.
//!
//! A [`WriteSet`] lives for one batch. Events are handled inside it one after the other: each begins
//! with [`WriteSet::begin`] and ends with [`WriteSet::keep`] or [`WriteSet::undo`], so that a failed
//! event leaves nothing behind while the events before it stay.
//!
//! It does no I/O: a document that it does not know has to be fetched by the caller and handed in with
//! [`WriteSet::remember`].

mod amounts;
mod slot;

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::Arc;

pub use amounts::add;
use slot::{Base, Before, ENTRY_BYTES, Entry, Pending, SLOT_BYTES, Slot};

use crate::document::{Unfit, check_document};
use crate::event::is_json;
use crate::failure::FailureKind;
use crate::limits;
use crate::name::{InvalidName, check_collection, check_key};
use crate::position::Position;

/// A stored document and the position of the event that wrote it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub document: Arc<str>,
    pub revision: Position,
}

/// What the writer of a change knew of the document before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It was never read.
    Unread,
    /// It did not exist.
    Absent,
    /// It was at this revision.
    Revision(Position),
}

/// What a batch does with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is replaced by this JSON text.
    Put(Arc<str>),
    /// It is removed.
    Delete,
    /// These amounts are added to its top-level fields.
    Increment(BTreeMap<String, i64>),
    /// It was read and not changed; only the expectation counts.
    Read,
}

/// The change of one document in one batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: String,
    pub access: Access,
    pub expectation: Expectation,
    /// The position of the event that made the change; 0 for [`Access::Read`].
    pub revision: Position,
}

/// The changes of one collection, sorted by key so that stores lock rows in one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionChanges {
    pub collection: String,
    pub changes: Vec<Change>,
}

/// A call that the read model rejects: the guest's mistake, not the host's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("document {collection}/{key} is not JSON: {reason}")]
    NotJson { collection: String, key: String, reason: String },
    #[error("document {collection}/{key} has {bytes} bytes; at most {max} are allowed", max = limits::DOCUMENT_BYTES_MAX)]
    TooLarge { collection: String, key: String, bytes: usize },
    #[error("document {collection}/{key} {reason}")]
    Unfit { collection: String, key: String, reason: Unfit },
    #[error("increment of field `{field}` of {collection}/{key}: {reason}")]
    Increment { collection: String, key: String, field: String, reason: &'static str },
    #[error("{given} keys in one read; at most {max} are allowed", max = limits::READ_KEYS_MAX)]
    TooManyKeys { given: usize },
    #[error(
        "the changes of one event, with what they replace, may take at most {max} MiB: write fewer or smaller documents",
        max = limits::EVENT_CHANGE_BYTES_MAX >> 20
    )]
    TooMuch,
    #[error(
        "the documents are larger than the {max} MiB that one call returns at most: ask for fewer at a time",
        max = limits::READ_BYTES_MAX >> 20
    )]
    TooMuchReturned,
    #[error(
        "one event may read at most {max} MiB of documents: read fewer or smaller ones",
        max = limits::EVENT_READ_BYTES_MAX >> 20
    )]
    TooMuchRead,
    #[error("one event may touch at most {max} collections: use fewer, with longer keys", max = limits::EVENT_COLLECTIONS_MAX)]
    TooManyCollections,
}

impl ChangeError {
    /// What the event fails with.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TooMuch | Self::TooMuchReturned | Self::TooMuchRead => FailureKind::MemoryLimit,
            _ => FailureKind::InvalidCall,
        }
    }
}

/// What a write set knows of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The document as the events so far have left it.
    Known(Option<Arc<str>>),
    /// It has to be fetched and remembered first.
    Unknown,
}

/// The changes of one batch, before they are committed. See the module's documentation.
#[derive(Debug, Default)]
pub struct WriteSet {
    /// Where in `slots` each document is.
    collections: HashMap<String, HashMap<String, usize>>,
    slots: Vec<Slot>,
    /// What the current event has overwritten: enough to put everything back.
    journal: Vec<Entry>,
    /// The number of the current event in this write set.
    number: u64,
    event: Position,
    held: Held,
    held_before_event: Held,
    collections_before_event: usize,
}

/// Bytes of memory, about.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// By changes, and by what the current event has overwritten.
    changes: usize,
    /// By documents that were read.
    reads: usize,
}

impl WriteSet {
    /// Begins the event at `position`.
    pub fn begin(&mut self, position: Position) {
        self.forget_journal();
        self.number += 1;
        self.event = position;
        self.held_before_event = self.held;
        self.collections_before_event = self.collections.len();
    }

    /// Ends the current event and keeps its changes.
    pub fn keep(&mut self) {
        self.forget_journal();
    }

    /// Ends the current event and puts everything back as it was before. Documents that it read stay
    /// known: reading changes nothing.
    pub fn undo(&mut self) {
        while let Some(entry) = self.journal.pop() {
            let slot = &mut self.slots[entry.slot];
            slot.writer = entry.writer;
            slot.pending = entry.restore(mem::take(&mut slot.pending));
            slot.entry = None;
        }
        self.held.changes = self.held_before_event.changes;
    }

    fn forget_journal(&mut self) {
        for entry in self.journal.drain(..) {
            self.held.changes -= entry.bytes();
        }
    }

    /// About how many bytes of memory the changes take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.held.changes
    }

    /// About how many bytes of memory the changes and everything that was read take.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.changes + self.held.reads
    }

    /// How many bytes of documents the current event may still read.
    #[must_use]
    pub fn left_to_read(&self) -> usize {
        let read = self.held.reads - self.held_before_event.reads;
        limits::EVENT_READ_BYTES_MAX.saturating_sub(read)
    }

    /// Collections that the events so far have touched.
    #[must_use]
    pub fn collections(&self) -> usize {
        self.collections.len()
    }

    /// Rejects names that are not valid, and one collection too many for the current event.
    pub fn admit(&self, collection: &str) -> Result<(), ChangeError> {
        check_collection(collection)?;
        let begun = self.collections.len() - self.collections_before_event;
        if begun >= limits::EVENT_COLLECTIONS_MAX && !self.collections.contains_key(collection) {
            return Err(ChangeError::TooManyCollections);
        }
        Ok(())
    }

    /// The document as the events so far have left it, if the write set knows.
    pub fn lookup(&mut self, collection: &str, key: &str) -> Result<Lookup, ChangeError> {
        let Some(index) = self.find(collection, key) else {
            self.admit(collection)?;
            check_key(key)?;
            return Ok(Lookup::Unknown);
        };
        let slot = &mut self.slots[index];
        slot.seen |= matches!(slot.pending, Pending::Unchanged | Pending::Incremented(_));
        Ok(match (&slot.pending, &slot.base) {
            (Pending::Put(document), _) => Lookup::Known(Some(Arc::clone(document))),
            (Pending::Deleted, _) => Lookup::Known(None),
            (Pending::Unchanged, Base::Read(stored)) => {
                Lookup::Known(stored.as_ref().map(|s| Arc::clone(&s.document)))
            }
            (Pending::Incremented(amounts), Base::Read(stored)) => {
                let base = stored.as_ref().map(|stored| &*stored.document);
                Lookup::Known(Some(add(collection, key, base, amounts)?.into()))
            }
            (Pending::Unchanged | Pending::Incremented(_), Base::Unread) => Lookup::Unknown,
        })
    }

    /// Remembers the stored state of a key. A state that is known already stays: the first read of a batch is the one
    /// whose revision is checked.
    pub fn remember(&mut self, collection: &str, key: &str, stored: Option<Stored>) {
        let index = match self.find(collection, key) {
            Some(index) => index,
            None => {
                self.held.reads += slot_bytes(collection, key);
                self.add_slot(collection, key)
            }
        };
        let slot = &mut self.slots[index];
        if matches!(slot.base, Base::Unread) {
            self.held.reads += stored.as_ref().map_or(0, |stored| stored.document.len());
            slot.base = Base::Read(stored);
        }
    }

    /// Replaces a document.
    pub fn put(&mut self, collection: &str, key: &str, document: String) -> Result<(), ChangeError> {
        self.admit(collection)?;
        check_key(key)?;
        if document.len() > limits::DOCUMENT_BYTES_MAX {
            let bytes = document.len();
            return Err(ChangeError::TooLarge {
                collection: collection.to_owned(),
                key: limits::excerpt(key),
                bytes,
            });
        }
        if !is_json(&document) {
            let reason = serde_json::from_str::<serde::de::IgnoredAny>(&document).err();
            let reason = reason.map(|error| error.to_string()).unwrap_or_default();
            return Err(ChangeError::NotJson {
                collection: collection.to_owned(),
                key: limits::excerpt(key),
                reason,
            });
        }
        check_document(&document).map_err(|reason| ChangeError::Unfit {
            collection: collection.to_owned(),
            key: limits::excerpt(key),
            reason,
        })?;
        let index = self.slot(collection, key);
        self.replace(index, Pending::Put(document.into()))
    }

    /// Removes a document.
    pub fn delete(&mut self, collection: &str, key: &str) -> Result<(), ChangeError> {
        self.admit(collection)?;
        check_key(key)?;
        let index = self.slot(collection, key);
        self.replace(index, Pending::Deleted)
    }

    /// The keys in a collection that start with `prefix` and sort after `after` and that the events so far have
    /// changed, in no order, and whether they have removed the document. A scan lays them over the stored documents.
    pub fn changed(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
    ) -> impl Iterator<Item = (&str, bool)> {
        let indices = self.collections.get(collection).into_iter().flatten();
        let inside = indices.filter(move |(key, _)| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        inside.filter_map(|(key, index)| match self.slots[*index].pending {
            Pending::Unchanged => None,
            Pending::Deleted => Some((key.as_str(), true)),
            Pending::Put(_) | Pending::Incremented(_) => Some((key.as_str(), false)),
        })
    }

    /// Everything that has to be checked and written, sorted by collection and key.
    #[must_use]
    pub fn into_changes(mut self) -> Vec<CollectionChanges> {
        let sorted: BTreeMap<String, HashMap<String, usize>> =
            mem::take(&mut self.collections).into_iter().collect();
        let collections = sorted.into_iter().map(|(collection, indices)| {
            let indices: BTreeMap<String, usize> = indices.into_iter().collect();
            let changes = indices
                .into_iter()
                .filter_map(|(key, index)| mem::take(&mut self.slots[index]).into_change(key));
            CollectionChanges { collection, changes: changes.collect() }
        });
        collections.filter(|collection| !collection.changes.is_empty()).collect()
    }

    fn find(&self, collection: &str, key: &str) -> Option<usize> {
        self.collections.get(collection)?.get(key).copied()
    }

    /// Where a document is that is about to be changed.
    fn slot(&mut self, collection: &str, key: &str) -> usize {
        if let Some(index) = self.find(collection, key) {
            return index;
        }
        self.held.changes += slot_bytes(collection, key);
        self.add_slot(collection, key)
    }

    fn add_slot(&mut self, collection: &str, key: &str) -> usize {
        let index = self.slots.len();
        self.slots.push(Slot::default());
        let indices = match self.collections.get_mut(collection) {
            Some(indices) => indices,
            None => self.collections.entry(collection.to_owned()).or_default(),
        };
        indices.insert(key.to_owned(), index);
        index
    }

    /// Replaces the pending change of a document.
    fn replace(&mut self, index: usize, pending: Pending) -> Result<(), ChangeError> {
        let slot = &mut self.slots[index];
        self.held.changes += pending.bytes();
        let before = mem::replace(&mut slot.pending, pending);
        match slot.entry {
            Some((number, entry)) if number == self.number => {
                let entry = &mut self.journal[entry];
                self.held.changes -= before.bytes() + entry.bytes();
                entry.detach(before);
                self.held.changes += entry.bytes();
            }
            _ => {
                slot.entry = Some((self.number, self.journal.len()));
                let writer = mem::replace(&mut slot.writer, self.event);
                let entry = Entry { slot: index, writer, before: Before::Whole(before) };
                // The journal keeps the state that the event has found.
                self.held.changes += ENTRY_BYTES;
                self.journal.push(entry);
            }
        }
        self.bounded()
    }

    /// A single event may fill a whole batch; the runner commits early when a batch has grown large.
    fn bounded(&self) -> Result<(), ChangeError> {
        let grown = self.held.changes.saturating_sub(self.held_before_event.changes);
        if grown > limits::EVENT_CHANGE_BYTES_MAX { Err(ChangeError::TooMuch) } else { Ok(()) }
    }
}

fn slot_bytes(collection: &str, key: &str) -> usize {
    // The name of a collection is kept once, but a collection with one document is a map of its own.
    SLOT_BYTES + key.len() + collection.len()
}
