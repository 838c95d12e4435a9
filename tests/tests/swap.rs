//! New code takes over from old code under load, again and again: no event is missed or handled twice, and no
//! partition stops for it. Real time, so these tests take turns, and are a test binary by themselves.
//!
//! The two versions count events in different fields, so that the documents show which of them handled each
//! event. The database records by itself when a partition moved on.

#![expect(clippy::print_stdout, reason = "figures are what these tests are for")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kennel_core::partition;
use kennel_tests::binary::wait_until;
use kennel_tests::database::Database;
use kennel_tests::fixture::{Family, Fixture, Judgement, NAME, WORKERS, digest, judge, running, timed};
use kennel_tests::load::Load;
use kennel_tests::metrics::Served;

const SWAPS: usize = 50;
/// After so many swaps, one deployment is requested that changes nothing: the work of the command without a swap.
const SWAPS_PER_CONTROL: usize = 2;
const EVENTS_PER_SECOND: u64 = 2_000;
/// Points of the hash space in each partition.
const PARTITION: u64 = (1 << 32) / WORKERS as u64;
/// Deployments that change nothing before anything is measured.
const WARM_UP: usize = 3;
/// What a swap may add to the longest standstill that there is without one, and to the usual one.
const BOUND: Duration = Duration::from_millis(100);
/// What else happens on the machine may spoil a round, or show in those deployments that change nothing. A swap that
/// waits for something spoils all rounds.
const ROUNDS_MAX: usize = 4;
const SOON: Duration = Duration::from_secs(20);

/// From one deployment to the next, by the database's clock in microseconds.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: u64,
    to: u64,
}

/// The components that are swapped, and where.
struct Play<'a> {
    fixture: &'a Fixture,
    database: Database,
    processes: Vec<Served>,
    /// The components with their digests; the first of them serves.
    serving: (String, String),
    waiting: (String, String),
    swaps: usize,
    /// How long after the end of the command all processes ran the new code, in seconds.
    converged: Vec<f64>,
    /// The longest standstill around any deployment that changed nothing.
    control_max: Duration,
}

/// What was measured in one round.
struct Round {
    controls: Vec<Window>,
    swaps: Vec<Window>,
}

#[test]
fn fifty_swaps_under_load_leave_no_gap_on_postgres() {
    check(&Fixture::postgres());
}

#[test]
fn fifty_swaps_under_load_leave_no_gap_on_sqlite() {
    check(&Fixture::sqlite());
}

fn check(fixture: &Fixture) {
    static TURN: Mutex<()> = Mutex::new(());
    let _alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut play = Play::begin(fixture);
    let load = Load::start(fixture.database(), EVENTS_PER_SECOND, 0);
    // The processes have just begun: what they do for the first time takes longer.
    for _ in 0..WARM_UP {
        play.deploy(false);
    }
    let began = play.database.now();
    let mut kept = false;
    for round in 1..=ROUNDS_MAX {
        let played = play.round();
        kept = play.measure(round, &played);
        if kept {
            break;
        }
    }
    let took = play.database.now() - began;
    let events = load.end();
    wait_until("everything is handled", SOON, || play.database.lag(NAME) == 0);
    println!(
        "{}: {} swaps and {events} events in {:.1} s",
        fixture.kind(),
        play.swaps,
        Duration::from_micros(took).as_secs_f64()
    );
    let head = play.database.head();
    let judgement = judge(&mut play.database, head);
    let Judgement { by_the_second, .. } = judgement;
    assert_eq!(judgement, Judgement { events, not_once: 0, by_the_second, out_of_order: 0 });
    // Every partition was handled by one version, then the other, and so on, with each swap just once.
    assert_eq!(version_changes(&mut play.database), [play.swaps; WORKERS]);
    assert!(
        kept,
        "swaps held up a partition by more than {BOUND:?} in each of {ROUNDS_MAX} rounds: see above"
    );
}

impl<'a> Play<'a> {
    /// Deploys both versions, so that both are compiled, and starts the processes.
    fn begin(fixture: &'a Fixture) -> Self {
        let [first, second] = [Family::First, Family::Second].map(|family| {
            let file = fixture.component(family, 0);
            let digest = digest(&file);
            (file, digest)
        });
        for (file, _) in [&second, &first] {
            fixture.kennel.ok(&["deploy", NAME, file]);
        }
        let mut database = fixture.database();
        record_moves(&mut database);
        let processes = fixture.start();
        Self {
            fixture,
            database,
            processes,
            serving: first,
            waiting: second,
            swaps: 0,
            converged: Vec::new(),
            control_max: Duration::ZERO,
        }
    }

    fn round(&mut self) -> Round {
        let mut round = Round { controls: Vec::new(), swaps: Vec::new() };
        for number in 1..=SWAPS {
            std::mem::swap(&mut self.serving, &mut self.waiting);
            round.swaps.push(self.deploy(true));
            self.swaps += 1;
            if number % SWAPS_PER_CONTROL == 0 {
                round.controls.push(self.deploy(false));
            }
        }
        round
    }

    /// Deploys the component that is to serve, and waits until it does in every partition.
    fn deploy(&mut self, changes: bool) -> Window {
        let from = self.database.now();
        let reported = self.fixture.kennel.json(&["deploy", NAME, &self.serving.0, "--json"]);
        assert_eq!(reported["changed"], changes, "{reported}");
        let (processes, wanted) = (&self.processes, &self.serving.1);
        let ((), seconds) = timed(|| {
            wait_until("all processes run the new code", SOON, || {
                processes.iter().all(|process| running(process) == [wanted.as_str()])
            });
        });
        if changes {
            self.converged.push(seconds);
        }
        self.wait_until_all_move();
        Window { from, to: self.database.now() }
    }

    /// Waits until every partition is beyond the present head of the log.
    fn wait_until_all_move(&mut self) {
        let head = self.database.head();
        let database = &mut self.database;
        wait_until("every partition moves on", SOON, || {
            let positions = database.positions(NAME);
            // A partition may consist of several ranges, if there were other partitions before.
            let edges = positions.iter().filter(|[start, _]| start % PARTITION == 0).count();
            edges == WORKERS && positions.iter().all(|[_, position]| *position > head)
        });
    }

    /// Reports the longest standstills of a round; whether the bound was kept.
    fn measure(&mut self, number: usize, round: &Round) -> bool {
        let moves = moves(&mut self.database);
        let longest = |windows: &[Window]| {
            let mut gaps: Vec<Duration> = windows.iter().map(|window| standstill(&moves, *window)).collect();
            gaps.sort_unstable();
            (gaps[gaps.len() / 2], gaps[gaps.len() - 1])
        };
        let ((usual, control), (median, swap)) = (longest(&round.controls), longest(&round.swaps));
        let kind = self.fixture.kind();
        self.converged.sort_by(f64::total_cmp);
        let (late, latest) =
            (self.converged[self.converged.len() / 2], self.converged[self.converged.len() - 1]);
        println!(
            "{kind}, round {number}: longest standstill of any partition (median, maximum): around a deployment that \
             changes nothing {usual:?}, {control:?}; around a swap {median:?}, {swap:?}. From the end of the command until \
             all run the new code: {late:.3} s, {latest:.3} s"
        );
        self.control_max = self.control_max.max(control);
        median <= usual + BOUND && swap <= self.control_max + BOUND
    }
}

/// Has the database record whenever a range moves on.
fn record_moves(database: &mut Database) {
    let (clock, checkpoint) = (database.clock(), database.own("checkpoint"));
    database.rows("CREATE TABLE move (range_start BIGINT NOT NULL, at BIGINT NOT NULL)");
    let record = format!("INSERT INTO move VALUES (NEW.range_start, {clock})");
    let after = format!("CREATE TRIGGER record_move AFTER UPDATE ON {checkpoint} FOR EACH ROW");
    let moved = "WHEN (NEW.position > OLD.position)";
    let sql = match database {
        Database::Postgres(_) => format!(
            "CREATE FUNCTION record_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {record}; RETURN NULL; END $$;
             {after} {moved} EXECUTE FUNCTION record_move()"
        ),
        Database::Sqlite(_) => format!("{after} {moved} BEGIN {record}; END"),
    };
    database.rows(&sql);
}

/// When each partition moved on.
fn moves(database: &mut Database) -> BTreeMap<u64, Vec<u64>> {
    let mut moves: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for [start, at] in database.tuples("SELECT range_start, at FROM move ORDER BY at") {
        moves.entry(start / PARTITION).or_default().push(at);
    }
    assert_eq!(moves.len(), WORKERS, "as many partitions as workers");
    moves
}

/// The longest time without a move of any partition, among those that touch the window.
fn standstill(moves: &BTreeMap<u64, Vec<u64>>, window: Window) -> Duration {
    let gaps = moves.values().flat_map(|times| times.windows(2));
    let inside = gaps.filter(|gap| gap[1] >= window.from && gap[0] <= window.to);
    Duration::from_micros(inside.map(|gap| gap[1] - gap[0]).max().unwrap_or(u64::MAX))
}

/// How often the version that handles a partition's events changes, from each event to the next.
fn version_changes(database: &mut Database) -> [usize; WORKERS] {
    let events = database.view(NAME, "events");
    let rows = database.rows(&format!(
        "SELECT e.aggregate_id, CASE WHEN d.document->>'tally' IS NULL THEN 1 ELSE 2 END
         FROM events e JOIN {events} d ON d.key = CAST(e.event_id AS TEXT) ORDER BY e.global_position"
    ));
    let mut last = [None; WORKERS];
    let mut changes = [0; WORKERS];
    for row in &rows {
        let (aggregate, version) = row.split_once('|').expect("two columns");
        let partition = u64::from(partition::hash(aggregate)) / PARTITION;
        let partition = usize::try_from(partition).expect("an index");
        if last[partition].is_some_and(|last| last != version) {
            changes[partition] += 1;
        }
        last[partition] = Some(version);
    }
    changes
}
