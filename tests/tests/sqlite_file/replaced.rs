//! Files that are removed or replaced under a running host: it ends with a message, and writes to no file but its own.

use std::fs;
use std::time::Duration;

use kennel_tests::binary::Kennel;
use kennel_tests::database::Database;
use kennel_tests::exactly_once::exactly_once;
use kennel_tests::metrics::Served;

use super::{NAME, append, events, file, running};

/// Within so long a host has noticed, and ended.
const NOTICED_WITHIN: Duration = Duration::from_secs(15);

/// The process ends by itself, as one whose store cannot be used; what its log says.
#[track_caller]
fn ends(served: Served) -> String {
    let log = served.log();
    assert_eq!(served.process.wait(NOTICED_WITHIN), Some(3), "{}", log.text());
    log.text()
}

#[track_caller]
fn assert_says(log: &str, messages: &[&str]) {
    for message in messages {
        assert!(log.contains(message), "{message}: {log}");
    }
}

#[test]
fn a_file_that_is_removed_is_noticed() {
    let (kennel, served) = running(100);
    fs::remove_file(file(&kennel, "")).expect("it is there");
    let log = ends(served);
    assert_says(&log, &["kennel.db was removed while this process had it open", "restore a backup"]);
    assert!(!file(&kennel, "").exists(), "no process makes a new one");
}

#[test]
fn a_file_that_is_replaced_is_noticed_and_left_as_it_is() {
    let (kennel, served) = running(100);
    let other = Kennel::default();
    append(&other, &events(1, 7, 10));
    Database::sqlite(&file(&other, "")).rows("PRAGMA wal_checkpoint(TRUNCATE)");
    let bytes = fs::read(file(&other, "")).expect("it is there");
    let beside = kennel.write("other.db", &bytes);
    fs::rename(beside, file(&kennel, "")).expect("it can be moved");
    let log = ends(served);
    assert_says(&log, &["kennel.db was replaced by another file while", "start Kennel again"]);
    assert!(fs::read(file(&kennel, "")).expect("it is there") == bytes, "the new file is as it was");
    let left = fs::metadata(file(&kennel, "-wal")).map_or(0, |found| found.len());
    assert_eq!(left, 0, "nothing of the old file's log is left for the new one");
    assert_eq!(kennel.json(&["status", "--json"])["head"], 7);
}

#[test]
fn a_file_that_is_moved_away_takes_everything_with_it() {
    let (kennel, served) = running(100);
    fs::rename(file(&kennel, ""), file(&kennel, ".old")).expect("it can be moved");
    ends(served);
    fs::rename(file(&kennel, ".old"), file(&kennel, "")).expect("it can be moved");
    assert_eq!(exactly_once(&kennel, NAME).events, 100);
}

/// The files beside it belong to it, and the log's content is in the file when the process has ended.
#[test]
fn a_log_that_is_removed_is_noticed_and_nothing_is_lost() {
    for suffix in ["-wal", "-shm"] {
        let (kennel, served) = running(100);
        fs::remove_file(file(&kennel, suffix)).expect("it is there");
        let log = ends(served);
        assert_says(&log, &[&format!("kennel.db{suffix}, "), "was removed while this process had it open"]);
        assert_eq!(kennel.json(&["status", "--json"])["head"], 100);
        let found = exactly_once(&kennel, NAME);
        assert_eq!((found.events, found.not_once), (100, 0), "{suffix}");
    }
}
