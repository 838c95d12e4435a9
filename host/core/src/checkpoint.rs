//! How far each range of the hash space has been handled, for one read model.
//!
//! Checkpoints tile the hash space: every point lies in exactly one. A worker that takes over a
//! partition *claims* it: checkpoints that cross its edges are split there, and what lies inside
//! gets the worker's generation. Neighbors that reach the same position are *merged*. Both are pure
//! functions; stores only carry out what they say, inside one transaction.

use crate::membership::Generation;
use crate::partition::HashRange;
use crate::position::Position;
use crate::witness::Witness;

/// How far one range has been handled, and the generation that may move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    pub range: HashRange,
    /// Every event in the range up to and including this position has taken effect.
    pub position: Position,
    /// Only a worker of this generation may move the checkpoint.
    pub generation: Generation,
    /// The last event of the log at or below `position`, whichever range it belongs to; nothing if there is none.
    pub witness: Option<Witness>,
}

impl Checkpoint {
    /// The only checkpoint of a read model that is empty.
    pub const INITIAL: Self = Self {
        range: HashRange::ALL,
        position: Position::START,
        generation: Generation::NONE,
        witness: None,
    };
}

/// What a claim changes: rows to remove, rows to write instead, and the checkpoints that the claimant owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub removed: Vec<HashRange>,
    pub written: Vec<Checkpoint>,
    pub owned: Vec<Checkpoint>,
}

/// Claims `partition` for `generation`. `current` are the checkpoints that touch it.
///
/// Pieces that fall outside keep their position and generation: their owners may be at work. Owned
/// neighbors at one position become one row. Claiming twice changes nothing the second time.
#[must_use]
pub fn claim(current: &[Checkpoint], partition: HashRange, generation: Generation) -> Claim {
    let mut outside = Vec::new();
    let mut inside = Vec::new();
    let mut touched = Vec::new();
    for checkpoint in current {
        let Some(range) = checkpoint.range.intersection(partition) else { continue };
        touched.push(*checkpoint);
        inside.push(Checkpoint { range, generation, ..*checkpoint });
        let edges = [
            HashRange::new(checkpoint.range.start(), range.start()),
            HashRange::new(range.end(), checkpoint.range.end()),
        ];
        outside.extend(edges.into_iter().flatten().map(|range| Checkpoint { range, ..*checkpoint }));
    }
    let owned = merge(inside);
    let wanted: Vec<Checkpoint> = outside.into_iter().chain(owned.iter().copied()).collect();
    Claim {
        removed: touched.iter().filter(|row| !wanted.contains(row)).map(|row| row.range).collect(),
        written: wanted.into_iter().filter(|row| !touched.contains(row)).collect(),
        owned,
    }
}

/// Joins neighbors that have the same position and generation. The result is sorted by range.
#[must_use]
pub fn merge(mut checkpoints: Vec<Checkpoint>) -> Vec<Checkpoint> {
    checkpoints.sort_unstable();
    let mut merged: Vec<Checkpoint> = Vec::with_capacity(checkpoints.len());
    for next in checkpoints {
        if let Some(last) = merged.last_mut()
            && last.range.end() == next.range.start()
            && last.position == next.position
            && last.generation == next.generation
            && last.witness == next.witness
            && let Some(range) = HashRange::new(last.range.start(), next.range.end())
        {
            last.range = range;
        } else {
            merged.push(next);
        }
    }
    merged
}

/// Up to where the log is complete, with the last event there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub position: Position,
    pub witness: Option<Witness>,
}

/// The ranges that are furthest behind, where they are, and where to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    pub ranges: Vec<HashRange>,
    pub from: Position,
    pub upto: Mark,
}

/// The ranges to work on next: those that are furthest behind, and where to stop so that they can
/// merge with those ahead of them. `None` when nothing is owned.
#[must_use]
pub fn furthest_behind(owned: &[Checkpoint], high_water: Mark) -> Option<Behind> {
    let from = owned.iter().map(|checkpoint| checkpoint.position).min()?;
    let at = |position| owned.iter().filter(move |checkpoint| checkpoint.position == position);
    let next =
        owned.iter().filter(|checkpoint| checkpoint.position > from).min_by_key(|ahead| ahead.position);
    let next = next.map(|ahead| Mark { position: ahead.position, witness: ahead.witness });
    let upto = next.filter(|next| next.position < high_water.position).unwrap_or(high_water);
    // A log that was set back may end below what was handled.
    let here = at(from).next().map(|first| Mark { position: from, witness: first.witness });
    let upto = here.filter(|here| here.position > upto.position).unwrap_or(upto);
    Some(Behind { ranges: at(from).map(|checkpoint| checkpoint.range).collect(), from, upto })
}

/// Every event in `range` up to here has taken effect. `checkpoints` tile the hash space, in pieces that
/// may be finer or coarser than the range.
#[must_use]
pub fn handled(checkpoints: &[Checkpoint], range: HashRange) -> Position {
    let inside = checkpoints.iter().filter(|checkpoint| checkpoint.range.intersection(range).is_some());
    inside.map(|checkpoint| checkpoint.position).min().unwrap_or_default()
}

/// How far `follower` is behind `leader` where it is furthest behind, in positions. Both tile the hash space.
#[must_use]
pub fn behind(follower: &[Checkpoint], leader: &[Checkpoint]) -> u64 {
    let pairs = leader.iter().flat_map(|ahead| follower.iter().map(move |other| (ahead, other)));
    let meeting = pairs.filter(|(ahead, other)| ahead.range.intersection(other.range).is_some());
    meeting.map(|(ahead, other)| ahead.position.distance_from(other.position)).max().unwrap_or(0)
}

/// `owned` after the checkpoints at `ranges` have moved to a mark, merged.
#[must_use]
pub fn advance(owned: &[Checkpoint], ranges: &[HashRange], to: Mark) -> Vec<Checkpoint> {
    let Mark { position, witness } = to;
    let moved = owned.iter().map(|checkpoint| match ranges.contains(&checkpoint.range) {
        true => Checkpoint { position, witness, ..*checkpoint },
        false => *checkpoint,
    });
    merge(moved.collect())
}
