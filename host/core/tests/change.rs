//! The write set against a model that is nothing but a map of documents, copied before every event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kennel_core::change::{
    Access, Change, ChangeError, CollectionChanges, Expectation, Lookup, Stored, WriteSet, add,
};
use kennel_core::limits;
use kennel_core::position::Position;
use proptest::prelude::*;
use serde_json::{Value, json};

const COLLECTIONS: [&str; 2] = ["orders", "customers"];
const KEYS: [&str; 5] = ["a", "ab", "abc", "b", "ä"];
const FIELDS: [&str; 2] = ["n", "total"];

/// What one call of a guest asks for.
#[derive(Clone, Debug)]
enum Call {
    Put(Value),
    PutGarbage,
    Delete,
    Increment(&'static str, i64),
    Get,
    /// Not the guest's call but the host's guess that the document will be needed.
    FetchAhead,
}

#[derive(Clone, Debug)]
struct Event {
    calls: Vec<(&'static str, &'static str, Call)>,
    /// Whether the handler returns a failure in the end.
    fails: bool,
    scan: Option<(&'static str, Option<&'static str>, &'static str)>,
}

fn document() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (-9..9_i64).prop_map(|n| json!({ "n": n, "status": "open" })),
        1 => Just(json!({ "n": null })),
        1 => Just(json!({ "n": 1.5 })),
        1 => Just(json!({ "n": "seven" })),
        1 => Just(json!(["not", "an", "object"])),
        1 => Just(json!(null)),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => document().prop_map(Call::Put),
        1 => Just(Call::PutGarbage),
        2 => Just(Call::Delete),
        4 => (prop::sample::select(&FIELDS[..]), -9..9_i64).prop_map(|(field, by)| Call::Increment(field, by)),
        3 => Just(Call::Get),
        2 => Just(Call::FetchAhead),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let collection = || prop::sample::select(&COLLECTIONS[..]);
    let key = || prop::sample::select(&KEYS[..]);
    let calls = prop::collection::vec((collection(), key(), call()), 0..6);
    let scan = (collection(), prop::option::of(key()), prop::sample::select(vec!["", "a", "ab", "ä", "z"]));
    (calls, prop::bool::weighted(0.25), prop::option::weighted(0.3, scan))
        .prop_map(|(calls, fails, scan)| Event { calls, fails, scan })
}

type At = (&'static str, &'static str);
type Keyed<T> = BTreeMap<At, T>;

/// Stored documents can always be added to: a sum that the store cannot build is tried separately below,
/// because a write set that has not read the document cannot know of it.
fn base() -> impl Strategy<Value = Keyed<Stored>> {
    let key = (prop::sample::select(&COLLECTIONS[..]), prop::sample::select(&KEYS[..]));
    let stored = (-9..9_i64, 1..1000_u64).prop_map(|(n, revision)| Stored {
        document: json!({ "n": n, "status": "stored" }).to_string().into(),
        revision: Position::new(revision),
    });
    prop::collection::btree_map(key, stored, 0..8)
}

fn parsed(document: &str) -> Value {
    serde_json::from_str(document).unwrap()
}

/// The model's sum: `None` where it cannot be built.
fn sum(document: Option<&Value>, field: &str, by: i64) -> Option<Value> {
    let mut document = document.cloned().unwrap_or_else(|| json!({}));
    let object = document.as_object_mut()?;
    let before = match object.get(field) {
        None | Some(Value::Null) => 0,
        Some(value) => value.as_i64()?,
    };
    object.insert(field.to_owned(), json!(before.checked_add(by)?));
    Some(document)
}

/// What the events that were kept have done, besides the documents themselves.
#[derive(Clone, Default)]
struct Done {
    documents: Keyed<Value>,
    /// Which event wrote each document last, for those that were written in this batch.
    writers: Keyed<Position>,
    /// Documents that are what this batch made them, whatever was stored before.
    replaced: BTreeSet<At>,
}

/// The write set and the model, side by side.
struct Pair {
    base: Keyed<Stored>,
    set: WriteSet,
    done: Done,
    /// Documents whose stored state the guest has learned of; a failed event does not unlearn it.
    seen: BTreeSet<At>,
}

impl Pair {
    fn new(base: Keyed<Stored>) -> Self {
        let documents = base.iter().map(|(at, stored)| (*at, parsed(&stored.document))).collect();
        let done = Done { documents, ..Done::default() };
        Self { base, set: WriteSet::default(), done, seen: BTreeSet::new() }
    }

    fn fetch(&mut self, at: At) {
        self.set.remember(at.0, at.1, self.base.get(&at).cloned());
        // A known state stays, whatever a second fetch returns.
        let later = Stored { document: Arc::from("\"later\""), revision: Position::new(9999) };
        self.set.remember(at.0, at.1, Some(later));
    }

    /// Reads as a host does: what the write set does not know is fetched and remembered.
    fn get(&mut self, at: At) -> Option<Value> {
        if !self.done.replaced.contains(&at) {
            self.seen.insert(at);
        }
        if self.set.lookup(at.0, at.1) == Ok(Lookup::Unknown) {
            self.fetch(at);
        }
        match self.set.lookup(at.0, at.1) {
            Ok(Lookup::Known(document)) => document.as_deref().map(parsed),
            other => panic!("{at:?} was fetched, and yet {other:?}"),
        }
    }

    /// Carries out one call on both; `false` if it was rejected, which both have to agree on.
    fn call(&mut self, at: At, call: &Call, position: Position) -> bool {
        let (rejected, after) = match call {
            Call::Get => {
                assert_eq!(self.get(at), self.done.documents.get(&at).cloned(), "{at:?}");
                return true;
            }
            Call::FetchAhead => {
                self.fetch(at);
                return true;
            }
            Call::Put(document) => {
                self.done.replaced.insert(at);
                (self.set.put(at.0, at.1, document.to_string()).is_err(), Some(Some(document.clone())))
            }
            Call::PutGarbage => (self.set.put(at.0, at.1, "{\"n\":".to_owned()).is_err(), None),
            Call::Delete => {
                self.done.replaced.insert(at);
                (self.set.delete(at.0, at.1).is_err(), Some(None))
            }
            Call::Increment(field, by) => {
                let after = sum(self.done.documents.get(&at), field, *by).map(Some);
                (self.set.increment(at.0, at.1, field, *by).is_err(), after)
            }
        };
        assert_eq!(rejected, after.is_none(), "{call:?} of {at:?}");
        match after {
            None => return false,
            Some(Some(document)) => drop(self.done.documents.insert(at, document)),
            Some(None) => drop(self.done.documents.remove(&at)),
        }
        self.done.writers.insert(at, position);
        true
    }

    /// Lays the changed keys over the stored ones, as a scan does.
    fn scan(&mut self, collection: &'static str, after: Option<&str>, prefix: &str) {
        let wanted = |key: &str| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let inside = |at: &At| at.0 == collection && wanted(at.1);
        let stored = self.base.iter().filter(|(at, _)| inside(at));
        let mut found: Keyed<Value> = stored.map(|(at, stored)| (*at, parsed(&stored.document))).collect();
        let changed = self.set.changed(collection, after, prefix);
        let changed: BTreeSet<String> = changed.map(|(key, _)| key.to_owned()).collect();
        for key in changed {
            let at = all_keys().find(|at| at.0 == collection && at.1 == key).unwrap();
            assert!(inside(&at), "{key} is not in the scan's range");
            match self.get(at) {
                Some(document) => drop(found.insert(at, document)),
                None => drop(found.remove(&at)),
            }
        }
        let expected = self.done.documents.iter().filter(|(at, _)| inside(at));
        let expected: Keyed<Value> = expected.map(|(at, document)| (*at, document.clone())).collect();
        assert_eq!(found, expected, "scan of {collection} after {after:?} with prefix {prefix:?}");
    }

    fn run(&mut self, position: Position, event: &Event) {
        let (done, bytes) = (self.done.clone(), self.set.bytes());
        self.set.begin(position);
        let fine =
            event.calls.iter().all(|(collection, key, call)| self.call((collection, key), call, position));
        if fine && !event.fails {
            self.set.keep();
        } else {
            self.set.undo();
            assert_eq!(self.set.bytes(), bytes, "a failed event costs nothing");
            self.done = done;
        }
        if let Some((collection, after, prefix)) = event.scan {
            self.scan(collection, after, prefix);
        }
    }

    /// Writes the changes as a store does and compares everything with the model.
    fn commit(self) {
        let Self { base, set, done, seen } = self;
        let changes = set.into_changes();
        assert!(changes.is_sorted_by(|a, b| a.collection < b.collection), "collections in order, each once");

        let mut store: Keyed<Value> =
            base.iter().map(|(at, stored)| (*at, parsed(&stored.document))).collect();
        let mut reported: Keyed<Position> = Keyed::new();
        for CollectionChanges { collection, changes } in &changes {
            assert!(!changes.is_empty(), "{collection} has nothing to say");
            assert!(changes.is_sorted_by(|a, b| a.key < b.key), "keys in order, each once");
            for change in changes {
                let at = all_keys().find(|at| at.0 == collection && at.1 == change.key).unwrap();
                let expected = match (seen.contains(&at), base.get(&at)) {
                    (false, _) => Expectation::Unread,
                    (true, None) => Expectation::Absent,
                    (true, Some(stored)) => Expectation::Revision(stored.revision),
                };
                assert_eq!(change.expectation, expected, "{change:?}");
                reported.insert(at, change.revision);
                apply(&mut store, at, change);
            }
        }
        assert_eq!(store, done.documents);
        for at in all_keys() {
            let touched = done.writers.contains_key(&at) || seen.contains(&at);
            assert_eq!(
                reported.contains_key(&at),
                touched,
                "{at:?} is reported exactly if it was seen or written"
            );
            // A document that neither was nor is needs no write; every other bears its last writer.
            let nothing = seen.contains(&at) && !base.contains_key(&at) && !done.documents.contains_key(&at);
            let expected = if nothing { None } else { done.writers.get(&at).copied() };
            assert_eq!(reported.get(&at).copied().filter(|at| *at != Position::START), expected, "{at:?}");
        }
    }
}

fn all_keys() -> impl Iterator<Item = At> {
    COLLECTIONS.into_iter().flat_map(|collection| KEYS.into_iter().map(move |key| (collection, key)))
}

fn apply(store: &mut Keyed<Value>, at: At, change: &Change) {
    match &change.access {
        Access::Read => {}
        Access::Put(document) => drop(store.insert(at, parsed(document))),
        Access::Delete => drop(store.remove(&at)),
        Access::Increment(amounts) => {
            let mut document = store.get(&at).cloned();
            for (field, by) in amounts {
                document = sum(document.as_ref(), field, *by);
                assert!(document.is_some(), "the store cannot add {by} to {field} of {at:?}");
            }
            store.extend(document.map(|document| (at, document)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_batch_follows_the_model(base in base(), events in prop::collection::vec(event(), 0..12)) {
        let mut pair = Pair::new(base);
        for (position, event) in (1000_u64..).zip(&events) {
            pair.run(Position::new(position), event);
        }
        pair.commit();
    }

    /// The rule for sums that stores share.
    #[test]
    fn add_follows_the_model(document in prop::option::of(document()), field in prop::sample::select(&FIELDS[..]), by in any::<i64>()) {
        let text = document.as_ref().map(Value::to_string);
        let amounts = BTreeMap::from([(field.to_owned(), by)]);
        let added = add("orders", "a", text.as_deref(), &amounts);
        prop_assert_eq!(added.ok().as_deref().map(parsed), sum(document.as_ref(), field, by));
    }
}

fn stored(document: &str) -> Option<Stored> {
    Some(Stored { document: document.into(), revision: Position::new(7) })
}

/// A document that was only fetched ahead is no expectation, until a rejection has revealed it to the guest.
#[test]
fn a_rejected_increment_has_seen_the_document() {
    for (document, expected) in [(r#"{"n":1}"#, None), ("[1]", Some(Expectation::Revision(Position::new(7))))]
    {
        let mut set = WriteSet::default();
        set.begin(Position::new(10));
        set.remember("orders", "a", stored(document));
        assert_eq!(set.increment("orders", "a", "n", 1).is_err(), expected.is_some(), "{document}");
        set.undo();
        let changes = set.into_changes();
        let reported = changes.first().map(|collection| collection.changes[0].expectation);
        assert_eq!(reported, expected, "{document}");
    }
}

/// A sum that cannot be built is rejected as soon as it can be known: at the call where the document was read before,
/// else at the first read after it.
#[test]
fn a_sum_that_cannot_be_built_is_rejected_as_soon_as_it_is_known() {
    let max = format!("{{\"n\":{}}}", i64::MAX);
    for document in ["[1]", "1", r#"{"n":"x"}"#, r#"{"n":0.5}"#, max.as_str()] {
        let mut known = WriteSet::default();
        known.begin(Position::new(10));
        known.remember("orders", "a", stored(document));
        assert!(
            matches!(known.increment("orders", "a", "n", 1), Err(ChangeError::Increment { .. })),
            "{document}"
        );

        let mut unknown = WriteSet::default();
        unknown.begin(Position::new(10));
        assert_eq!(unknown.increment("orders", "a", "n", 1), Ok(()), "{document}");
        unknown.remember("orders", "a", stored(document));
        assert!(matches!(unknown.lookup("orders", "a"), Err(ChangeError::Increment { .. })), "{document}");
        assert_eq!(unknown.delete("orders", "a"), Ok(()), "{document}: replacing it is still possible");
        assert_eq!(unknown.lookup("orders", "a"), Ok(Lookup::Known(None)));
    }
}

#[test]
fn amounts_that_overflow_together_are_rejected() {
    let mut set = WriteSet::default();
    set.begin(Position::new(10));
    assert_eq!(set.increment("orders", "a", "n", i64::MAX), Ok(()));
    assert!(set.increment("orders", "a", "n", 1).is_err());
    assert_eq!(set.increment("orders", "a", "m", 1), Ok(()), "another field is not concerned");
    assert!(set.increment("orders", "a", "", 1).is_err());
    assert!(set.increment("orders", "a", "n\0", 1).is_err());
}

#[test]
fn one_event_touches_only_so_many_collections_and_the_next_begins_anew() {
    let mut writes = WriteSet::default();
    let name = |number: usize| format!("c{number}");
    let max = limits::EVENT_COLLECTIONS_MAX;
    for event in 0..2 {
        writes.begin(Position::new(event as u64 + 1));
        for number in event * max..(event + 1) * max {
            writes.put(&name(number), "k", "1".to_owned()).unwrap();
        }
        let beyond = name(2 * max);
        assert_eq!(writes.put(&beyond, "k", "1".to_owned()), Err(ChangeError::TooManyCollections));
        assert_eq!(writes.delete(&beyond, "k"), Err(ChangeError::TooManyCollections));
        assert_eq!(writes.increment(&beyond, "k", "n", 1), Err(ChangeError::TooManyCollections));
        assert_eq!(writes.lookup(&beyond, "k"), Err(ChangeError::TooManyCollections));
        // Those that it knows already stay open to it.
        writes.put(&name(0), "other", "1".to_owned()).unwrap();
        writes.keep();
    }
    assert_eq!(writes.collections(), 2 * max);
}
