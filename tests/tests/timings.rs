//! How soon others take over when processes come and go. Real time on a real server, so these tests take
//! turns, and are a test binary by themselves.
//!
//! Events are written without pause, and the checkpoints are looked at every few milliseconds. That a worker
//! owns a range counts only once the range has moved on: ownership without work is worth nothing.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Running, now, wait_until};
use kennel_tests::replicas::{CheckpointRow, Replicas, Session};

const HASH_SPACE: u64 = 1 << 32;
const STALE_AFTER_SECONDS: u32 = 2;
/// How often each thing is tried.
const ROUNDS: usize = 4;
/// The engine commits a batch when its handlers have run this long.
const BATCH: Duration = Duration::from_millis(250);

/// A database in which events appear without pause.
struct Fixture {
    cluster: Cluster,
    replicas: Replicas,
    session: Session,
    writer: Child,
    _alone: MutexGuard<'static, ()>,
}

impl Fixture {
    fn set() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = Cluster::start();
        let replicas = Replicas::new(&cluster, &["audit-log"]).stale_after(STALE_AFTER_SECONDS);
        let session = replicas.session(&cluster);
        cluster.sql(&replicas.database, "CREATE TABLE flow (); INSERT INTO flow DEFAULT VALUES");
        // Eight events of different aggregates at a time: every part of the hash space has its share.
        let writer = "DO $$ DECLARE n int := 0; BEGIN
           WHILE EXISTS (SELECT FROM flow) LOOP
             n := n + 1;
             INSERT INTO events (bounded_context, aggregate_type, aggregate_id, aggregate_version, event_id,
               event_type, event_version, payload)
             SELECT 'Sales', 'Order', 'order-' || (n % 50) * 8 + i, n, gen_random_uuid(), 'Happened', 1, '{}'
             FROM generate_series(1, 8) AS i;
             COMMIT;
             PERFORM pg_sleep(0.005);
           END LOOP; END $$";
        let mut psql = cluster.psql(&replicas.database);
        let writer = psql.args(["-c", writer]).stdout(Stdio::null()).spawn().expect("psql starts");
        Self { cluster, replicas, session, writer, _alone: alone }
    }

    /// Starts a process with one worker.
    fn start(&self) -> Running {
        self.replicas.start(1)
    }

    /// Waits until exactly these processes own partitions, and every one of these has moved on.
    #[track_caller]
    fn wait_until_they_work(&mut self, processes: &[&Running]) -> Duration {
        let began = now();
        let mut moved = Moved::default();
        wait_until("these processes handle events everywhere", Duration::from_secs(20), || {
            self.look(processes, &mut moved)
        });
        began.elapsed()
    }

    /// Looks once: whether exactly these processes own partitions, and every one of these has moved on since
    /// they do.
    fn look(&mut self, processes: &[&Running], moved: &mut Moved) -> bool {
        let (generation, owners) = self.session.owners();
        let mut wanted: Vec<u64> = processes.iter().map(|process| process.pid().into()).collect();
        let mut found = owners.clone();
        wanted.sort_unstable();
        found.sort_unstable();
        let rows = self.session.checkpoints("audit-log");
        moved.see(generation, &rows);
        found == wanted && (0..owners.len()).all(|index| moved.everywhere_in(&rows, index, owners.len()))
    }

    /// Stops the writer, and demands that everything took effect exactly once.
    fn end(mut self) {
        self.cluster.sql(&self.replicas.database, "DELETE FROM flow");
        assert!(self.writer.wait().expect("the writer ends").success());
        let replicas = &self.replicas;
        wait_until("everything is handled", Duration::from_secs(30), || replicas.caught_up());
        let events = self.session.table("audit-log", "events");
        let found = self.session.numbers(&format!(
            "SELECT count(*), count(*) FILTER (WHERE d.document IS DISTINCT FROM
               jsonb_build_object('count', 1, 'position', e.global_position))
             FROM events e FULL JOIN {events} d ON d.key = e.event_id::text"
        ));
        assert!(found[0] > 300, "{} events prove little", found[0]);
        assert_eq!(found[1], 0, "events that did not take effect exactly once");
        let aggregates = self.session.table("audit-log", "aggregates");
        let sql = format!("SELECT count(*) FROM {aggregates} WHERE document->>'out_of_order' <> 'false'");
        assert_eq!(self.session.numbers(&sql), [0]);
    }
}

/// Which checkpoints have moved since they were first read in the current generation.
#[derive(Default)]
struct Moved {
    generation: u64,
    first_read: BTreeMap<u64, u64>,
}

impl Moved {
    fn see(&mut self, generation: u64, rows: &[CheckpointRow]) {
        if self.generation != generation {
            *self = Self { generation, first_read: BTreeMap::new() };
        }
        // Only the owner of this generation moves rows that bear it.
        for row in rows.iter().filter(|row| row.generation == generation) {
            self.first_read.entry(row.range_start).or_insert(row.position);
        }
    }

    fn everywhere_in(&self, rows: &[CheckpointRow], index: usize, partitions: usize) -> bool {
        let edge = |index: usize| HASH_SPACE * index as u64 / partitions as u64;
        let (start, end) = (edge(index), edge(index + 1));
        let mut inside = rows.iter().filter(|row| row.range_start < end && row.range_end > start);
        let moved = |row: &CheckpointRow| {
            let first_read = self.first_read.get(&row.range_start);
            row.generation == self.generation
                && row.range_start >= start
                && row.range_end <= end
                && first_read.is_some_and(|first_read| row.position > *first_read)
        };
        inside.all(moved)
    }
}

/// The longest times in which the lower and the upper half of the hash space made no progress.
#[derive(Clone, Copy, Debug, Default)]
struct Gaps([Duration; 2]);

/// Watches both halves until `until` says so.
fn gaps(session: &mut Session, mut until: impl FnMut(&mut Session) -> bool) -> Gaps {
    let mut longest = Gaps::default();
    let mut last: [(u64, Instant); 2] = [(0, now()); 2];
    wait_until("the watch is over", Duration::from_secs(30), || {
        let rows = session.checkpoints("audit-log");
        for (half, (position, since)) in last.iter_mut().enumerate() {
            let (start, end) = (half as u64 * HASH_SPACE / 2, (half as u64 + 1) * HASH_SPACE / 2);
            let overlapping = rows.iter().filter(|row| row.range_start < end && row.range_end > start);
            let reached = overlapping.map(|row| row.position).min().unwrap_or(0);
            longest.0[half] = longest.0[half].max(since.elapsed());
            if reached != *position {
                (*position, *since) = (reached, now());
            }
        }
        until(session)
    });
    longest
}

/// Says what was measured: it is of interest when the bound is kept, too.
#[expect(clippy::print_stderr, reason = "figures are what these tests are for")]
fn report(what: &str, measured: impl std::fmt::Debug) {
    eprintln!("{what}: {measured:?}");
}

#[test]
fn a_process_that_joins_handles_its_share_within_a_second() {
    const BOUND: Duration = Duration::from_secs(1);
    let mut fixture = Fixture::set();
    let first = fixture.start();
    fixture.wait_until_they_work(&[&first]);
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
        let began = now();
        let joiner = fixture.start();
        fixture.wait_until_they_work(&[&first, &joiner]);
        measured.push(began.elapsed());
        terminate(joiner);
        fixture.wait_until_they_work(&[&first]);
    }
    report("from the start of a process to its first commit, and every process at work", &measured);
    assert!(measured.iter().all(|took| *took <= BOUND), "{measured:?} is beyond {BOUND:?}");
    fixture.end();
}

#[test]
fn a_process_that_leaves_stops_the_others_for_no_more_than_a_batch() {
    let mut fixture = Fixture::set();
    let stays = fixture.start();
    fixture.wait_until_they_work(&[&stays]);
    let (mut before, mut during) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let leaves = fixture.start();
        fixture.wait_until_they_work(&[&stays, &leaves]);
        let (_, owners) = fixture.session.owners();
        let kept = usize::from(owners[0] != u64::from(stays.pid()));
        let began = now();
        let steady = gaps(&mut fixture.session, |_| began.elapsed() > Duration::from_secs(2));
        leaves.signal("TERM");
        let mut moved = Moved::default();
        let Fixture { session, .. } = &mut fixture;
        let pid = u64::from(stays.pid());
        let change = gaps(session, |session| {
            let (generation, owners) = session.owners();
            let rows = session.checkpoints("audit-log");
            moved.see(generation, &rows);
            owners == [pid] && moved.everywhere_in(&rows, 0, 1)
        });
        assert_eq!(leaves.wait(Duration::from_secs(10)), Some(0));
        before.push((steady.0[kept], steady.0[1 - kept]));
        during.push((change.0[kept], change.0[1 - kept]));
    }
    report("longest standstill of (the one that stays, the other) without a change", &before);
    report("longest standstill of (the range of the one that stays, of the one that leaves)", &during);
    for ((steady, others), (kept, taken_over)) in before.iter().zip(&during) {
        assert!(
            *kept <= *steady + BATCH,
            "the one that stays made no progress for {kept:?}, usually {steady:?}"
        );
        assert!(
            *taken_over <= *others + 2 * BATCH,
            "the range of the one that left made no progress for {taken_over:?}, usually {others:?}"
        );
    }
    fixture.end();
}

#[test]
fn after_kill_9_the_survivor_handles_everything_within_two_seconds() {
    const BOUND: Duration = Duration::from_secs(2);
    let mut fixture = Fixture::set();
    let survivor = fixture.start();
    let mut measured = Vec::new();
    for _ in 0..ROUNDS {
        let victim = fixture.start();
        fixture.wait_until_they_work(&[&survivor, &victim]);
        let began = now();
        victim.kill();
        fixture.wait_until_they_work(&[&survivor]);
        measured.push(began.elapsed());
    }
    report("from kill -9 until the survivor handles everything", &measured);
    assert!(measured.iter().all(|took| *took <= BOUND), "{measured:?} is beyond {BOUND:?}");
    fixture.end();
}

/// A suspended process looks as one that the network has swallowed: its connections stay, and it says nothing.
#[test]
fn a_suspended_process_is_replaced_after_the_stale_timeout_and_does_no_harm_afterwards() {
    const BOUND: Duration = Duration::from_secs(STALE_AFTER_SECONDS as u64 + 2);
    let mut fixture = Fixture::set();
    let survivor = fixture.start();
    let suspended = fixture.start();
    let mut measured = Vec::new();
    for round in 0..ROUNDS {
        fixture.wait_until_they_work(&[&survivor, &suspended]);
        // At its worst it is suspended in the middle of a transaction, holding locks.
        let in_transaction = round % 2 == 1;
        let began = if in_transaction {
            suspend_in_transaction(&mut fixture, &suspended)
        } else {
            suspend(&suspended)
        };
        fixture.wait_until_they_work(&[&survivor]);
        measured.push((began.elapsed(), in_transaction));
        suspended.signal("CONT");
    }
    fixture.wait_until_they_work(&[&survivor, &suspended]);
    report("from suspension (in a transaction?) until the survivor handles everything", &measured);
    assert!(measured.iter().all(|(took, _)| *took <= BOUND), "{measured:?} is beyond {BOUND:?}");
    fixture.end();
    terminate(suspended);
}

fn terminate(process: Running) {
    process.signal("TERM");
    assert_eq!(process.wait(Duration::from_secs(10)), Some(0));
}

fn suspend(process: &Running) -> Instant {
    process.signal("STOP");
    now()
}

/// Suspends the process again and again until it was hit in the middle of a transaction.
fn suspend_in_transaction(fixture: &mut Fixture, process: &Running) -> Instant {
    let mut began = now();
    wait_until("the process is hit in the middle of a transaction", Duration::from_secs(60), || {
        began = suspend(process);
        // The transactions of the others are over long before.
        let rows = fixture.session.rows(
            "SELECT pg_sleep(0.1);
             SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'
               AND application_name = 'kennel' AND state_change < clock_timestamp() - interval '90 ms'",
        );
        let hit = rows.last().is_some_and(|count| count != "0");
        if !hit {
            process.signal("CONT");
        }
        hit
    });
    began
}
