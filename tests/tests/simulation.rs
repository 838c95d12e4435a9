//! The engine in virtual time, with faults, from seeds: promises 1 to 3 hold for each of them.
//!
//! A seed that fails is run again alone, with its whole history, by `KENNEL_SIM_SEED=…`;
//! `KENNEL_SIM_FIRST` and `KENNEL_SIM_COUNT` choose other seeds than those of every day (`make soak`).

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use kennel_tests::sim::{self, Run};

const SEEDS: u64 = 600;
/// Lines of history that are printed when a seed fails.
const TAIL: usize = 80;
const COMPLAINTS_MAX: usize = 12;

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in 1..=12 {
        let (first, second) = (sim::run(seed), sim::run(seed));
        let differs = first.history.iter().zip(&second.history).position(|(one, other)| one != other);
        if let Some(line) = differs {
            let (one, other) = (&first.history[line], &second.history[line]);
            panic!("seed {seed}: line {line} is once\n{one}\nand once\n{other}");
        }
        assert_eq!(first.history.len(), second.history.len(), "seed {seed}");
        assert!(first.history.len() > 200, "seed {seed}: next to nothing happened");
    }
}

#[test]
fn the_promises_hold_for_some_hundreds_of_seeds() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let alone: Option<u64> = number("KENNEL_SIM_SEED");
    let first = alone.or_else(|| number("KENNEL_SIM_FIRST")).unwrap_or(1);
    let count = alone.map_or_else(|| number("KENNEL_SIM_COUNT").unwrap_or(SEEDS), |_| 1);
    let (failed, tally) = run_all(first, count);
    if let Some(run) = failed {
        panic!("{}", report(&run, if alone.is_some() { usize::MAX } else { TAIL }));
    }
    println!("\nseeds {first} to {}: {tally:?}", first + count - 1);
    if count >= SEEDS {
        // A simulation in which nothing goes wrong any more would prove nothing.
        for fault in FAULTS {
            let times = tally.get(fault).copied().unwrap_or(0);
            assert!(times >= count / 10, "{fault} came only {times} times in {count} seeds");
        }
        let aborted = tally.get("aborted cutovers").copied().unwrap_or(0);
        assert!(aborted >= count / 50, "cutovers were aborted only {aborted} times in {count} seeds");
    }
}

/// What has to happen again and again over the seeds.
const FAULTS: [&str; 33] = [
    "calls suspended",
    "cancels",
    "claims of fenced read models",
    "commits",
    "conflicts",
    "continues",
    "crashes",
    "dead letters",
    "rejected operations",
    "false notifications",
    "fenced commits",
    "suspensions",
    "generations",
    "halts",
    "begun cutovers",
    "late writes",
    "manual rebuilds",
    "manual promotions",
    "lost answers",
    "lost notifications",
    "lost requests",
    "operations that change nothing",
    "overtaken operations",
    "pauses",
    "rebuilds",
    "failed component loads",
    "resumes",
    "rollbacks",
    "ways back",
    "stops",
    "collected read models",
    "cutovers",
    "workers taken for dead",
];

/// Runs the seeds on all cores. The lowest that fails, and how often each fault came.
fn run_all(first: u64, count: u64) -> (Option<Run>, BTreeMap<&'static str, u64>) {
    let next = AtomicU64::new(first);
    let work = || {
        let mut tally: BTreeMap<&'static str, u64> = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= first + count {
                return (None, tally);
            }
            let run = sim::run(seed);
            run.tally.iter().for_each(|(&what, times)| *tally.entry(what).or_default() += times);
            if !run.complaints.is_empty() {
                next.store(first + count, Ordering::SeqCst);
                return (Some(run), tally);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let results: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a run that ends")).collect()
    });
    let mut failed: Option<Run> = None;
    let mut total = BTreeMap::new();
    for (run, tally) in results {
        tally.into_iter().for_each(|(what, times)| *total.entry(what).or_default() += times);
        if let Some(run) = run
            && failed.as_ref().is_none_or(|known| run.seed < known.seed)
        {
            failed = Some(run);
        }
    }
    (failed, total)
}

fn report(run: &Run, tail: usize) -> String {
    let mut text = format!("seed {} broke {} promises:\n", run.seed, run.complaints.len());
    for complaint in run.complaints.iter().take(COMPLAINTS_MAX) {
        writeln!(text, "  {complaint}").expect("a string can be written to");
    }
    let from = run.history.len().saturating_sub(tail);
    writeln!(text, "The last of {} lines of history:", run.history.len())
        .expect("a string can be written to");
    for line in &run.history[from..] {
        writeln!(text, "{line}").expect("a string can be written to");
    }
    write!(
        text,
        "Again, with the whole history: KENNEL_SIM_SEED={} cargo test -p kennel-tests --test simulation -- the_promises",
        run.seed
    )
    .expect("a string can be written to");
    text
}
