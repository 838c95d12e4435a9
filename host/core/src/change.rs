//! What a guest asks of a read model, folded into at most one change per document.
//!
//! A [`WriteSet`] lives for one batch. Events are handled inside it one after the other: each begins
//! with [`WriteSet::begin`] and ends with [`WriteSet::keep`] or [`WriteSet::undo`], so that a failed
//! event leaves nothing behind while the events before it stay.
//!
//! It does no I/O: a document that it does not know has to be fetched by the caller and handed in with
//! [`WriteSet::remember`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::document::{Unfit, check_document};
use crate::event::is_json;
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

/// What becomes of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
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
    pub operation: Operation,
    pub expectation: Expectation,
    /// The position of the event that made the change; 0 for [`Operation::Read`].
    pub revision: Position,
}

/// The changes of one collection, sorted by key so that stores lock rows in one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionChanges {
    pub collection: String,
    pub changes: Vec<Change>,
}

/// A call that the read model refuses: the guest's mistake, not the host's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
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
    #[error("the events of one batch may change at most {max} bytes of documents", max = limits::BATCH_CHANGE_BYTES_MAX)]
    TooMuch,
    #[error("one event may touch at most {max} collections: use fewer, with longer keys", max = limits::EVENT_COLLECTIONS_MAX)]
    TooManyCollections,
}

/// What a write set knows of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The document as the events so far have left it.
    Known(Option<Arc<str>>),
    /// It has to be fetched and remembered first.
    Unknown,
}

#[derive(Clone, Debug, Default)]
enum Base {
    #[default]
    Unread,
    Read(Option<Stored>),
}

#[derive(Clone, Debug, Default)]
enum Pending {
    #[default]
    Untouched,
    Put(Arc<str>),
    Deleted,
    Incremented(BTreeMap<String, i64>),
}

#[derive(Clone, Debug, Default)]
struct Slot {
    base: Base,
    /// Whether the guest has seen the document: what was only fetched ahead for it does not count.
    seen: bool,
    pending: Pending,
    writer: Position,
}

type Collection = HashMap<String, Slot>;

/// The changes of one batch, before they are committed. See the module's documentation.
#[derive(Debug, Default)]
pub struct WriteSet {
    collections: HashMap<String, Collection>,
    /// What the current event has overwritten: enough to put everything back.
    journal: Vec<(String, String, Pending, Position)>,
    event: Position,
    bytes: usize,
    bytes_before_event: usize,
    collections_before_event: usize,
}

impl WriteSet {
    /// Begins the event at `position`.
    pub fn begin(&mut self, position: Position) {
        self.journal.clear();
        self.event = position;
        self.bytes_before_event = self.bytes;
        self.collections_before_event = self.collections.len();
    }

    /// Ends the current event and keeps its changes.
    pub fn keep(&mut self) {
        self.journal.clear();
    }

    /// Ends the current event and puts everything back as it was before. Documents that it read stay
    /// known: reading changes nothing.
    pub fn undo(&mut self) {
        while let Some((collection, key, pending, writer)) = self.journal.pop() {
            if let Some(slot) = self.collections.get_mut(&collection).and_then(|slots| slots.get_mut(&key)) {
                slot.pending = pending;
                slot.writer = writer;
            }
        }
        self.bytes = self.bytes_before_event;
    }

    /// About how many bytes of documents the changes hold.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Collections that the events so far have touched.
    #[must_use]
    pub fn collections(&self) -> usize {
        self.collections.len()
    }

    /// Refuses names that are not valid, and one collection too many for the current event.
    pub fn admit(&self, collection: &str) -> Result<(), Refused> {
        check_collection(collection)?;
        let begun = self.collections.len() - self.collections_before_event;
        if begun >= limits::EVENT_COLLECTIONS_MAX && !self.collections.contains_key(collection) {
            return Err(Refused::TooManyCollections);
        }
        Ok(())
    }

    /// The document as the events so far have left it, if the write set knows.
    pub fn lookup(&mut self, collection: &str, key: &str) -> Result<Lookup, Refused> {
        let Some(slot) = self.collections.get_mut(collection).and_then(|slots| slots.get_mut(key)) else {
            self.admit(collection)?;
            check_key(key)?;
            return Ok(Lookup::Unknown);
        };
        slot.seen |= matches!(slot.pending, Pending::Untouched | Pending::Incremented(_));
        Ok(match (&slot.pending, &slot.base) {
            (Pending::Put(document), _) => Lookup::Known(Some(Arc::clone(document))),
            (Pending::Deleted, _) => Lookup::Known(None),
            (Pending::Untouched, Base::Read(stored)) => {
                Lookup::Known(stored.as_ref().map(|s| Arc::clone(&s.document)))
            }
            (Pending::Incremented(amounts), Base::Read(stored)) => {
                let base = stored.as_ref().map(|stored| &*stored.document);
                Lookup::Known(Some(add(collection, key, base, amounts)?.into()))
            }
            (Pending::Untouched | Pending::Incremented(_), Base::Unread) => Lookup::Unknown,
        })
    }

    /// Takes note of what the store holds under a key. What is known already stays: the first read of
    /// a batch is the one whose revision is checked.
    pub fn remember(&mut self, collection: &str, key: &str, stored: Option<Stored>) {
        let slot = self.slot(collection, key);
        if matches!(slot.base, Base::Unread) {
            slot.base = Base::Read(stored);
        }
    }

    /// Replaces a document.
    pub fn put(&mut self, collection: &str, key: &str, document: String) -> Result<(), Refused> {
        self.admit(collection)?;
        check_key(key)?;
        if document.len() > limits::DOCUMENT_BYTES_MAX {
            let bytes = document.len();
            return Err(Refused::TooLarge {
                collection: collection.to_owned(),
                key: limits::excerpt(key),
                bytes,
            });
        }
        if !is_json(&document) {
            let reason = serde_json::from_str::<serde::de::IgnoredAny>(&document).err();
            let reason = reason.map(|error| error.to_string()).unwrap_or_default();
            return Err(Refused::NotJson {
                collection: collection.to_owned(),
                key: limits::excerpt(key),
                reason,
            });
        }
        check_document(&document).map_err(|reason| Refused::Unfit {
            collection: collection.to_owned(),
            key: limits::excerpt(key),
            reason,
        })?;
        self.spend(document.len() + key.len())?;
        self.change(collection, key, Pending::Put(document.into()));
        Ok(())
    }

    /// Removes a document.
    pub fn delete(&mut self, collection: &str, key: &str) -> Result<(), Refused> {
        self.admit(collection)?;
        check_key(key)?;
        self.spend(key.len())?;
        self.change(collection, key, Pending::Deleted);
        Ok(())
    }

    /// Adds to a top-level field. Where the document is not known, the sum is left to the store.
    pub fn increment(&mut self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), Refused> {
        self.admit(collection)?;
        check_key(key)?;
        let refuse = |reason| Refused::Increment {
            collection: collection.to_owned(),
            key: limits::excerpt(key),
            field: limits::excerpt(field),
            reason,
        };
        if field.is_empty() || field.len() > limits::KEY_BYTES_MAX || field.contains('\0') {
            return Err(refuse("a field's name has 1 to 1,024 bytes and no NUL"));
        }
        self.spend(key.len() + field.len())?;
        let slot = self.slot(collection, key);
        let one = || BTreeMap::from([(field.to_owned(), by)]);
        let pending = match &slot.pending {
            Pending::Put(document) => Pending::Put(add(collection, key, Some(document), &one())?.into()),
            Pending::Deleted => Pending::Put(add(collection, key, None, &one())?.into()),
            Pending::Untouched => Pending::Incremented(one()),
            Pending::Incremented(amounts) => {
                let mut amounts = amounts.clone();
                let amount = amounts.entry(field.to_owned()).or_insert(0);
                *amount = amount.checked_add(by).ok_or_else(|| refuse(OVERFLOW))?;
                Pending::Incremented(amounts)
            }
        };
        // Where the stored document is known, a sum that cannot be built is this event's mistake and
        // must not wait for the commit.
        if let (Pending::Incremented(amounts), Base::Read(stored)) = (&pending, &slot.base) {
            let sum = add(collection, key, stored.as_ref().map(|stored| &*stored.document), amounts);
            // A refusal tells the guest about the stored document, so its revision counts.
            slot.seen |= sum.is_err();
            sum?;
        }
        self.change(collection, key, pending);
        Ok(())
    }

    /// The keys in a collection that start with `prefix` and sort after `after` and that the events so
    /// far have changed, in no order. A scan lays them over what is stored.
    pub fn changed(&self, collection: &str, after: Option<&str>, prefix: &str) -> Vec<String> {
        let slots = self.collections.get(collection).into_iter().flatten();
        let changed = slots.filter(|(key, slot)| {
            key.starts_with(prefix)
                && after.is_none_or(|after| key.as_str() > after)
                && !matches!(slot.pending, Pending::Untouched)
        });
        changed.map(|(key, _)| key.clone()).collect()
    }

    /// Everything that has to be checked and written, sorted by collection and key.
    #[must_use]
    pub fn into_changes(self) -> Vec<CollectionChanges> {
        let sorted: BTreeMap<String, Collection> = self.collections.into_iter().collect();
        let collections = sorted.into_iter().map(|(collection, slots)| {
            let slots: BTreeMap<String, Slot> = slots.into_iter().collect();
            let changes = slots.into_iter().filter_map(|(key, slot)| slot.into_change(key)).collect();
            CollectionChanges { collection, changes }
        });
        collections.filter(|collection| !collection.changes.is_empty()).collect()
    }

    fn slot(&mut self, collection: &str, key: &str) -> &mut Slot {
        let slots = self.collections.entry(collection.to_owned()).or_default();
        slots.entry(key.to_owned()).or_default()
    }

    fn change(&mut self, collection: &str, key: &str, pending: Pending) {
        let event = self.event;
        let slot = self.slot(collection, key);
        let before = std::mem::replace(&mut slot.pending, pending);
        let writer = std::mem::replace(&mut slot.writer, event);
        self.journal.push((collection.to_owned(), key.to_owned(), before, writer));
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes += bytes;
        // A single event may fill a whole batch; the runner commits early when a batch has grown large.
        if self.bytes - self.bytes_before_event > limits::BATCH_CHANGE_BYTES_MAX {
            Err(Refused::TooMuch)
        } else {
            Ok(())
        }
    }
}

impl Slot {
    fn into_change(self, key: String) -> Option<Change> {
        let expectation = match &self.base {
            _ if !self.seen => Expectation::Unread,
            Base::Unread => Expectation::Unread,
            Base::Read(None) => Expectation::Absent,
            Base::Read(Some(stored)) => Expectation::Revision(stored.revision),
        };
        let (operation, expectation) = match self.pending {
            Pending::Put(document) => (Operation::Put(document), expectation),
            // A document that did not exist and was put and deleted again needs no row operation.
            Pending::Deleted if expectation == Expectation::Absent => (Operation::Read, expectation),
            Pending::Deleted => (Operation::Delete, expectation),
            // Where the document was read, the guest may have acted on it: the revision counts.
            Pending::Incremented(amounts) => (Operation::Increment(amounts), expectation),
            Pending::Untouched if expectation == Expectation::Unread => return None,
            Pending::Untouched => (Operation::Read, expectation),
        };
        let revision = if operation == Operation::Read { Position::START } else { self.writer };
        Some(Change { key, operation, expectation, revision })
    }
}

const OVERFLOW: &str = "the sum leaves the range of 64-bit whole numbers";

/// `document` with `amounts` added to its top-level fields; a missing document is an empty object and a
/// missing field 0. Stores that add in code use this too, so that the rule exists once.
pub fn add(
    collection: &str,
    key: &str,
    document: Option<&str>,
    amounts: &BTreeMap<String, i64>,
) -> Result<String, Refused> {
    let refuse = |field: &str, reason| Refused::Increment {
        collection: collection.to_owned(),
        key: limits::excerpt(key),
        field: limits::excerpt(field),
        reason,
    };
    let first = amounts.keys().next().map_or("", String::as_str);
    let mut object = match document.map(serde_json::from_str::<Value>) {
        None => Map::new(),
        Some(Ok(Value::Object(object))) => object,
        Some(_) => return Err(refuse(first, "the document is not a JSON object")),
    };
    for (field, by) in amounts {
        let before = match object.get(field) {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().ok_or_else(|| refuse(field, "the field is not a whole number"))?,
        };
        let sum = before.checked_add(*by).ok_or_else(|| refuse(field, OVERFLOW))?;
        object.insert(field.clone(), sum.into());
    }
    Ok(Value::Object(object).to_string())
}
