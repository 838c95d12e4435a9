//! A read model in memory that keeps the host's rules. It does not persist, and it has one user.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::ReadModel;

// The host's bounds.
const COLLECTION_BYTES_MAX: usize = 200;
const KEY_BYTES_MAX: usize = 1024;
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
const READ_KEYS_MAX: usize = 1000;

/// A read model in memory. A call that breaks a bound panics, as it ends the handler call on the host.
#[derive(Clone, Debug, Default)]
pub struct MemoryReadModel {
    collections: BTreeMap<String, BTreeMap<String, String>>,
    /// What the documents were before the changes since the last [`commit`](Self::commit), oldest first.
    undo: Vec<(String, String, Option<String>)>,
}

impl MemoryReadModel {
    /// Keeps the changes made since the last commit.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Undoes the changes made since the last commit.
    pub fn roll_back(&mut self) {
        while let Some((collection, key, before)) = self.undo.pop() {
            let documents = self.collections.entry(collection).or_default();
            match before {
                Some(document) => documents.insert(key, document),
                None => documents.remove(&key),
            };
        }
    }

    /// A whole collection, in key order.
    pub fn documents(&self, collection: &str) -> impl Iterator<Item = (&str, &str)> {
        let documents = self.collections.get(collection).into_iter().flatten();
        documents.map(|(key, document)| (key.as_str(), document.as_str()))
    }

    fn read(&self, collection: &str, key: &str) -> Option<&String> {
        self.collections.get(collection)?.get(key)
    }

    fn write(&mut self, collection: &str, key: &str, document: Option<String>) {
        let documents = self.collections.entry(collection.to_owned()).or_default();
        let before = match document {
            Some(document) => documents.insert(key.to_owned(), document),
            None => documents.remove(key),
        };
        self.undo.push((collection.to_owned(), key.to_owned(), before));
    }
}

impl ReadModel for MemoryReadModel {
    fn get_text(&mut self, collection: &str, key: &str) -> Option<String> {
        check_names(collection, key);
        self.read(collection, key).cloned()
    }

    fn get_many_text(&mut self, collection: &str, keys: &[String]) -> Vec<Option<String>> {
        assert!(keys.len() <= READ_KEYS_MAX, "get-many: {} keys are more than {READ_KEYS_MAX}", keys.len());
        keys.iter().map(|key| self.get_text(collection, key)).collect()
    }

    fn put_text(&mut self, collection: &str, key: &str, document: &str) {
        check_names(collection, key);
        check_document(collection, key, document);
        self.write(collection, key, Some(document.to_owned()));
    }

    fn delete(&mut self, collection: &str, key: &str) {
        check_names(collection, key);
        self.write(collection, key, None);
    }

    fn scan_text(
        &mut self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Vec<(String, String)> {
        check_name("collection name", collection, COLLECTION_BYTES_MAX);
        let Some(documents) = self.collections.get(collection) else { return Vec::new() };
        let first = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let limit = READ_KEYS_MAX.min(limit.try_into().unwrap_or(usize::MAX));
        let rows = documents.range::<str, _>((first, Bound::Unbounded));
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        rows.map(|(key, document)| (key.clone(), document.clone())).collect()
    }

    fn increment(&mut self, collection: &str, key: &str, field: &str, by: i64) {
        check_names(collection, key);
        let document =
            self.read(collection, key).map_or_else(|| Ok(Map::new()), |text| serde_json::from_str(text));
        let Ok(mut document) = document else {
            panic!("increment: document {collection}/{key} is not a JSON object");
        };
        let before = document.get(field).map_or(Some(0), Value::as_i64);
        let Some(before) = before else {
            panic!("increment: field {field} of document {collection}/{key} is not a whole number");
        };
        let Some(after) = before.checked_add(by) else {
            panic!("increment: field {field} of document {collection}/{key} leaves the range of 64 bits");
        };
        document.insert(field.to_owned(), after.into());
        let document = Value::Object(document).to_string();
        check_document(collection, key, &document);
        self.write(collection, key, Some(document));
    }
}

fn check_names(collection: &str, key: &str) {
    check_name("collection name", collection, COLLECTION_BYTES_MAX);
    check_name("document key", key, KEY_BYTES_MAX);
}

fn check_name(what: &str, name: &str, bytes_max: usize) {
    assert!(
        (1..=bytes_max).contains(&name.len()) && !name.contains('\0'),
        "{name:.60?} is not a valid {what}: use 1 to {bytes_max} bytes of text without NUL"
    );
}

fn check_document(collection: &str, key: &str, document: &str) {
    assert!(
        document.len() <= DOCUMENT_BYTES_MAX,
        "document {collection}/{key} has {} bytes, more than {DOCUMENT_BYTES_MAX}",
        document.len()
    );
    if let Err(error) = serde_json::from_str::<IgnoredAny>(document) {
        panic!("document {collection}/{key} is not JSON: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(rows: &[(&str, &str)]) -> MemoryReadModel {
        let mut model = MemoryReadModel::default();
        for (key, document) in rows {
            model.put_text("c", key, document);
        }
        model.commit();
        model
    }

    fn keys(rows: &[(String, String)]) -> Vec<&str> {
        rows.iter().map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn a_roll_back_restores_what_was_committed() {
        let mut model = model(&[("changed", "1"), ("deleted", "2")]);
        model.put_text("c", "changed", "10");
        model.put_text("c", "changed", "100");
        model.delete("c", "deleted");
        model.put_text("c", "new", "3");
        model.increment("d", "new", "count", 1);
        model.roll_back();
        assert_eq!(model.documents("c").collect::<Vec<_>>(), [("changed", "1"), ("deleted", "2")]);
        assert_eq!(model.documents("d").count(), 0);
    }

    #[test]
    fn a_scan_is_in_the_order_of_bytes() {
        let mut model = model(&[("b", "1"), ("a\u{e9}", "2"), ("ab", "3"), ("aB", "4"), ("a", "5")]);
        assert_eq!(keys(&model.scan_text("c", None, "", 9)), ["a", "aB", "ab", "a\u{e9}", "b"]);
        assert_eq!(keys(&model.scan_text("c", None, "a", 9)), ["a", "aB", "ab", "a\u{e9}"]);
        assert_eq!(keys(&model.scan_text("c", Some("aB"), "a", 1)), ["ab"]);
        assert_eq!(
            keys(&model.scan_text("c", Some("A"), "b", 9)),
            ["b"],
            "`after` may sort before the prefix"
        );
        assert_eq!(keys(&model.scan_text("c", Some("z"), "a", 9)), Vec::<&str>::new());
        assert_eq!(keys(&model.scan_text("none", None, "", 9)), Vec::<&str>::new());
        assert_eq!(keys(&model.scan_text("c", None, "", 0)), Vec::<&str>::new());
    }

    #[test]
    fn an_increment_creates_missing_documents_and_fields_and_keeps_others() {
        let mut model = model(&[("old", r#"{"name":"x","count":5}"#)]);
        model.increment("c", "old", "count", -7);
        model.increment("c", "old", "other", 1);
        model.increment("c", "new", "count", 0);
        assert_eq!(model.get_text("c", "old").as_deref(), Some(r#"{"count":-2,"name":"x","other":1}"#));
        assert_eq!(model.get_text("c", "new").as_deref(), Some(r#"{"count":0}"#));
    }

    #[test]
    fn get_many_answers_in_the_order_of_the_keys() {
        let mut model = model(&[("a", "1"), ("b", "2")]);
        let keys = ["b", "none", "a", "b"].map(str::to_owned);
        let found = model.get_many_text("c", &keys);
        assert_eq!(found, [Some("2"), None, Some("1"), Some("2")].map(|text| text.map(str::to_owned)));
    }

    /// What the call panics with.
    fn message(call: impl FnOnce(&mut MemoryReadModel)) -> String {
        let mut model =
            model(&[("text", r#""x""#), ("object", r#"{"name":"x","full":9223372036854775807}"#)]);
        let call = std::panic::AssertUnwindSafe(|| call(&mut model));
        match std::panic::catch_unwind(call) {
            Ok(()) => "no panic".to_owned(),
            Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
        }
    }

    #[test]
    fn a_call_that_breaks_a_bound_panics() {
        let check = |expected: &str, call: fn(&mut MemoryReadModel)| {
            let message = message(call);
            assert!(message.contains(expected), "{message:?} does not contain {expected:?}");
        };
        check("is not JSON", |model| model.put_text("c", "k", "{"));
        check("is not JSON", |model| model.put_text("c", "k", ""));
        check("more than 1048576", |model| {
            model.put_text("c", "k", &format!("\"{}\"", "x".repeat(1 << 20)));
        });
        check("not a valid collection name", |model| model.delete("", "k"));
        check("not a valid collection name", |model| drop(model.scan_text(&"c".repeat(201), None, "", 1)));
        check("not a valid document key", |model| drop(model.get_text("c", &"k".repeat(1025))));
        check("not a valid document key", |model| drop(model.get_text("c", "a\0b")));
        check("1001 keys", |model| drop(model.get_many_text("c", &vec!["k".to_owned(); 1001])));
        check("is not a JSON object", |model| model.increment("c", "text", "count", 1));
        check("is not a whole number", |model| model.increment("c", "object", "name", 1));
        check("64 bits", |model| model.increment("c", "object", "full", 1));
        check("no panic", |model| model.put_text(&"c".repeat(200), &"k".repeat(1024), "null"));
    }
}
