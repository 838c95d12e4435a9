//! The write-ahead log stays short, whichever processes read meanwhile.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::database::Database;
use kennel_tests::metrics::Served;

use super::{append, deploy, events, file, wait_for};

/// Far less than all that the test writes: a log that no process begins anew holds all of it.
const LOG_BYTES_MAX: u64 = 128 << 20;
const EVENTS: u64 = 14_000;
const EVENT_BYTES: usize = 16 << 10;
/// Programs that read the file without pause, beside the host.
const READERS: usize = 3;
/// How long each reads before it begins anew.
const READS_FOR: Duration = Duration::from_millis(40);

#[test]
fn the_log_stays_short_while_others_read_without_pause() {
    let kennel = Kennel::default();
    append(&kennel, &events(1, 10, 10));
    deploy(&kennel);
    let served = Served::start(&kennel, &["--workers", "2"]);
    wait_for(&kennel, 10);
    let lines = events(11, EVENTS, EVENT_BYTES);
    let (path, log) = (file(&kennel, ""), file(&kennel, "-wal"));
    let (ended, longest) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut database = Database::sqlite(&path);
                while !ended.load(Ordering::Relaxed) {
                    database.rows("BEGIN; SELECT max(global_position) FROM events");
                    pause(READS_FOR);
                    database.rows("COMMIT");
                }
            });
        }
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let now = fs::metadata(&log).map_or(0, |found| found.len());
                longest.fetch_max(now, Ordering::Relaxed);
                pause(Duration::from_millis(5));
            }
        });
        let written = thread::Builder::new().spawn_scoped(scope, || {
            append(&kennel, &lines);
            wait_for(&kennel, EVENTS + 10);
        });
        let written = written.expect("a thread starts").join();
        ended.store(true, Ordering::Relaxed);
        written.expect("all is written");
    });
    let longest = longest.load(Ordering::Relaxed);
    assert!(longest > 1 << 20, "the log was watched: {longest}");
    assert!(longest < LOG_BYTES_MAX, "the log had {} MiB", longest >> 20);
    wait_until("it is ready", super::SOON, || super::is_ready(&served));
}

#[expect(clippy::disallowed_methods, reason = "what others do goes on in real time")]
fn pause(duration: Duration) {
    thread::sleep(duration);
}
