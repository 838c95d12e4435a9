//! Where more than one outcome is right: a failure of one kind or another, and a document that is exact unless its event
//! was rejected. Languages differ in what they can hold.

use std::collections::BTreeSet;
use std::fmt;

use kennel_core::failure::FailureKind;
use serde::de::value::StrDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Json;
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

/// The expectations once it is known which events were rejected, by position: all documents, if they are compared, and
/// all failures.
pub(super) fn settled(
    expected: &Expectations,
    rejected: &BTreeSet<u64>,
) -> (Option<Documents>, Vec<ExpectedFailure>) {
    let (mut documents, mut failures) = (expected.documents.clone(), expected.failures.clone());
    for one in &expected.exact_or_rejected {
        if rejected.contains(&one.position) {
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
