//! Processes are started, stopped, killed and suspended at random while events are appended, and the server
//! restarts: every event takes effect exactly once all the same. By itself in a test binary, since it
//! wants the whole machine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kennel_test_support::postgres::Cluster;
use kennel_tests::binary::{Running, now, wait_until};
use kennel_tests::events;
use kennel_tests::exactly_once::{ExactlyOnce, Numbering, Statistics, exactly_once, numbering, statistics};
use kennel_tests::random::Random;
use kennel_tests::replicas::Replicas;

const EVENTS: usize = 100_000;
const AGGREGATES: usize = 2_000;
/// Events that one `kennel append` writes.
const CHUNK: usize = 1_000;
const DISTURBANCES: usize = 30;
const PROCESSES_MAX: usize = 4;
const STALE_AFTER_SECONDS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    Start,
    Terminate,
    Kill,
    Suspend,
}

const ALL: [Disturbance; 4] =
    [Disturbance::Start, Disturbance::Terminate, Disturbance::Kill, Disturbance::Suspend];

/// The processes, and what has been done to them.
struct Fleet<'a> {
    replicas: &'a Replicas,
    cluster: Cluster,
    random: Random,
    running: Vec<Running>,
    /// Suspended ones, since when and for how long.
    suspended: Vec<(Running, Instant, Duration)>,
    done: Vec<Disturbance>,
    /// Suspended ones that went on after the others had taken them for dead.
    zombies: usize,
}

#[test]
fn everything_takes_effect_once_while_processes_come_and_go() {
    let cluster = Cluster::start();
    let replicas = Replicas::new(&cluster, &["audit-log", "timeline", "event-statistics"]);
    let replicas = replicas.stale_after(STALE_AFTER_SECONDS);
    let chunks = chunks(&replicas);
    // Chunks that may be appended: the events come throughout the disturbances, not all before them.
    let released = AtomicUsize::new(2);
    let taken = AtomicUsize::new(0);
    let mut fleet = Fleet::new(&replicas, cluster);
    std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..2).map(|_| scope.spawn(|| append_all(&replicas, &chunks, &taken, &released))).collect();
        for number in 1..=DISTURBANCES {
            fleet.disturb();
            if number == DISTURBANCES / 2 {
                fleet.cluster.restart();
            }
            released.store(2 + chunks.len() * number / DISTURBANCES, Ordering::SeqCst);
            fleet.wait_a_moment();
        }
        fleet.calm_down();
        let appended = || writers.iter().all(std::thread::ScopedJoinHandle::is_finished);
        wait_until("all is appended", Duration::from_secs(60), appended);
    });
    // Partitions that read and write the same few documents undo each other's batches, so `event-statistics`
    // is slow while many are at work: on a busy machine some hundred events a second.
    wait_until("everything is handled", Duration::from_secs(300), || replicas.caught_up());

    let expected = ExactlyOnce { events: EVENTS, aggregates: AGGREGATES, not_once: 0, out_of_order: 0 };
    assert_eq!(exactly_once(&replicas.kennel, "audit-log"), expected);
    let mut session = replicas.session(&fleet.cluster);
    let expected = Numbering { entries: EVENTS as u64, misnumbered: 0, misplaced: 0, unknown: 0 };
    assert_eq!(numbering(&mut session), expected);
    let expected = Statistics { event_types: 27, wrong_counts: 0, wrong_types: 0 };
    assert_eq!(statistics(&mut session), expected);
    fleet.report();
}

/// Files of events, each for one `kennel append`.
fn chunks(replicas: &Replicas) -> Vec<String> {
    let log = events::log(EVENTS as u64, AGGREGATES as u64);
    let lines: Vec<&str> = log.lines().collect();
    let file = |(number, lines): (usize, &[&str])| {
        let path = replicas.kennel.write(&format!("events-{number}.jsonl"), lines.join("\n"));
        path.to_str().expect("a UTF-8 path").to_owned()
    };
    lines.chunks(CHUNK).enumerate().map(file).collect()
}

/// Appends chunk after chunk. The server's restart breaks an append; running it again skips the events
/// that are there.
fn append_all(replicas: &Replicas, chunks: &[String], taken: &AtomicUsize, released: &AtomicUsize) {
    loop {
        let number = taken.fetch_add(1, Ordering::SeqCst);
        let Some(chunk) = chunks.get(number) else { return };
        wait_until("the chunk is released", Duration::from_secs(300), || {
            released.load(Ordering::SeqCst) > number
        });
        wait_until("the chunk is appended", Duration::from_secs(60), || {
            replicas.kennel.run(&["append", "--from", chunk]).code == Some(0)
        });
    }
}

impl<'a> Fleet<'a> {
    fn new(replicas: &'a Replicas, cluster: Cluster) -> Self {
        let random = Random::from_environment();
        let running = vec![replicas.start(2)];
        Self { replicas, cluster, random, running, suspended: Vec::new(), done: Vec::new(), zombies: 0 }
    }

    fn disturb(&mut self) {
        let disturbance = self.choose();
        self.done.push(disturbance);
        match disturbance {
            Disturbance::Start => self.running.push(self.replicas.start(2)),
            Disturbance::Kill => {
                // A suspended one can be killed as well.
                let of = self.running.len() + self.suspended.len();
                let index = self.draw(of);
                match index.checked_sub(self.running.len()) {
                    None => self.running.swap_remove(index).kill(),
                    Some(index) => self.suspended.swap_remove(index).0.kill(),
                }
            }
            Disturbance::Terminate => {
                let process = self.take_running();
                process.signal("TERM");
                let code = process.wait(Duration::from_secs(45));
                // 3: it was just starting while the server was away. 143: its grace was over.
                assert!(
                    matches!(code, Some(0 | 3 | 143)),
                    "a process that was asked to stop ended with {code:?}"
                );
            }
            Disturbance::Suspend => {
                let process = self.take_running();
                process.signal("STOP");
                // Longer than the time after which it counts as dead.
                let beyond = Duration::from_millis(500 + self.random.below(1_000));
                let long = Duration::from_secs(STALE_AFTER_SECONDS.into()) + beyond;
                self.suspended.push((process, now(), long));
            }
        }
    }

    /// By chance, but every third time what has been done least, so that each happens.
    fn choose(&mut self) -> Disturbance {
        let count = self.running.len() + self.suspended.len();
        let possible: Vec<Disturbance> = ALL
            .into_iter()
            .filter(|disturbance| match disturbance {
                Disturbance::Start => count < PROCESSES_MAX,
                Disturbance::Kill => count > 1,
                Disturbance::Terminate => count > 1 && !self.running.is_empty(),
                Disturbance::Suspend => !self.running.is_empty(),
            })
            .collect();
        let times = |disturbance: &Disturbance| self.times(*disturbance);
        match possible.iter().copied().min_by_key(times) {
            Some(rarest) if self.done.len() % 3 == 2 => rarest,
            _ => self.random.one_of(&possible),
        }
    }

    fn times(&self, disturbance: Disturbance) -> usize {
        self.done.iter().filter(|done| **done == disturbance).count()
    }

    fn draw(&mut self, of: usize) -> usize {
        usize::try_from(self.random.below(of as u64)).expect("an index")
    }

    fn take_running(&mut self) -> Running {
        let index = self.draw(self.running.len());
        self.running.swap_remove(index)
    }

    /// Lets pass up to 1.2 s, and suspended processes go on when their time has come.
    fn wait_a_moment(&mut self) {
        let until = now() + Duration::from_millis(200 + self.random.below(1_000));
        wait_until("the moment passes", Duration::from_secs(60), || {
            self.continue_();
            now() >= until
        });
    }

    fn continue_(&mut self) {
        let (over, still) = std::mem::take(&mut self.suspended)
            .into_iter()
            .partition(|(_, since, long)| since.elapsed() >= *long);
        self.suspended = still;
        let over: Vec<(Running, Instant, Duration)> = over;
        for (process, ..) in over {
            let known = format!("SELECT count(*) FROM kennel.worker WHERE pid = {}", process.pid());
            let taken_for_dead = self.cluster.sql(&self.replicas.database, &known) == "0";
            self.zombies += usize::from(taken_for_dead);
            process.signal("CONT");
            self.running.push(process);
        }
    }

    /// No disturbances any more: the suspended processes go on, and two processes at least are there.
    fn calm_down(&mut self) {
        wait_until("the suspended processes go on", Duration::from_secs(10), || {
            self.continue_();
            self.suspended.is_empty()
        });
        while self.running.len() < 2 {
            self.running.push(self.replicas.start(2));
        }
    }

    /// Says what was done, and demands that it was enough to prove anything.
    #[expect(
        clippy::print_stderr,
        reason = "what a chaos test has covered is of interest when it passes, too"
    )]
    fn report(&self) {
        let times = ALL.map(|disturbance| (disturbance, self.times(disturbance)));
        eprintln!("disturbances: {times:?}, and the server restarted; {} zombies went on", self.zombies);
        assert!(times.iter().all(|(_, times)| *times >= 3), "too little of some: {times:?}");
        assert!(self.zombies > 0, "no process was taken for dead while suspended");
    }
}
