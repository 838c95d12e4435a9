//! What a test expects of a projection: settings, documents, failures and lines of the log, as a file of JSON.
//!
//! | module | duty |
//! | --- | --- |
//! | [`text`] | JSON as text: without white space, laid out, in parts |
//! | [`values`] | JSON text that is the same for the same values |
//! | [`choice`] | where more than one outcome is right |
//! | [`compare`] | what differs from what was found |
//! | [`update`] | the file that expects what was found |
//!
//! Documents stay text from the file to the comparison: the order of keys and the digits of numbers count.

pub mod choice;
pub mod compare;
pub mod text;
pub mod update;
pub mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use choice::{ExactOrRejected, Kinds};
use kennel_core::port::LogLevel;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// Collections by name, with their documents by key, as text without white space.
pub type Documents = BTreeMap<String, BTreeMap<String, String>>;

/// What a test expects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectations {
    /// When two documents are the same.
    pub compare: Comparison,
    /// What the guest reads through the `config` import.
    #[serde(deserialize_with = "config")]
    pub config: BTreeMap<String, String>,
    /// All documents; without it they are not compared.
    #[serde(deserialize_with = "documents")]
    pub documents: Option<Documents>,
    /// Documents that are as given, or missing because their event was rejected; not among `documents`, nor are their
    /// events among `failures`.
    pub exact_or_rejected: Vec<ExactOrRejected>,
    /// All events that fail; without it none may.
    #[serde(deserialize_with = "failures")]
    pub failures: Vec<ExpectedFailure>,
    /// Lines that occur in the log, in this order, among others.
    pub logs: Vec<ExpectedLine>,
}

/// When two documents are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// Their texts are, white space apart.
    #[default]
    Text,
    /// Their numbers and strings have the same values, and their fields the same order.
    Values,
}

/// An event that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedFailure {
    pub position: u64,
    pub kind: Kinds,
    /// Texts that occur in its message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contains: Vec<String>,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLine {
    /// The event for which it was logged; any if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    pub level: LogLevel,
    pub message: String,
}

impl Expectations {
    /// Reads a file. The error is a message that names the place in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Err(
                "it is empty: write {} to expect nothing but that no event fails, or have --update fill it"
                    .to_owned(),
            );
        }
        if !text.trim_start().starts_with('{') {
            return Err("expectations are a JSON object, such as {\"documents\": {}}".to_owned());
        }
        serde_json::from_str(text).map_err(|error| {
            let message = error.to_string();
            let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
            match error.line() {
                0 => what.to_owned(),
                line => format!("line {line}, column {}: {what}", error.column()),
            }
        })
    }
}

fn config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    Ok(Unique::<String>::deserialize(deserializer)?.0)
}

fn documents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Documents>, D::Error> {
    let given = Option::<Unique<Unique<Box<RawValue>>>>::deserialize(deserializer)?;
    let compact = |documents: Unique<Box<RawValue>>| {
        documents.0.into_iter().map(|(key, document)| (key, text::compact(document.get()))).collect()
    };
    Ok(given.map(|collections| {
        collections.0.into_iter().map(|(name, documents)| (name, compact(documents))).collect()
    }))
}

fn failures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ExpectedFailure>, D::Error> {
    let mut given = Vec::<ExpectedFailure>::deserialize(deserializer)?;
    given.sort_by_key(|failure| failure.position);
    match given.windows(2).find(|pair| pair[0].position == pair[1].position) {
        Some(pair) => {
            Err(D::Error::custom(format!("`failures` has position {} more than once", pair[0].position)))
        }
        None => Ok(given),
    }
}

/// An object in which no key comes twice: of two, one would be forgotten.
struct Unique<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if entries.contains_key(&key) {
                        let key = kennel_core::limits::excerpt(&key);
                        return Err(A::Error::custom(format!("`{key}` comes more than once")));
                    }
                    entries.insert(key, map.next_value()?);
                }
                Ok(Unique(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests;
