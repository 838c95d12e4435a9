//! A disk that is full for a while: the host reports it, and goes on by itself when there is room again.

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Kennel, wait_until};
use kennel_tests::database::Database;
use kennel_tests::disk::{SmallDisk, limit_files, takes_limits};
use kennel_tests::exactly_once::exactly_once;
use kennel_tests::metrics::{Served, get};

use super::{NAME, SOON, append, deploy, events, is_ready, wait_for};

const EVENTS: u64 = 1_000;

/// Where the store is, and how it comes to be without room.
enum Location {
    Disk(SmallDisk),
    /// The process's files may not grow.
    Limited,
}

impl Location {
    fn fill(&self, served: &Served) {
        match self {
            Self::Disk(disk) => disk.fill(),
            Self::Limited => limit_files(served.process.pid(), Some(4096)),
        }
    }

    fn free(&self, served: &Served) {
        match self {
            Self::Disk(disk) => disk.free(),
            Self::Limited => limit_files(served.process.pid(), None),
        }
    }
}

/// Suspends the process at a moment when it neither writes to the file nor reads from it, with an empty log: whatever
/// it writes next takes room.
fn suspend(served: &Served, database: &mut Database) {
    wait_until("the process rests", SOON, || {
        database.rows("BEGIN IMMEDIATE");
        served.process.signal("STOP");
        database.rows("ROLLBACK");
        let is_quiet = truncate(database);
        if !is_quiet {
            served.process.signal("CONT");
        }
        is_quiet
    });
}

fn truncate(database: &mut Database) -> bool {
    database.rows("PRAGMA busy_timeout = 100");
    let done = database.rows("PRAGMA wal_checkpoint(TRUNCATE)");
    database.rows("PRAGMA busy_timeout = 30000");
    done[0].starts_with("0|")
}

fn check(location: &Location) {
    let kennel = match location {
        Location::Disk(disk) => Kennel::on(&format!("sqlite:{}", disk.path().join("kennel.db").display())),
        Location::Limited => Kennel::default(),
    };
    let path = match location {
        Location::Disk(disk) => disk.path().join("kennel.db"),
        Location::Limited => kennel.folder().join("kennel.db"),
    };
    append(&kennel, &events(1, 10, 10));
    deploy(&kennel);
    let run = kennel.command(&["run", "--listen", "127.0.0.1:0", "--workers", "1"]);
    let served = Served::spawn(takes_limits(&run));
    wait_for(&kennel, 10);
    wait_until("it is ready", SOON, || is_ready(&served));

    let mut database = Database::sqlite(&path);
    suspend(&served, &mut database);
    append(&kennel, &events(11, EVENTS - 10, 10));
    assert!(truncate(&mut database), "no process reads");
    location.fill(&served);
    served.process.signal("CONT");

    wait_until("it says what keeps it from working", SOON, || {
        let (status, said) = get(served.address(), "/readyz").expect("it answers");
        let reason = match location {
            Location::Disk(_) => "there is no room on the disk of the database; make room there",
            Location::Limited => "the store is unavailable",
        };
        status == 503 && said.contains(&format!("projection {NAME}")) && said.contains(reason)
    });
    wait_until("it tries again, and says so", SOON, || {
        served.log().text().matches("the store failed; trying again").count() >= 4
    });
    if matches!(location, Location::Disk(_)) {
        let file = kennel.write("more.jsonl", events(EVENTS + 1, 100, 1_000));
        let rejected = kennel.run(&["append", "--from", file.to_str().expect("a UTF-8 path")]);
        assert_eq!(rejected.code, Some(3), "{}", rejected.stderr);
        assert!(rejected.stderr.contains("there is no room on the disk"), "{}", rejected.stderr);
    }
    location.free(&served);
    wait_for(&kennel, EVENTS);
    wait_until("it is ready again", SOON, || is_ready(&served));
    let found = exactly_once(&kennel, NAME);
    assert_eq!((found.events as u64, found.not_once, found.out_of_order), (EVENTS, 0, 0));
}

#[test]
fn a_host_goes_on_when_its_disk_has_room_again() {
    check(&SmallDisk::mount(16).map_or(Location::Limited, Location::Disk));
}

#[test]
fn a_host_goes_on_when_its_files_may_grow_again() {
    check(&Location::Limited);
}

/// The tables are on the small disk, and PostgreSQL's own log is not: that one, it would not survive.
#[test]
fn a_host_goes_on_when_the_servers_disk_has_room_again() {
    let Some(disk) = SmallDisk::mount(48) else {
        // What its errors mean is tested in host/store/src/error.rs everywhere.
        assert!(std::env::var_os("CI").is_none(), "this test has to mount a tmpfs, as root or with sudo");
        return;
    };
    let cluster = Cluster::start();
    let folder = disk.path().join("tables");
    std::fs::create_dir(&folder).expect("the disk can be written to");
    cluster.give(&folder);
    cluster.sql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", folder.display()));
    cluster.sql("postgres", "CREATE DATABASE small TABLESPACE small");
    let kennel = Kennel::on(&cluster.url("small"));
    kennel.ok(&["migrate"]);
    append(&kennel, &events(1, 10, 10));
    deploy(&kennel);
    let served = Served::start(&kennel, &["--workers", "1"]);
    wait_for(&kennel, 10);
    served.process.signal("STOP");
    append(&kennel, &events(11, EVENTS - 10, 10));
    disk.fill();
    served.process.signal("CONT");
    wait_until("it says what keeps it from working", SOON, || {
        let (status, said) = get(served.address(), "/readyz").expect("it answers");
        status == 503 && said.contains("there is no room on the disk of the database; make room there")
    });
    disk.free();
    wait_for(&kennel, EVENTS);
    wait_until("it is ready again", SOON, || is_ready(&served));
    let found = exactly_once(&kennel, NAME);
    assert_eq!((found.events as u64, found.not_once, found.out_of_order), (EVENTS, 0, 0));
}
