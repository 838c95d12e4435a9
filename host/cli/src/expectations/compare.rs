//! Compares what a test expects with what was found. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kennel_core::failure::FailureKind;
use serde::{Serialize, Serializer};

use super::choice::settled;
use super::text::{Json, Parts};
use super::values::canonical;
use super::{Comparison, Documents, Expectations, ExpectedFailure, ExpectedLine};

/// What a component has done, as far as a test can expect it.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    #[serde(serialize_with = "documents")]
    pub documents: Documents,
    /// By position.
    pub failures: Vec<FoundFailure>,
    pub logs: Vec<ExpectedLine>,
}

/// An event that has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundFailure {
    pub position: u64,
    pub event_type: String,
    pub aggregate_id: String,
    pub kind: FailureKind,
    pub message: String,
}

/// Everything that differs. Empty is good.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    pub documents: Vec<DocumentDifference>,
    pub failures: Vec<FailureDifference>,
    /// Lines that were expected and do not occur, or not in this order.
    pub logs: Vec<ExpectedLine>,
}

/// A document that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DocumentDifference {
    pub collection: String,
    pub key: String,
    /// Its whole text; none if none is expected.
    pub expected: Option<Json>,
    /// None if there is none.
    pub found: Option<Json>,
    /// Where both differ, if there are both.
    pub fields: Vec<FieldDifference>,
}

/// A place in a document that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// A JSON pointer (RFC 6901).
    pub pointer: String,
    pub expected: Option<Json>,
    pub found: Option<Json>,
    /// Set if both say the same, in another way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
}

/// How two values differ that say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The fields come in another order.
    Order,
    /// Names of fields are written in another way, with other escapes.
    Spelling,
}

/// An event that has failed, or has not, against what was expected.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct FailureDifference {
    pub position: u64,
    pub expected: Option<ExpectedFailure>,
    pub found: Option<FoundFailure>,
    /// Texts that were expected in the message and do not occur in it.
    pub lacks: Vec<String>,
}

fn documents<S: Serializer>(documents: &Documents, serializer: S) -> Result<S::Ok, S::Error> {
    let json = |documents: &BTreeMap<String, String>| -> BTreeMap<String, Json> {
        documents.iter().map(|(key, text)| (key.clone(), Json(text.clone()))).collect()
    };
    serializer.collect_map(documents.iter().map(|(name, documents)| (name, json(documents))))
}

impl Differences {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.failures.is_empty() && self.logs.is_empty()
    }

    /// What was found against the expectations.
    #[must_use]
    pub fn between(expected: &Expectations, found: &Found) -> Self {
        let rejected: BTreeSet<u64> = found
            .failures
            .iter()
            .filter(|one| one.kind == FailureKind::Reject)
            .map(|one| one.position)
            .collect();
        let (documents, failures) = settled(expected, &rejected);
        let compared = |documents: Documents| match expected.compare {
            Comparison::Text => of_documents(&documents, &found.documents),
            Comparison::Values => of_documents(&by_value(&documents), &by_value(&found.documents)),
        };
        Self {
            documents: documents.map(compared).unwrap_or_default(),
            failures: of_failures(&failures, &found.failures),
            logs: sorted_lines(&expected.logs, &found.logs).1,
        }
    }
}

fn by_value(documents: &Documents) -> Documents {
    let canonical = |documents: &BTreeMap<String, String>| {
        documents.iter().map(|(key, text)| (key.clone(), canonical(text))).collect()
    };
    documents.iter().map(|(name, documents)| (name.clone(), canonical(documents))).collect()
}

fn of_documents(expected: &Documents, found: &Documents) -> Vec<DocumentDifference> {
    let none = BTreeMap::new();
    let mut differences = Vec::new();
    for collection in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let [expected, found] = [expected, found].map(|side| side.get(collection).unwrap_or(&none));
        for key in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
            let (expected, found) = (expected.get(key), found.get(key));
            if expected == found {
                continue;
            }
            let mut fields = Vec::new();
            if let (Some(expected), Some(found)) = (expected, found) {
                of_values("", expected, found, &mut fields);
            }
            let json = |text: &String| Json(text.clone());
            differences.push(DocumentDifference {
                collection: collection.clone(),
                key: key.clone(),
                expected: expected.map(json),
                found: found.map(json),
                fields,
            });
        }
    }
    differences
}

/// Where two values differ whose texts do.
fn of_values(pointer: &str, expected: &str, found: &str, differences: &mut Vec<FieldDifference>) {
    let before = differences.len();
    let mut part = |name: &str, expected: Option<&str>, found: Option<&str>| {
        if expected == found {
            return;
        }
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        match (expected, found) {
            (Some(expected), Some(found)) => of_values(&pointer, expected, found, differences),
            _ => differences.push(difference(pointer, expected, found, None)),
        }
    };
    let form = match (Parts::of(expected), Parts::of(found)) {
        (Parts::Fields(expected), Parts::Fields(found)) => {
            let [expected_by_name, found_by_name] = [&expected, &found].map(by_name);
            for (name, value) in &expected {
                part(name, Some(value), found_by_name.get(name.as_str()).copied());
            }
            for (name, value) in &found {
                if !expected_by_name.contains_key(name.as_str()) {
                    part(name, None, Some(value));
                }
            }
            let names = |fields: &[(String, &str)]| -> Vec<String> {
                fields.iter().map(|(name, _)| name.clone()).collect()
            };
            Some(if names(&expected) == names(&found) { Form::Spelling } else { Form::Order })
        }
        (Parts::Elements(expected), Parts::Elements(found)) => {
            for index in 0..expected.len().max(found.len()) {
                part(&index.to_string(), expected.get(index).copied(), found.get(index).copied());
            }
            None
        }
        _ => None,
    };
    if differences.len() == before {
        differences.push(difference(pointer.to_owned(), Some(expected), Some(found), form));
    }
}

fn by_name<'a>(fields: &'a Vec<(String, &'a str)>) -> BTreeMap<&'a str, &'a str> {
    fields.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

fn difference(
    pointer: String,
    expected: Option<&str>,
    found: Option<&str>,
    form: Option<Form>,
) -> FieldDifference {
    let json = |text: &str| Json(text.to_owned());
    FieldDifference { pointer, expected: expected.map(json), found: found.map(json), form }
}

fn of_failures(expected: &[ExpectedFailure], found: &[FoundFailure]) -> Vec<FailureDifference> {
    let expected: BTreeMap<u64, &ExpectedFailure> = expected.iter().map(|one| (one.position, one)).collect();
    let found: BTreeMap<u64, &FoundFailure> = found.iter().map(|one| (one.position, one)).collect();
    let positions: BTreeSet<u64> = expected.keys().chain(found.keys()).copied().collect();
    let compared = positions.into_iter().filter_map(|position| {
        let (expected, found) = (expected.get(&position).copied(), found.get(&position).copied());
        let lacks = expected.zip(found).map(|(expected, found)| lacking(expected, found)).unwrap_or_default();
        let is_as_expected =
            matches!((expected, found), (Some(a), Some(b)) if a.kind.contains(b.kind) && lacks.is_empty());
        let (expected, found) = (expected.cloned(), found.cloned());
        (!is_as_expected).then_some(FailureDifference { position, expected, found, lacks })
    });
    compared.collect()
}

/// Texts that are expected in a message and do not occur in it.
fn lacking(expected: &ExpectedFailure, found: &FoundFailure) -> Vec<String> {
    expected.contains.iter().filter(|text| !found.message.contains(text.as_str())).cloned().collect()
}

/// Whether a failure is as it was expected.
pub(super) fn is_expected(expected: &ExpectedFailure, found: &FoundFailure) -> bool {
    expected.position == found.position
        && expected.kind.contains(found.kind)
        && lacking(expected, found).is_empty()
}

/// The lines that occur after those before them, and those that do not.
pub(super) fn sorted_lines(
    expected: &[ExpectedLine],
    found: &[ExpectedLine],
) -> (Vec<ExpectedLine>, Vec<ExpectedLine>) {
    let mut rest = found;
    let (mut occurring, mut missing) = (Vec::new(), Vec::new());
    for line in expected {
        match rest.iter().position(|found| is_line(line, found)) {
            Some(index) => {
                rest = &rest[index + 1..];
                occurring.push(line.clone());
            }
            None => missing.push(line.clone()),
        }
    }
    (occurring, missing)
}

fn is_line(expected: &ExpectedLine, found: &ExpectedLine) -> bool {
    (expected.position.is_none() || expected.position == found.position)
        && (expected.level, &expected.message) == (found.level, &found.message)
}
