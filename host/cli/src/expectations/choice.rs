//! Where more than one outcome is right: a failure of one kind or another, and a document that is exact unless its event
//! was rejected. Languages differ in what they can hold.

use std::fmt;

use kennel_core::failure::FailureKind;
use serde::de::value::StrDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::compare::{Found, FoundFailure, Json};
use super::{Documents, Expectations, ExpectedFailure};

/// The kinds of failure that an event may end in: one, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(Vec<FailureKind>);

/// A document that is as given, or missing because the event at its position was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExactOrRejected {
    pub position: u64,
    pub collection: String,
    pub key: String,
    pub document: Json,
}

impl Kinds {
    #[must_use]
    pub fn contains(&self, kind: FailureKind) -> bool {
        self.0.contains(&kind)
    }
}

impl From<FailureKind> for Kinds {
    fn from(kind: FailureKind) -> Self {
        Self(vec![kind])
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(FailureKind::to_string).collect();
        f.write_str(&names.join(" or "))
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Kinds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a kind of failure, or a list of them")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Kinds, E> {
                FailureKind::deserialize(StrDeserializer::new(name)).map(Kinds::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kinds, A::Error> {
                let mut kinds = Vec::new();
                while let Some(kind) = list.next_element()? {
                    kinds.push(kind);
                }
                if kinds.is_empty() { Err(A::Error::invalid_length(0, &self)) } else { Ok(Kinds(kinds)) }
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// What is expected once it is known which events were rejected that may be: all documents, if they are compared, and
/// all failures.
pub(super) fn settled(expected: &Expectations, found: &Found) -> (Option<Documents>, Vec<ExpectedFailure>) {
    let (mut documents, mut failures) = (expected.documents.clone(), expected.failures.clone());
    for one in &expected.exact_or_rejected {
        let failure = found.failures.iter().find(|failure| failure.position == one.position);
        if failure.is_some_and(|failure| failure.kind == FailureKind::Reject) {
            let kind = Kinds::from(FailureKind::Reject);
            failures.push(ExpectedFailure { position: one.position, kind, contains: Vec::new() });
        } else {
            let documents = documents.get_or_insert_default();
            documents
                .entry(one.collection.clone())
                .or_default()
                .insert(one.key.clone(), one.document.0.clone());
        }
    }
    (documents, failures)
}

/// What was found beside those documents and their events.
pub(super) fn apart_from(choices: &[ExactOrRejected], found: &Found) -> (Documents, Vec<FoundFailure>) {
    let (mut documents, mut failures) = (found.documents.clone(), found.failures.clone());
    for one in choices {
        if let Some(collection) = documents.get_mut(&one.collection) {
            collection.remove(&one.key);
        }
        failures.retain(|failure| failure.position != one.position);
    }
    (documents, failures)
}
