//! Increments in a write set: a document that it knows is added to at once, any other by the store, which is given the
//! amounts.

use std::collections::BTreeMap;
use std::mem;

use super::slot::{Amounts, Base, Before, ENTRY_BYTES, Entry, Pending, amount_bytes};
use super::{ChangeError, WriteSet};
use crate::increment::{self, Reason};
use crate::limits;
use crate::name::check_key;

impl WriteSet {
    /// Adds to a top-level field. Where the document is not known, the sum is left to the store.
    pub fn increment(
        &mut self,
        collection: &str,
        key: &str,
        field: &str,
        by: i64,
    ) -> Result<(), ChangeError> {
        self.admit(collection)?;
        check_key(key)?;
        let reject = |reason| ChangeError::Increment {
            collection: collection.to_owned(),
            key: limits::excerpt(key),
            field: limits::excerpt(field),
            reason,
        };
        if field.is_empty() || field.len() > limits::KEY_BYTES_MAX || field.contains('\0') {
            return Err(reject("a field's name has 1 to 1,024 bytes and no NUL"));
        }
        let index = self.slot(collection, key);
        let one = || Amounts::from([(field.to_owned(), by)]);
        let sum = match &self.slots[index].pending {
            Pending::Put(document) => add(collection, key, Some(document), &one())?,
            Pending::Deleted => add(collection, key, None, &one())?,
            Pending::Unchanged | Pending::Incremented(_) => {
                return self.add_amount(index, field, by).map_err(|problem| match problem {
                    Ok(rejected) => rejected,
                    Err(reason) => reject(reason),
                });
            }
        };
        self.replace(index, Pending::Put(sum.into()))
    }

    /// Leaves a sum to the store. The error is a rejection, or the reason for one.
    fn add_amount(&mut self, index: usize, field: &str, by: i64) -> Result<(), Result<ChangeError, Reason>> {
        let slot = &mut self.slots[index];
        let before = match &slot.pending {
            Pending::Incremented(amounts) => amounts.get(field).copied(),
            _ => None,
        };
        let amount = before.unwrap_or(0).checked_add(by).ok_or(Err(increment::OVERFLOW))?;
        // Where the stored document is known, a sum that cannot be built is this event's mistake and
        // must not wait for the commit.
        if let Base::Read(stored) = &slot.base {
            let checked = increment::check(stored.as_ref().map(|stored| &*stored.document), field, amount);
            // A rejection reveals the stored document to the guest, so its revision counts.
            slot.seen |= checked.is_err();
            checked.map_err(Err)?;
        }
        let Pending::Incremented(amounts) = &mut slot.pending else {
            return self
                .replace(index, Pending::Incremented(Amounts::from([(field.to_owned(), amount)])))
                .map_err(Ok);
        };
        amounts.insert(field.to_owned(), amount);
        if before.is_none() {
            self.held.changes += amount_bytes(field);
        }
        let entry = match slot.entry {
            Some((number, entry)) if number == self.number => entry,
            _ => {
                slot.entry = Some((self.number, self.journal.len()));
                let writer = mem::replace(&mut slot.writer, self.event);
                self.journal.push(Entry { slot: index, writer, before: Before::Amounts(BTreeMap::new()) });
                self.held.changes += ENTRY_BYTES;
                self.journal.len() - 1
            }
        };
        if let Before::Amounts(others) = &mut self.journal[entry].before
            && !others.contains_key(field)
        {
            others.insert(field.to_owned(), before);
            self.held.changes += amount_bytes(field);
        }
        self.bounded().map_err(Ok)
    }
}

/// `document` with `amounts` added to its top-level fields, and every other byte of it as it was; a missing document is
/// an empty object and a missing field 0. Stores that add in code use this too, so that the rule exists once.
pub fn add(
    collection: &str,
    key: &str,
    document: Option<&str>,
    amounts: &BTreeMap<String, i64>,
) -> Result<String, ChangeError> {
    let sum = increment::add(document, amounts).map_err(|(field, reason)| ChangeError::Increment {
        collection: collection.to_owned(),
        key: limits::excerpt(key),
        field: limits::excerpt(field),
        reason,
    })?;
    // A database may write a document with more space than it was given; then its numbers may still grow.
    let bytes = sum.document.len();
    let large_already = document.is_some_and(|document| document.len() > limits::DOCUMENT_BYTES_MAX);
    if bytes > limits::DOCUMENT_BYTES_MAX && (sum.has_new_fields || !large_already) {
        return Err(ChangeError::TooLarge {
            collection: collection.to_owned(),
            key: limits::excerpt(key),
            bytes,
        });
    }
    Ok(sum.document)
}
