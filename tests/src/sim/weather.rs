//! What a seed decides once for its whole run: how much there is to do, how many share it, and which
//! faults there are. Every run draws only some of the faults, so that each also comes without the others.

use std::time::Duration;

use kennel_core::name::ReplicaSet;
use kennel_core::retry::RetryPolicy;
use kennel_engine::Options;

use super::dice::Dice;

/// The attempts that an event gets before it becomes a dead letter or halts its projection.
pub(super) const ATTEMPTS_MAX: u32 = 4;

/// The silence after which a worker is taken for dead.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(2);

/// All times are virtual, all chances out of a thousand.
#[derive(Clone, Debug)]
pub(super) struct Weather {
    pub(super) events: u64,
    /// Events that are in the log before the first process starts.
    pub(super) backlog: u64,
    pub(super) aggregates: u64,
    pub(super) append_gap: Duration,
    /// How long a writer holds its transaction open.
    pub(super) hold: Duration,
    pub(super) long_hold: u64,
    pub(super) rollback: u64,
    /// Events that a guest fails a few times, and events that it rejects.
    pub(super) flaky: u64,
    pub(super) rejected: u64,
    /// How long a guest works on an event.
    pub(super) call: Duration,
    pub(super) processes: u64,
    pub(super) chaos_steps: u64,
    pub(super) chaos_gap: Duration,
    pub(super) crash: u64,
    pub(super) leave: u64,
    pub(super) suspend: u64,
    /// How long a store call takes each way.
    pub(super) travel: Duration,
    pub(super) slow: u64,
    pub(super) lost_request: u64,
    pub(super) lost_answer: u64,
    /// Writes that take effect after their sender has abandoned them.
    pub(super) late: u64,
    pub(super) lost_notification: u64,
    pub(super) false_notification: u64,
    pub(super) batch: usize,
    pub(super) workers_max: u64,
    /// What an operator does to the projections, and at what pause.
    pub(super) operations: u64,
    pub(super) operation_gap: Duration,
    /// How long a component takes to load, and how often it cannot be loaded.
    pub(super) load: Duration,
    pub(super) load_failure: u64,
    /// Positions that writers draw and never use, all at once: whatever begins anew has far to go.
    pub(super) burnt: u64,
    /// Whether the run waits in the end until everything that is of no use has been removed.
    pub(super) patient: bool,
    options: Options,
}

impl Weather {
    pub(super) fn draw(dice: &mut Dice, replica_set: &ReplicaSet) -> Self {
        let mut sometimes = |permille: &[u64]| if dice.chance(600) { dice.pick(permille) } else { 0 };
        let (long_hold, rollback) = (sometimes(&[30]), sometimes(&[150]));
        let (flaky, rejected) = (sometimes(&[20, 60]), sometimes(&[40]));
        let (crash, leave, suspend) = (sometimes(&[100, 300]), sometimes(&[300]), sometimes(&[400]));
        let (slow, lost_request) = (sometimes(&[10, 40]), sometimes(&[5, 20, 80]));
        let (lost_answer, late) = (sometimes(&[5, 20, 80]), sometimes(&[5, 20, 80]));
        let (lost_notification, false_notification) = (sometimes(&[500]), sometimes(&[300]));
        let (operations, load_failure, burnt) =
            (sometimes(&[3, 8, 16]), sometimes(&[300]), sometimes(&[2500]));
        let events = dice.between(40, 160);
        let backlog = if dice.chance(300) { events / 2 } else { 0 };
        let (chaos_steps, chaos_gap) = (dice.between(5, 30), dice.pick(&[100, 400, 1500]));
        // Mostly there is something to do until the end. Two events go into an append on average.
        let steady = chaos_steps * chaos_gap * 2 / (events - backlog);
        let append_gap = if dice.chance(700) { steady } else { dice.pick(&[5, 50]) };
        let options = Options {
            host: "simulated".to_owned(),
            heartbeat_interval: Duration::from_millis(500),
            coordination_interval: Duration::from_millis(dice.between(100, 1000)),
            stale_after: STALE_AFTER,
            catalog_interval: Duration::from_secs(2),
            // Well below the time that all processes are given to recover.
            load_pause_max: Duration::from_secs(5),
            poll_min: Duration::from_millis(10),
            poll_max: Duration::from_millis(dice.between(100, 1000)),
            batch_duration_max: Duration::from_millis(dice.between(20, 250)),
            idle_commit_delay: Duration::from_millis(dice.between(50, 500)),
            retry: RetryPolicy {
                attempts_max: ATTEMPTS_MAX,
                pause_first: Duration::from_millis(20),
                pause_max: Duration::from_millis(500),
            },
            rebuild_share: dice.pick(&[0.1, 0.5, 1.0]),
            ..Options::new(replica_set.clone())
        };
        Self {
            events,
            backlog,
            aggregates: dice.between(2, 24),
            append_gap: Duration::from_millis(append_gap),
            hold: Duration::from_millis(dice.pick(&[5, 20, 100])),
            long_hold,
            rollback,
            flaky,
            rejected,
            call: Duration::from_millis(dice.pick(&[0, 2, 20])),
            processes: dice.between(1, 4),
            chaos_steps,
            chaos_gap: Duration::from_millis(chaos_gap),
            crash,
            leave,
            suspend,
            travel: Duration::from_millis(dice.pick(&[1, 5, 40])),
            slow,
            lost_request,
            lost_answer,
            late,
            lost_notification,
            false_notification,
            batch: usize::try_from(dice.pick(&[1, 3, 10, 1000])).unwrap_or(1),
            workers_max: dice.pick(&[1, 1, 3]),
            operations,
            operation_gap: Duration::from_millis(chaos_steps * chaos_gap / (2 * operations + 1)),
            load: Duration::from_millis(dice.pick(&[0, 50, 1000])),
            load_failure,
            burnt,
            patient: dice.chance(100),
            options,
        }
    }

    /// What a process is started with.
    pub(super) fn options(&self, process: u32, workers: usize) -> Options {
        Options { pid: process, workers, batch: Some(self.batch), ..self.options.clone() }
    }
}
