//! What everything in a simulated run shares: the clock, the dice, the history, and a list of complaints.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::dice::Dice;
use super::invariants::Invariants;
use super::weather::Weather;

/// One run.
#[derive(Debug)]
pub(super) struct World {
    began: Instant,
    dice: Mutex<Dice>,
    history: Mutex<Vec<String>>,
    complaints: Mutex<Vec<String>>,
    invariants: Mutex<Invariants>,
    tally: Mutex<BTreeMap<&'static str, u64>>,
    calm: AtomicBool,
    /// Requests that are still on their way although their senders have abandoned them.
    pub(super) straying: AtomicUsize,
    pub(super) weather: Weather,
}

impl World {
    pub(super) fn new(dice: Dice, weather: Weather) -> Self {
        Self {
            began: Instant::now(),
            dice: Mutex::new(dice),
            history: Mutex::default(),
            complaints: Mutex::default(),
            invariants: Mutex::default(),
            tally: Mutex::default(),
            calm: AtomicBool::new(false),
            straying: AtomicUsize::new(0),
            weather,
        }
    }

    pub(super) fn dice(&self) -> MutexGuard<'_, Dice> {
        lock(&self.dice)
    }

    /// A time up to this one, in whole milliseconds: tokio's timers know no less.
    pub(super) fn up_to(&self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.dice().between(0, longest))
    }

    /// A throw that always fails once the weather is calm.
    pub(super) fn fault(&self, permille: u64) -> bool {
        !self.is_calm() && self.dice().chance(permille)
    }

    /// From now on there are no more faults.
    pub(super) fn calm_down(&self) {
        self.note("world", "calm");
        self.calm.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// Adds a line to the history.
    pub(super) fn note(&self, who: &str, what: &str) {
        let at = self.began.elapsed();
        lock(&self.history).push(format!("{:6}.{:03} {who} {what}", at.as_secs(), at.subsec_millis()));
    }

    /// Counts something, so that a test can see that a fault really happens.
    pub(super) fn count(&self, what: &'static str) {
        *lock(&self.tally).entry(what).or_default() += 1;
    }

    /// Something is not as it must be.
    pub(super) fn complain(&self, complaint: String) {
        self.note("world", &format!("COMPLAINT {complaint}"));
        lock(&self.complaints).push(complaint);
    }

    /// Checks something against the invariants; a broken one is a complaint.
    pub(super) fn judge(&self, judge: impl FnOnce(&mut Invariants) -> Result<(), String>) {
        let checked = self.invariants(judge);
        if let Err(complaint) = checked {
            self.complain(complaint);
        }
    }

    /// Looks into the invariants' own record of the run, or adds to it.
    pub(super) fn invariants<T>(&self, look: impl FnOnce(&mut Invariants) -> T) -> T {
        look(&mut lock(&self.invariants))
    }

    /// History, complaints and counts, at the end.
    pub(super) fn records(&self) -> (Vec<String>, Vec<String>, BTreeMap<&'static str, u64>) {
        let take = |lines: &Mutex<Vec<String>>| std::mem::take(&mut *lock(lines));
        (take(&self.history), take(&self.complaints), std::mem::take(&mut *lock(&self.tally)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
