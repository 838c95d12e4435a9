//! Up to where a log is complete, although its writers commit in any order. A pure state machine: what
//! it needs to know of the database is asked for by [`Question`]s and passed in as answers.
//!
//! The problem. A writer draws its position from a sequence when it inserts and becomes visible when it
//! commits. So position 12 can be visible while 11 is still open; a reader that goes on from 12 never
//! sees 11. Nor can it just wait for 11: a writer that rolled back leaves its position empty for
//! ever, and the two look the same.
//!
//! The rule.
//!
//! 1. Read the highest visible position M. A writer that holds a position at or below M has drawn it by now, because
//!    the sequence gives them out in order.
//! 2. *After that*, see that the log is fit for the rule: the positions come from one sequence, whose CACHE is 1
//!    (a session that caches numbers would use a low one later), and so on; `backend/postgres/log_watch.rs` has
//!    all of it. If it is not, nothing is settled.
//! 3. *After 1*, list the transactions that hold a `RowExclusiveLock` on the sequence, the events table or one of its
//!    partitions. `nextval` takes the lock on the sequence before it draws, and it is kept until the transaction
//!    ends. So a position at or below M that is not visible belongs to a transaction on this list, or to one
//!    that has ended. The order matters: listed before 1, a writer that comes in between would be missed.
//! 4. Once all on the list have ended, nothing at or below M can appear any more: M is the high-water mark.
//!    PostgreSQL makes a commit visible before it releases the locks, so a reader that reads after that sees what they
//!    wrote.
//!
//! Two short cuts. If no position is missing between the last high-water mark and M, nothing can appear there and
//! M is the high-water mark at once: the usual case, one query. And while a list has not run empty, the high-water mark
//! still advances to just below the first missing position.
//!
//! docs/design/high-water-mark.md has the proof.
//!
//! A list that waits for a writer that stays open does not hold up what came before that writer: every look begins a
//! list of its own (up to a bound), and each is settled by itself.

use std::collections::{BTreeSet, VecDeque};

use kennel_core::port::{Blocker, HighWaterMark};
use kennel_core::position::Position;

/// Lists that are waited for at the same time. Beyond, a look begins none: those there already are settle
/// as well, only a little later.
const LISTS_MAX: usize = 32;

/// Missing positions are searched within so many; farther ahead it is cheaper to ask for the writers.
pub(crate) const SEARCH_MAX: u64 = 20_000;

/// A transaction that writes to the events table. Its id is unique among those that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) transaction: String,
    pub(crate) blocker: Blocker,
}

/// What has to be found out next, after the highest visible position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Nothing: the high-water mark is known.
    Nothing,
    /// The first missing position after `after` and up to `upto`, if one is missing.
    FirstMissing { after: Position, upto: Position },
    /// Which transactions write now.
    Writers,
}

/// The known state of the log.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// Everything at or below is settled.
    settled: Position,
    head: Position,
    /// Lists that have not run empty: oldest, and lowest, first.
    lists: VecDeque<List>,
    blockers: Vec<Blocker>,
}

/// All at or below `upto` is settled once these transactions have ended.
#[derive(Debug)]
struct List {
    upto: Position,
    open: BTreeSet<String>,
}

impl Tracker {
    /// Begins at a position that is known to be settled: every stored checkpoint is, since no
    /// projection ever went beyond a high-water mark.
    pub(crate) fn starting_at(settled: Position) -> Self {
        Self { settled, head: settled, ..Self::default() }
    }

    /// The highest visible position is `head`.
    pub(crate) fn look(&mut self, head: Position) -> Question {
        self.head = self.head.max(head);
        if self.head <= self.settled {
            self.settle(self.head);
            return Question::Nothing;
        }
        if self.head.distance_from(self.settled) > SEARCH_MAX {
            return Question::Writers;
        }
        Question::FirstMissing { after: self.settled, upto: self.head }
    }

    /// The answer to [`Question::FirstMissing`].
    pub(crate) fn first_missing(&mut self, missing: Option<Position>) -> Question {
        match missing {
            None => {
                self.settle(self.head);
                Question::Nothing
            }
            Some(missing) => {
                self.settle(missing.before());
                Question::Writers
            }
        }
    }

    /// The answer to [`Question::Writers`].
    pub(crate) fn writers(&mut self, writers: Vec<Writer>) {
        let open: BTreeSet<&str> = writers.iter().map(|writer| writer.transaction.as_str()).collect();
        for list in &mut self.lists {
            list.open.retain(|transaction| open.contains(transaction.as_str()));
        }
        let begun = self.lists.back().map_or(self.settled, |list| list.upto);
        if self.head > begun && self.lists.len() < LISTS_MAX {
            let open = open.iter().map(|transaction| (*transaction).to_owned()).collect();
            self.lists.push_back(List { upto: self.head, open });
        }
        // A later list may run empty before an earlier one only if the earlier one's writers have ended as
        // well: a writer that is open now and was open then is on both.
        let done = self.lists.iter().filter(|list| list.open.is_empty()).map(|list| list.upto).max();
        self.settle(done.unwrap_or(self.settled));
        let waited_for = self.lists.front();
        self.blockers = writers
            .into_iter()
            .filter(|writer| waited_for.is_some_and(|list| list.open.contains(&writer.transaction)))
            .map(|writer| writer.blocker)
            .collect();
    }

    /// Whether a list has not run empty.
    pub(crate) fn waits(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Up to where the log is complete.
    pub(crate) fn high_water_mark(&self) -> HighWaterMark {
        let blockers = self.blockers.clone();
        HighWaterMark { position: self.settled, head: self.head, blockers, ..HighWaterMark::default() }
    }

    fn settle(&mut self, position: Position) {
        self.settled = self.settled.max(position);
        self.lists.retain(|list| list.upto > self.settled);
        if self.settled >= self.head {
            self.blockers.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    fn writers(names: &[&str]) -> Vec<Writer> {
        let writer = |name: &&str| Writer {
            transaction: (*name).to_owned(),
            blocker: Blocker {
                pid: Some(1),
                application: (*name).to_owned(),
                prepared: None,
                open_seconds: Some(0),
                advice: String::new(),
            },
        };
        names.iter().map(writer).collect()
    }

    /// Reports what the log looks like, as the database would answer.
    fn see(tracker: &mut Tracker, visible: &[u64], open: &[&str]) -> u64 {
        let head = at(visible.iter().copied().max().unwrap_or(0));
        let mut question = tracker.look(head);
        if let Question::FirstMissing { after, upto } = question {
            let missing = (after.get() + 1..=upto.get()).find(|position| !visible.contains(position));
            question = tracker.first_missing(missing.map(Position::new));
        }
        if question == Question::Writers {
            tracker.writers(writers(open));
        }
        tracker.high_water_mark().position.get()
    }

    #[test]
    fn without_gaps_the_head_is_the_high_water_mark() {
        let mut tracker = Tracker::default();
        assert_eq!(see(&mut tracker, &[], &[]), 0);
        assert_eq!(see(&mut tracker, &[1, 2, 3], &["someone"]), 3);
        assert_eq!(see(&mut tracker, &[1, 2, 3, 4], &["someone"]), 4);
        assert!(tracker.high_water_mark().blockers.is_empty());
    }

    #[test]
    fn a_gap_is_waited_for_until_its_writer_ends() {
        let mut tracker = Tracker::default();
        assert_eq!(see(&mut tracker, &[1, 3], &["slow", "other"]), 1);
        assert_eq!(tracker.high_water_mark().blockers.len(), 2);
        assert_eq!(see(&mut tracker, &[1, 3], &["slow"]), 1);
        assert_eq!(tracker.high_water_mark().blockers[0].application, "slow");
        // It commits: its event has to be below the high-water mark from now on.
        assert_eq!(see(&mut tracker, &[1, 2, 3], &[]), 3);
        // This one rolls back: its position stays empty.
        assert_eq!(see(&mut tracker, &[1, 2, 3, 5], &["slow"]), 3);
        assert_eq!(see(&mut tracker, &[1, 2, 3, 5], &[]), 5);
        assert_eq!(
            tracker.high_water_mark(),
            HighWaterMark { position: at(5), head: at(5), ..HighWaterMark::default() }
        );
    }

    #[test]
    fn a_newcomer_does_not_hold_up_what_came_before_it() {
        let mut tracker = Tracker::default();
        assert_eq!(see(&mut tracker, &[1, 3], &["slow"]), 1);
        // `slow` has ended; `long` came after 3 was visible, so it cannot hold 2.
        assert_eq!(see(&mut tracker, &[1, 3, 5], &["long"]), 3);
        assert_eq!(see(&mut tracker, &[1, 3, 5, 7], &["long", "late"]), 3);
        assert_eq!(tracker.high_water_mark().blockers[0].application, "long");
        assert_eq!(see(&mut tracker, &[1, 3, 5, 7], &["late"]), 5);
        assert_eq!(see(&mut tracker, &[1, 3, 5, 7], &[]), 7);
    }

    #[test]
    fn a_backend_that_begins_another_transaction_is_not_waited_for_again() {
        let mut tracker = Tracker::default();
        assert_eq!(see(&mut tracker, &[1, 3], &["3/100"]), 1);
        assert_eq!(see(&mut tracker, &[1, 3, 4], &["3/101"]), 3);
    }

    #[test]
    fn far_behind_the_writers_alone_are_asked_for() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.look(at(SEARCH_MAX + 1)), Question::Writers);
        tracker.writers(vec![]);
        assert_eq!(tracker.high_water_mark().position, at(SEARCH_MAX + 1));
        let mut tracker = Tracker::starting_at(at(50));
        assert_eq!(tracker.look(at(50)), Question::Nothing);
        assert_eq!(tracker.look(at(52)), Question::FirstMissing { after: at(50), upto: at(52) });
    }

    #[test]
    fn many_looks_during_one_open_writer_stay_bounded() {
        let mut tracker = Tracker::default();
        let mut visible = vec![1];
        for position in 3..500 {
            visible.push(position);
            assert_eq!(see(&mut tracker, &visible, &["long"]), 1);
            assert!(tracker.lists.len() <= LISTS_MAX);
        }
        see(&mut tracker, &visible, &["next"]);
        assert_eq!(see(&mut tracker, &visible, &[]), 499);
    }

    /// Random writers against the rule itself: nothing ever appears at or below a high-water mark that was reported.
    #[test]
    fn nothing_appears_below_the_high_water_mark() {
        for seed in 0..300_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut next = move |bound: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % bound
            };
            let mut tracker = Tracker::default();
            let (mut sequence, mut visible, mut reported) = (0, Vec::new(), 0);
            let mut open: Vec<(String, Vec<u64>)> = Vec::new();
            for step in 0..200 {
                match next(5) {
                    0 => open.push((format!("tx{step}"), Vec::new())),
                    1 | 2 if !open.is_empty() => {
                        sequence += 1;
                        let index = next(open.len() as u64) as usize;
                        open[index].1.push(sequence);
                    }
                    3 if !open.is_empty() => {
                        let (_, drawn) = open.swap_remove(next(open.len() as u64) as usize);
                        if next(4) > 0 {
                            assert!(
                                drawn.iter().all(|position| *position > reported),
                                "seed {seed} step {step}"
                            );
                            visible.extend(drawn);
                        }
                    }
                    _ => {
                        let names: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
                        let high_water_mark = see(&mut tracker, &visible, &names);
                        assert!(high_water_mark >= reported);
                        reported = high_water_mark;
                    }
                }
            }
            see(&mut tracker, &visible, &[]);
            assert_eq!(
                see(&mut tracker, &visible, &[]),
                visible.iter().copied().max().unwrap_or(0),
                "seed {seed}"
            );
        }
    }
}
