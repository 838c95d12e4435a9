//! A hundred thousand events in each language: the memory of the host and that of the guest stop growing, and the
//! documents are those of Rust, byte for byte.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kennel_tests::binary::{Kennel, now, wait_until};
use kennel_tests::database::Database;
use kennel_tests::events::orders;
use kennel_tests::languages::{Language, languages};
use kennel_tests::metrics::Served;
use kennel_tests::report;
use tempfile::TempDir;

const NAME: &str = "orders";
/// Six events each.
const ORDERS: u64 = 16_667;
const EVENTS: u64 = 6 * ORDERS;
/// Events that one instance handles: as many as can be, so that what it does not free adds up.
const BATCH: u64 = 10_000;
/// From here on nothing may grow.
const WARM_UP: u64 = 50_000;
/// What the host may grow by after that. Its allocator and the cache of the database have not settled by then; a host
/// that kept half a kilobyte of each event would be seen.
const HOST_GROWTH_MAX: u64 = 20 << 20;
/// Positions from one sample to the next, at least.
const SAMPLE_EVERY: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(300);

/// Memory at a position, in bytes.
#[derive(Clone, Copy, Debug)]
struct Sample {
    position: u64,
    host: u64,
    /// The most that any instance has had so far.
    guest: u64,
}

#[test]
fn memory_stays_level_over_a_hundred_thousand_events() {
    let _alone = crate::alone();
    let log = Log::append();
    let mut documents_of_rust = None;
    for language in languages() {
        let (kennel, samples, seconds) = handle(&log, &language);
        let documents = ["orders", "customers"].map(|name| kennel.ok(&["documents", NAME, name, "--json"]));
        report(&language, &samples, seconds);
        let expected = documents_of_rust.get_or_insert_with(|| documents.clone());
        assert!(*expected == documents, "the documents of {} are not those of Rust", language.name);
        judge(&language, &samples);
    }
}

/// A SQLite file whose log has the events.
struct Log {
    _folder: TempDir,
    file: PathBuf,
}

impl Log {
    fn append() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let kennel = Kennel::default();
        let lines = kennel.write("events.jsonl", orders(ORDERS));
        kennel.ok(&["append", "--from", lines.to_str().expect("a UTF-8 path")]);
        let mut database = Database::sqlite(&kennel.folder().join("kennel.db"));
        let file = folder.path().join("log.db");
        database.rows(&format!("VACUUM INTO '{}'", file.display()));
        Self { _folder: folder, file }
    }

    /// A store with this log.
    fn store(&self) -> Kennel {
        let kennel = Kennel::default();
        std::fs::copy(&self.file, kennel.folder().join("kennel.db")).expect("there is room on the disk");
        kennel
    }
}

/// Has the guest of a language handle the log; also how many seconds it took.
fn handle(log: &Log, language: &Language) -> (Kennel, Vec<Sample>, f64) {
    let kennel = log.store();
    kennel.ok(&["deploy", NAME, language.order_summary(), "--batch", &BATCH.to_string()]);
    let mut database = Database::sqlite(&kennel.folder().join("kennel.db"));
    let began = now();
    let process = Served::start(&kennel, &["--workers", "1"]);
    let mut samples: Vec<Sample> = Vec::new();
    let mut position = 0;
    wait_until("the log is handled, or never will be", 2 * PATIENCE, || {
        let positions = database.positions(NAME);
        position = positions.iter().map(|[_, position]| *position).min().unwrap_or(0);
        let last = samples.last().map_or(0, |sample| sample.position);
        if position >= last + SAMPLE_EVERY || position == EVENTS && position > last {
            samples.push(sample(&process, position));
        }
        position == EVENTS || is_halted(&mut database) || began.elapsed() > PATIENCE
    });
    assert_eq!(position, EVENTS, "{}: {samples:?}, {:#}", language.name, kennel.status(NAME));
    (kennel, samples, began.elapsed().as_secs_f64())
}

fn is_halted(database: &mut Database) -> bool {
    let deployment = database.own("deployment");
    database.rows(&format!("SELECT state FROM {deployment}")).iter().any(|state| state == "halted")
}

fn sample(process: &Served, position: u64) -> Sample {
    let guest = process.scrape().sum("kennel_guest_memory_peak_bytes", &[("projection", NAME)]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
    let guest = guest.unwrap_or_default() as u64;
    Sample { position, host: resident(process.process.pid()), guest }
}

/// Memory of a process that is its own, in bytes.
fn resident(pid: u32) -> u64 {
    let file = PathBuf::from(format!("/proc/{pid}/status"));
    let status = std::fs::read_to_string(Path::new(&file)).expect("Linux says it");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("it has this line");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number of kilobytes") * 1024
}

fn report(language: &Language, samples: &[Sample], seconds: f64) {
    let mib = |bytes: u64| bytes / (1 << 20);
    let at = |sample: &Sample| {
        format!("{}: {} + {}", sample.position, mib(sample.host), sample.guest.div_ceil(1 << 20))
    };
    let all: Vec<String> = samples.iter().map(at).collect();
    report::line(format_args!(
        "{}: {EVENTS} events in {seconds:.1} s; MiB of the host and of the guest at position {}",
        language.name,
        all.join(", ")
    ));
}

fn judge(language: &Language, samples: &[Sample]) {
    let warm: Vec<&Sample> = samples.iter().filter(|sample| sample.position >= WARM_UP).collect();
    let (first, last) = (warm[0], warm[warm.len() - 1]);
    assert!(last.position > first.position, "{}: {samples:?}", language.name);
    let name = language.name;
    // A collector does not run at the same moment in each batch.
    assert!(
        last.guest <= first.guest + first.guest / 8,
        "the memory of the guest in {name} grows: {samples:?}"
    );
    assert!(
        last.host <= first.host + HOST_GROWTH_MAX,
        "the memory of the host grows with {name}: {samples:?}"
    );
}
