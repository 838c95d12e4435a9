//! Compares two read models, collection by collection, by walking through both in the order of their keys.
//! Nothing is held in memory but a page of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use kennel_core::limits;
use kennel_core::port::{Document, ReadModel, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use serde_json::Value;

use super::view::{CollectionDiff, Sample};

/// The collections of either that differ or not, by name. What was written by events after `settled` is in
/// motion: the two need not agree on it yet.
pub(super) async fn diff(
    store: &dyn ReadModel,
    (old, new): (ReadModelId, ReadModelId),
    settled: Position,
    samples: usize,
) -> Result<Vec<CollectionDiff>, StoreError> {
    let mut names: BTreeSet<Arc<str>> = store.collections(old).await?.into_iter().collect();
    names.extend(store.collections(new).await?);
    let mut collections = Vec::with_capacity(names.len());
    for name in names {
        let mut found = Found { settled, samples, diff: CollectionDiff::default() };
        let (mut left, mut right) = (Walk::new(old, &name), Walk::new(new, &name));
        loop {
            match (left.peek(store).await?, right.peek(store).await?) {
                (None, None) => break,
                (Some(a), Some(b)) if a.key == b.key => {
                    found.both(a, b);
                    left.step();
                    right.step();
                }
                (Some(a), b) if b.is_none_or(|b| a.key < b.key) => {
                    found.only_old(a);
                    left.step();
                }
                (_, Some(b)) => {
                    found.only_new(b);
                    right.step();
                }
                (Some(_), None) => break,
            }
        }
        collections.push(CollectionDiff { collection: name.to_string(), ..found.diff });
    }
    Ok(collections)
}

/// A way through a collection.
struct Walk<'a> {
    read_model: ReadModelId,
    collection: &'a str,
    page: Vec<Document>,
    at: usize,
    ended: bool,
}

impl<'a> Walk<'a> {
    fn new(read_model: ReadModelId, collection: &'a str) -> Self {
        Self { read_model, collection, page: Vec::new(), at: 0, ended: false }
    }

    async fn peek(&mut self, store: &dyn ReadModel) -> Result<Option<&Document>, StoreError> {
        if self.at == self.page.len() && !self.ended {
            let after = self.page.last().map(|last| last.key.clone());
            let max = limits::READ_KEYS_MAX;
            self.page = store.scan(self.read_model, self.collection, after.as_deref(), "", max).await?;
            self.at = 0;
            self.ended = self.page.len() < max;
        }
        Ok(self.page.get(self.at))
    }

    fn step(&mut self) {
        self.at += 1;
    }
}

/// What was found in one collection.
struct Found {
    settled: Position,
    samples: usize,
    diff: CollectionDiff,
}

impl Found {
    fn both(&mut self, old: &Document, new: &Document) {
        self.diff.old_documents += 1;
        self.diff.new_documents += 1;
        // Databases may write the same value in other text.
        let same = old.stored.document == new.stored.document || value(old) == value(new);
        if same {
            self.diff.equal += 1;
        } else if old.stored.revision > self.settled || new.stored.revision > self.settled {
            self.diff.in_motion += 1;
        } else {
            self.diff.different += 1;
            self.sample(Some(old), Some(new));
        }
    }

    fn only_old(&mut self, old: &Document) {
        self.diff.old_documents += 1;
        if old.stored.revision > self.settled {
            self.diff.in_motion += 1;
        } else {
            self.diff.only_old += 1;
            self.sample(Some(old), None);
        }
    }

    fn only_new(&mut self, new: &Document) {
        self.diff.new_documents += 1;
        if new.stored.revision > self.settled {
            self.diff.in_motion += 1;
        } else {
            self.diff.only_new += 1;
            self.sample(None, Some(new));
        }
    }

    fn sample(&mut self, old: Option<&Document>, new: Option<&Document>) {
        if self.diff.samples.len() >= self.samples {
            return;
        }
        let key = old.or(new).map(|document| document.key.clone()).unwrap_or_default();
        self.diff.samples.push(Sample { key, old: old.map(value), new: new.map(value) });
    }
}

fn value(document: &Document) -> Value {
    let text = &*document.stored.document;
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
