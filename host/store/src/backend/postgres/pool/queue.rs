//! Who gets the next connection, and whether another is to be made. No I/O: everything is decided under one lock.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use kennel_core::port::ConnectionUsage;
use kennel_core::projection::ReadModelId;
use kennel_core::retry::Backoff;
use sqlx::PgConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::lease::{Idle, Lease};
use super::{AGE_MAX, IDLE_MAX, is_denial, said};

/// After a denial the server is asked again after so long, and then after twice as long each time.
const DENIED_PAUSE_MIN: Duration = Duration::from_secs(1);
const DENIED_PAUSE_MAX: Duration = Duration::from_secs(30);
/// A shorter wait does not count.
const WAITED_MIN: Duration = Duration::from_millis(10);

/// A waiting task. Those that work on no read model have no owner.
pub(super) struct Waiting {
    pub(super) owner: Option<ReadModelId>,
    pub(super) since: Instant,
    pub(super) give: oneshot::Sender<Result<Lease, sqlx::Error>>,
}

pub(super) struct State {
    connections_max: usize,
    /// The one that was given back last is the last.
    idle: Vec<Idle>,
    /// Idle, lent, and being made.
    open: usize,
    making: usize,
    pub(super) waiting: VecDeque<Waiting>,
    /// Connections that are lent to read models.
    lent: HashMap<ReadModelId, usize>,
    denial: Option<Denial>,
    denied: u64,
    waits: u64,
    closed: bool,
}

struct Denial {
    said: String,
    /// No other connection is asked for before.
    until: Instant,
    backoff: Backoff,
}

impl State {
    pub(super) fn new(connections_max: usize) -> Self {
        Self {
            connections_max,
            idle: Vec::new(),
            open: 0,
            making: 0,
            waiting: VecDeque::new(),
            lent: HashMap::new(),
            denial: None,
            denied: 0,
            waits: 0,
            closed: false,
        }
    }

    pub(super) const fn open(&self) -> usize {
        self.open
    }

    pub(super) const fn connections_max(&self) -> usize {
        self.connections_max
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// A connection that was made elsewhere. There may be no room for it.
    pub(super) fn take_in(&mut self, connection: PgConnection, now: Instant) {
        let idle = Idle { connection, born: now, since: now };
        if self.open >= self.connections_max {
            return idle.close();
        }
        self.open += 1;
        self.idle.push(idle);
    }

    /// The next to be served, and with what. Of the waiting tasks, those come first whose read model has the fewest;
    /// among them, the one that asked first.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Waiting, Idle)> {
        self.waiting.retain(|waiting| !waiting.give.is_closed());
        self.shed(now);
        if self.idle.is_empty() {
            return None;
        }
        let share = self.share_max();
        let has = |waiting: &Waiting| waiting.owner.map_or(0, |owner| self.has(owner));
        let fair =
            self.waiting.iter().enumerate().map(|(index, waiting)| (has(waiting), index, waiting.owner));
        let (_, index, owner) = fair
            .filter(|(has, _, owner)| owner.is_none() || *has < share)
            .min_by_key(|(has, index, _)| (*has, *index))?;
        let (waiting, idle) = (self.waiting.remove(index)?, self.idle.pop()?);
        if let Some(owner) = owner {
            *self.lent.entry(owner).or_default() += 1;
        }
        Some((waiting, idle))
    }

    fn has(&self, owner: ReadModelId) -> usize {
        self.lent.get(&owner).copied().unwrap_or(0)
    }

    /// Most connections of one read model: one is left to all others, and half of them if there are others that want
    /// some. Whatever keeps its statements from ending keeps no other read model from going on.
    fn share_max(&self) -> usize {
        let all = if self.denial.is_some() { self.open - self.making } else { self.connections_max };
        let waiting = self.waiting.iter().filter_map(|waiting| waiting.owner);
        let owners: BTreeSet<ReadModelId> = self.lent.keys().copied().chain(waiting).collect();
        let most = if owners.len() > 1 { all / 2 } else { all.saturating_sub(1) };
        most.max(1)
    }

    /// How many more connections are to be made for the waiting tasks.
    pub(super) fn wanted(&self, now: Instant) -> usize {
        // With none at all, every request has the server asked.
        let may = self.open == 0 || self.denial.as_ref().is_none_or(|denial| now >= denial.until);
        if self.closed || !may {
            return 0;
        }
        // Tasks that may not have more are not counted: they do not need more to be made.
        let share = self.share_max();
        let may_have = |waiting: &&Waiting| waiting.owner.is_none_or(|owner| self.has(owner) < share);
        let waiting = self.waiting.iter().filter(may_have).count();
        waiting.saturating_sub(self.making).min(self.connections_max.saturating_sub(self.open))
    }

    pub(super) fn begin_making(&mut self) {
        self.open += 1;
        self.making += 1;
    }

    pub(super) fn made(&mut self, connection: PgConnection, now: Instant) {
        self.making -= 1;
        self.denial = None;
        if self.closed {
            self.open -= 1;
            return;
        }
        self.idle.push(Idle { connection, born: now, since: now });
    }

    /// A connection could not be made. Returns whether the server begins to deny with this.
    pub(super) fn not_made(&mut self, error: &sqlx::Error, now: Instant) -> bool {
        self.making -= 1;
        self.open -= 1;
        let denied = is_denial(error);
        let begins = denied && self.denial.is_none();
        if denied {
            self.denied += 1;
            let fresh = || Backoff::new(DENIED_PAUSE_MIN, DENIED_PAUSE_MAX);
            let mut backoff = self.denial.take().map_or_else(fresh, |denial| denial.backoff);
            self.denial = Some(Denial { said: said(error), until: now + backoff.next_pause(), backoff });
        }
        // No task is going to give one back, or the server is away: there is nothing to wait for.
        if !denied || self.open == 0 {
            for waiting in self.waiting.drain(..) {
                let _ = waiting.give.send(Err(copy(error)));
            }
        }
        begins
    }

    /// A connection that was lent comes back.
    pub(super) fn put_back(&mut self, owner: Option<ReadModelId>, idle: Idle) {
        self.not_lent(owner);
        if self.closed || idle.born.elapsed() > AGE_MAX {
            self.open -= 1;
            idle.close();
            return;
        }
        self.idle.push(idle);
    }

    /// A connection that was lent is gone.
    pub(super) fn gone(&mut self, owner: Option<ReadModelId>) {
        self.not_lent(owner);
        self.open -= 1;
    }

    fn not_lent(&mut self, owner: Option<ReadModelId>) {
        let Some(owner) = owner else { return };
        if let Some(lent) = self.lent.get_mut(&owner) {
            *lent -= 1;
            if *lent == 0 {
                self.lent.remove(&owner);
            }
        }
    }

    /// Closes what has been idle for long: others may be denied a connection.
    fn shed(&mut self, now: Instant) {
        while self.idle.len() > 1 && self.idle.first().is_some_and(|idle| now - idle.since > IDLE_MAX) {
            self.open -= 1;
            self.idle.remove(0).close();
        }
    }

    pub(super) fn discard_idle(&mut self) {
        self.open -= self.idle.len();
        self.idle.clear();
    }

    pub(super) fn waited(&mut self, long: Duration) {
        self.waits += u64::from(long >= WAITED_MIN);
    }

    /// Ends all waiting; returns the idle connections.
    pub(super) fn close(&mut self) -> Vec<PgConnection> {
        self.closed = true;
        self.waiting.clear();
        self.open -= self.idle.len();
        self.idle.drain(..).map(|idle| idle.connection).collect()
    }

    pub(super) fn usage(&self, now: Instant) -> ConnectionUsage {
        let waiting = self.waiting.iter().filter(|waiting| !waiting.give.is_closed());
        let since = waiting.clone().map(|waiting| waiting.since).min();
        ConnectionUsage {
            max: self.connections_max,
            open: self.open - self.making,
            in_use: self.open - self.making - self.idle.len(),
            waiting: waiting.count(),
            longest_wait: since.map_or(Duration::ZERO, |since| now - since),
            waits: self.waits,
            denied: self.denied,
            denial: self.denial.as_ref().map(|denial| denial.said.clone()),
        }
    }
}

/// The same error for every waiting task.
fn copy(error: &sqlx::Error) -> sqlx::Error {
    let kind = match error {
        sqlx::Error::Io(error) => error.kind(),
        _ => std::io::ErrorKind::Other,
    };
    sqlx::Error::Io(std::io::Error::new(kind, error.to_string()))
}
