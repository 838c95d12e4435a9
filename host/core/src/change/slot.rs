//! One document in a write set, what the current event has overwritten of it, and how much memory both take.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use super::{Access, Change, Expectation, Stored};
use crate::position::Position;

/// What a document takes beside its text and its key, with its entries in maps.
pub(super) const SLOT_BYTES: usize = 256;
/// What an amount takes beside the name of its field.
const AMOUNT_BYTES: usize = 64;
/// What an entry of the journal takes.
pub(super) const ENTRY_BYTES: usize = 64;

pub(super) type Amounts = BTreeMap<String, i64>;

#[derive(Clone, Debug, Default)]
pub(super) enum Base {
    #[default]
    Unread,
    Read(Option<Stored>),
}

#[derive(Clone, Debug, Default)]
pub(super) enum Pending {
    #[default]
    Unchanged,
    Put(Arc<str>),
    Deleted,
    Incremented(Amounts),
}

impl Pending {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Unchanged | Self::Deleted => 0,
            Self::Put(document) => document.len(),
            Self::Incremented(amounts) => amounts.keys().map(|field| amount_bytes(field)).sum(),
        }
    }
}

pub(super) fn amount_bytes(field: &str) -> usize {
    AMOUNT_BYTES + field.len()
}

/// What was there before the current event: one entry for each document that it has changed, however often.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: usize,
    pub(super) writer: Position,
    pub(super) before: Before,
}

#[derive(Debug)]
pub(super) enum Before {
    /// All of it.
    Whole(Pending),
    /// Amounts, of which only these were others: a document may have very many.
    Amounts(BTreeMap<String, Option<i64>>),
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        let before = match &self.before {
            Before::Whole(pending) => pending.bytes(),
            Before::Amounts(others) => others.keys().map(|field| amount_bytes(field)).sum(),
        };
        ENTRY_BYTES + before
    }

    /// Makes the entry independent of the state that is there `now`.
    pub(super) fn detach(&mut self, now: Pending) {
        if let Before::Amounts(others) = &mut self.before {
            self.before = Before::Whole(restored(now, mem::take(others)));
        }
    }

    /// What was there before.
    pub(super) fn restore(self, now: Pending) -> Pending {
        match self.before {
            Before::Whole(pending) => pending,
            Before::Amounts(others) => restored(now, others),
        }
    }
}

fn restored(now: Pending, others: BTreeMap<String, Option<i64>>) -> Pending {
    let Pending::Incremented(mut amounts) = now else { return now };
    for (field, amount) in others {
        match amount {
            Some(amount) => amounts.insert(field, amount),
            None => amounts.remove(&field),
        };
    }
    Pending::Incremented(amounts)
}

#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) base: Base,
    /// Whether the guest has seen the document: what was only fetched ahead for it does not count.
    pub(super) seen: bool,
    pub(super) pending: Pending,
    pub(super) writer: Position,
    /// The last event that changed it, by its number in this write set, and its entry in that event's journal.
    pub(super) entry: Option<(u64, usize)>,
}

impl Slot {
    pub(super) fn into_change(self, key: String) -> Option<Change> {
        let expectation = match &self.base {
            _ if !self.seen => Expectation::Unread,
            Base::Unread => Expectation::Unread,
            Base::Read(None) => Expectation::Absent,
            Base::Read(Some(stored)) => Expectation::Revision(stored.revision),
        };
        let (access, expectation) = match self.pending {
            Pending::Put(document) => (Access::Put(document), expectation),
            // A document that did not exist and was put and deleted again needs no row operation.
            Pending::Deleted if expectation == Expectation::Absent => (Access::Read, expectation),
            Pending::Deleted => (Access::Delete, expectation),
            // Where the document was read, the guest may have acted on it: the revision counts.
            Pending::Incremented(amounts) => (Access::Increment(amounts), expectation),
            Pending::Unchanged if expectation == Expectation::Unread => return None,
            Pending::Unchanged => (Access::Read, expectation),
        };
        let revision = if access == Access::Read { Position::START } else { self.writer };
        Some(Change { key, access, expectation, revision })
    }
}
