//! The conformance guests play all groups of `guest-sdk/conformance`, without a store and on both databases, in batches
//! of one event and of a thousand. What has to be contained is left to `containment`, on a store.

use std::sync::Mutex;
use std::thread;

use kennel_cli::expectations::compare::Found;
use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::Kennel;
use kennel_tests::database::Database;
use kennel_tests::languages::{Language, languages};
use kennel_tests::replicas::Session;
use kennel_tests::report;

use crate::groups::{CONTAINMENT, Group, groups};
use crate::play::{
    Outcome, in_order_of_names, on_a_store, on_sqlite, outcome, sorted_documents, values, without_a_store,
};

/// Groups that are played at the same time: most of them wait for a process, or for the pause before another attempt.
const AT_ONCE: usize = 3;
/// Characters that are shown of what differs in a group.
const SHOWN_CHARS: usize = 4000;
const BATCHES: [usize; 2] = [1000, 1];

/// Where a group is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Test,
    Sqlite,
    Postgres,
}

/// A group that was played.
#[derive(Debug)]
struct Record {
    language: &'static str,
    place: Place,
    group: String,
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct Results(Mutex<Vec<Record>>);

#[test]
fn the_guests_of_all_languages_do_the_same() {
    let _alone = crate::alone();
    let languages = languages();
    let scratch = tempfile::tempdir().expect("a folder for the test");
    let groups = groups(scratch.path());
    let cluster = Cluster::start();
    let results = Results::default();
    compile(&languages);
    let work = Mutex::new(groups.iter());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(group) = work.lock().expect("no thread panics").next() else { break };
                    play(group, &languages, &cluster, &results);
                }
            });
        }
    });
    results.print(&languages);
    results.judge();
}

/// Compiles all guests, one after the other, so that all others find them in the cache.
fn compile(languages: &[Language]) {
    let kennel = Kennel::default();
    for language in languages {
        kennel.ok(&["deploy", language.name, language.conformance()]);
    }
}

fn play(group: &Group, languages: &[Language], cluster: &Cluster, results: &Results) {
    for language in languages {
        results.add(language, Place::Test, group, without_a_store(language, group));
    }
    if group.has_positions() || group.name == CONTAINMENT {
        return;
    }
    play_on_sqlite(group, languages, results);
    if !group.has_nanoseconds() {
        play_on_postgres(group, languages, cluster, results);
    }
}

/// In batches of either size, which must come to the same. Not as two projections of one store: the name of a projection
/// is part of what its random numbers depend on.
fn play_on_sqlite(group: &Group, languages: &[Language], results: &Results) {
    let expected = values(&group.expected);
    let [all_at_once, one_by_one] = BATCHES.map(|batch| {
        let kennel = Kennel::default();
        let mut played = on_sqlite(&kennel, group, languages, batch);
        languages.iter().map(|language| played.found(language.name)).collect::<Vec<Found>>()
    });
    for (language, (found, other)) in languages.iter().zip(all_at_once.iter().zip(&one_by_one)) {
        let mut outcome = outcome(&expected, found);
        if found.documents != other.documents {
            outcome.differences.push(format!("other batches, other documents: {:#?}", other.documents));
        }
        results.add(language, Place::Sqlite, group, outcome);
    }
}

fn play_on_postgres(group: &Group, languages: &[Language], cluster: &Cluster, results: &Results) {
    let url = cluster.create_database();
    let kennel = Kennel::on(&url);
    kennel.ok(&["migrate"]);
    let name = url.rsplit('/').next().expect("a database");
    let database = Database::Postgres(Box::new(Session::open(cluster, name)));
    let mut played = on_a_store(&kennel, &url, database, group, languages, BATCHES[0]);
    let expected = in_order_of_names(&group.expected);
    for language in languages {
        let found = played.found(language.name);
        let documents = sorted_documents(&found.documents);
        results.add(language, Place::Postgres, group, outcome(&expected, &Found { documents, ..found }));
    }
}

impl Results {
    fn add(&self, language: &Language, place: Place, group: &Group, outcome: Outcome) {
        let record = Record { language: language.name, place, group: group.name.clone(), outcome };
        self.0.lock().expect("no thread panics").push(record);
    }

    /// A line for each language: groups that passed of those that were played.
    fn print(&self, languages: &[Language]) {
        let records = self.0.lock().expect("no thread panics");
        let (test, sqlite, postgres) = ("kennel test", "SQLite", "PostgreSQL");
        report::line(format_args!(
            "{:<12} {:>12} {test:>12} {sqlite:>8} {postgres:>11} rejected",
            "language", "bytes"
        ));
        for language in languages {
            let size = std::fs::metadata(&language.conformance).map_or(0, |file| file.len());
            let of = |place: Place| {
                let records = records.iter();
                records.filter(move |record| (record.language, record.place) == (language.name, place))
            };
            let passed = |place: Place| {
                let passed = of(place).filter(|record| record.outcome.differences.is_empty()).count();
                format!("{passed}/{}", of(place).count())
            };
            let [test, sqlite, postgres] = [Place::Test, Place::Sqlite, Place::Postgres].map(passed);
            let rejected: usize = of(Place::Test).map(|record| record.outcome.rejected).sum();
            report::line(format_args!(
                "{:<12} {size:>12} {test:>12} {sqlite:>8} {postgres:>11} {rejected:>8}",
                language.name
            ));
        }
        report::line(
            "rejected: of the values that a language may not be able to hold, those that it rejects",
        );
    }

    fn judge(&self) {
        let records = self.0.lock().expect("no thread panics");
        let failed = records.iter().filter(|record| !record.outcome.differences.is_empty()).map(|record| {
            let shown: String = record.outcome.differences.join("\n").chars().take(SHOWN_CHARS).collect();
            format!("{}, {} by {:?}:\n{shown}", record.language, record.group, record.place)
        });
        let failed: Vec<String> = failed.collect();
        assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    }
}
