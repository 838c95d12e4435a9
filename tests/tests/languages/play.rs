//! Plays a group: without a store by `kennel test`, and on a store by `kennel run`.

use std::collections::BTreeMap;

use kennel_cli::expectations::compare::{Differences, Found, FoundFailure};
use kennel_cli::expectations::text::{Parts, compact, quoted};
use kennel_cli::expectations::values::canonical;
use kennel_cli::expectations::{Comparison, Documents, Expectations};
use kennel_store::{ConnectOptions, connect};
use kennel_tests::binary::Kennel;
use kennel_tests::database::Database;
use kennel_tests::languages::Language;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::groups::Group;

/// What differs, and how many of the events that may be rejected were.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) differences: Vec<String>,
    pub(crate) rejected: usize,
}

/// Plays a group by `kennel test`.
pub(crate) fn without_a_store(language: &Language, group: &Group) -> Outcome {
    let kennel = Kennel::default();
    let [events, expect] = [&group.events, &group.expect].map(|file| file.to_str().expect("a UTF-8 path"));
    let arguments = ["test", language.conformance(), "--events", events, "--expect", expect, "--json"];
    let printed = kennel.run(&arguments);
    let Ok(report) = serde_json::from_str::<Report>(&printed.stdout) else {
        let differences = vec![format!("{:?}: {}{}", printed.code, printed.stdout, printed.stderr)];
        return Outcome { differences, rejected: 0 };
    };
    let differences = match report.passed {
        true => Vec::new(),
        false => vec![report.differences.map(|text| text.get().to_owned()).unwrap_or_default()],
    };
    assert_eq!(differences.is_empty(), printed.code == Some(0), "{}{}", printed.stdout, printed.stderr);
    let has_failed = |position| report.failures.iter().any(|failure| failure.position == position);
    Outcome { differences, rejected: rejected(&group.expected, has_failed) }
}

/// The part of what `kennel test` prints that is needed. Its documents may have numbers that no type here holds.
#[derive(Deserialize)]
struct Report {
    passed: bool,
    failures: Vec<Failed>,
    differences: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Failed {
    position: u64,
}

fn rejected(expected: &Expectations, has_failed: impl Fn(u64) -> bool) -> usize {
    expected.exact_or_rejected.iter().filter(|one| has_failed(one.position)).count()
}

/// A store on which projections have played a group.
#[derive(Debug)]
pub(crate) struct Played<'a> {
    kennel: &'a Kennel,
    database: Database,
    status: Value,
}

/// Has the guests play a group on SQLite.
pub(crate) fn on_sqlite<'a>(
    kennel: &'a Kennel,
    group: &Group,
    languages: &[Language],
    batch: usize,
) -> Played<'a> {
    kennel.ok(&["migrate"]);
    let file = kennel.folder().join("kennel.db");
    on_a_store(
        kennel,
        &format!("sqlite:{}", file.display()),
        Database::sqlite(&file),
        group,
        languages,
        batch,
    )
}

/// Has the guests play a group on a store, each as a projection with the name of its language.
pub(crate) fn on_a_store<'a>(
    kennel: &'a Kennel,
    url: &str,
    database: Database,
    group: &Group,
    languages: &[Language],
    batch: usize,
) -> Played<'a> {
    append(url, group);
    let settings = group.expected.config.iter().map(|(key, value)| format!("--set={key}={value}"));
    let settings: Vec<String> = settings.collect();
    let batch = batch.to_string();
    for language in languages {
        let file = language.conformance();
        let deploy = ["deploy", language.name, file, "--on-failure", "dead-letter", "--batch", &batch];
        let settings = settings.iter().map(String::as_str);
        kennel.ok(&deploy.into_iter().chain(settings).collect::<Vec<_>>());
    }
    kennel.ok(&["run", "--until-caught-up", "--workers", "1"]);
    let status = kennel.json(&["status", "--json"]);
    Played { kennel, database, status }
}

/// Appends as another program would, since no line of `kennel append` has bytes that are no JSON.
fn append(url: &str, group: &Group) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = url.parse().expect("a valid URL");
    let events: Vec<_> = group.samples.iter().map(|sample| sample.event.clone()).collect();
    runtime.block_on(async {
        let store = connect(&url, &ConnectOptions::default()).await.expect("the store opens");
        let appended = store.append(&events).await.expect("the events are appended");
        assert_eq!(appended.head.get(), events.len() as u64, "positions are the numbers of the lines");
        store.close().await;
    });
}

impl Played<'_> {
    /// The failures and documents of a projection.
    pub(crate) fn found(&mut self, projection: &str) -> Found {
        Found { documents: self.documents(projection), failures: self.failures(projection), logs: Vec::new() }
    }

    /// The dead letters of a projection, as `kennel status` shows them.
    pub(crate) fn letters(&self, projection: &str) -> &[Value] {
        let projections = self.status["projections"].as_array().expect("a list of projections");
        let status = projections.iter().find(|status| status["name"] == projection).expect("it is deployed");
        assert_eq!(status["lag"], 0, "{status:#}");
        let letters = status["dead_letters"].as_array().expect("a list of dead letters");
        assert_eq!(status["dead_letter_count"], letters.len(), "status shows all of them");
        letters
    }

    fn failures(&self, projection: &str) -> Vec<FoundFailure> {
        let text = |letter: &Value, field: &str| letter[field].as_str().unwrap_or_default().to_owned();
        let failure = |letter: &Value| FoundFailure {
            position: letter["position"].as_u64().expect("a position"),
            event_type: text(letter, "event_type"),
            aggregate_id: text(letter, "aggregate_id"),
            kind: text(letter, "kind").parse().expect("a kind of failure"),
            message: text(letter, "message"),
        };
        self.letters(projection).iter().map(failure).collect()
    }

    /// All documents, as `kennel documents` prints them.
    fn documents(&mut self, projection: &str) -> Documents {
        #[derive(Deserialize)]
        struct Row {
            key: String,
            document: Box<RawValue>,
        }
        let (collection, read_model) = (self.database.own("collection"), self.database.own("read_model"));
        let names = self.database.rows(&format!(
            "SELECT c.name FROM {collection} c JOIN {read_model} r ON r.id = c.read_model
             WHERE r.projection = '{projection}'"
        ));
        let documents = names.into_iter().map(|name| {
            let printed = self.kennel.ok(&["documents", "--json", projection, "--", &name]);
            let rows: Vec<Row> = serde_json::from_str(&printed).expect("kennel prints JSON");
            let rows = rows.into_iter().map(|row| (row.key, compact(row.document.get())));
            (name, rows.collect::<BTreeMap<_, _>>())
        });
        documents.collect()
    }
}

/// What differs from the expectations, the log apart: a store has no log.
pub(crate) fn outcome(expected: &Expectations, found: &Found) -> Outcome {
    let expected = Expectations { logs: Vec::new(), ..expected.clone() };
    let has_failed = |position| found.failures.iter().any(|failure| failure.position == position);
    let Differences { documents, failures, .. } = Differences::between(&expected, found);
    let documents = documents.iter().map(|one| format!("{one:#?}"));
    let differences = documents.chain(failures.iter().map(|one| format!("{one:#?}"))).collect();
    Outcome { differences, rejected: rejected(&expected, has_failed) }
}

/// The same expectations of documents that `kennel documents` prints: it writes some characters as escapes, for the sake
/// of terminals.
pub(crate) fn values(expected: &Expectations) -> Expectations {
    Expectations { compare: Comparison::Values, ..expected.clone() }
}

/// The same expectations of a database that has its own order of fields and its own way to write numbers.
pub(crate) fn in_order_of_names(expected: &Expectations) -> Expectations {
    let mut expected = values(expected);
    expected.documents = expected.documents.as_ref().map(sorted_documents);
    for one in &mut expected.exact_or_rejected {
        one.document.0 = sorted(&canonical(&one.document.0));
    }
    expected
}

/// Documents in the order of fields that [`in_order_of_names`] expects.
pub(crate) fn sorted_documents(documents: &Documents) -> Documents {
    let of = |documents: &BTreeMap<String, String>| {
        documents.iter().map(|(key, text)| (key.clone(), sorted(&canonical(text)))).collect()
    };
    documents.iter().map(|(name, documents)| (name.clone(), of(documents))).collect()
}

/// The text of a value with its fields in the order of their names.
fn sorted(text: &str) -> String {
    match Parts::of(text) {
        Parts::Fields(mut fields) => {
            fields.sort();
            let fields = fields.iter().map(|(name, value)| format!("{}:{}", quoted(name), sorted(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Parts::Elements(elements) => {
            let elements: Vec<String> = elements.into_iter().map(sorted).collect();
            format!("[{}]", elements.join(","))
        }
        Parts::None => text.to_owned(),
    }
}
