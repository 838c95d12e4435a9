//! The fixed hash rule, ranges of the hash space and partitions of it.
//!
//! The hash decides which worker handles an aggregate. Checkpoints in existing databases are bound
//! to it, so the rule can never change; the test vectors below pin it.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::name::ProjectionName;
use crate::projection::Partitioning;

/// Number of points in the hash space.
pub const HASH_SPACE: u64 = 1 << 32;

/// The hash of an aggregate id: the first four bytes of its MD5, big-endian.
///
/// MD5 is used because PostgreSQL has it built in, so that the database can select a partition's
/// events by itself; nothing here is about secrets.
#[must_use]
pub fn hash(aggregate_id: &str) -> u32 {
    let digest = Md5::digest(aggregate_id.as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// A half-open, non-empty range `[start, end)` of the hash space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HashRange {
    start: u64,
    end: u64,
}

impl HashRange {
    /// Everything.
    pub const ALL: Self = Self { start: 0, end: HASH_SPACE };

    /// The range `[start, end)`; `None` if it is empty or leaves the hash space.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end && end <= HASH_SPACE { Some(Self { start, end }) } else { None }
    }

    /// The first point inside.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// The first point after the range; at most [`HASH_SPACE`].
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Whether `point` lies inside.
    #[must_use]
    pub const fn contains(self, point: u32) -> bool {
        self.start <= point as u64 && (point as u64) < self.end
    }

    /// What both ranges cover.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// Partition `index` of `count`: `[index * 2^32 / count, (index + 1) * 2^32 / count)`.
    ///
    /// # Panics
    /// If `index` is not below `count`: no plan assigns such a partition.
    #[must_use]
    pub fn of_partition(index: u32, count: u32) -> Self {
        assert!(index < count, "partition {index} of {count} does not exist");
        let edge = |k: u32| u64::from(k) * HASH_SPACE / u64::from(count);
        Self { start: edge(index), end: edge(index + 1) }
    }
}

/// The one partition that handles a projection with `partitioning: single`. Spread by name, so that
/// many such projections do not all land on the same worker.
#[must_use]
pub fn of_single(projection: &ProjectionName, count: u32) -> u32 {
    let point = u64::from(hash(projection.as_str()));
    u32::try_from(point * u64::from(count) / HASH_SPACE).unwrap_or(0)
}

/// What the owner of partition `index` of `count` handles of a projection; `None` if nothing.
///
/// # Panics
/// If `index` is not below `count`: no plan assigns such a partition.
#[must_use]
pub fn share(
    partitioning: Partitioning,
    projection: &ProjectionName,
    index: u32,
    count: u32,
) -> Option<HashRange> {
    match partitioning {
        Partitioning::ByAggregate => Some(HashRange::of_partition(index, count)),
        Partitioning::Single => (of_single(projection, count) == index).then_some(HashRange::ALL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `SELECT ('x' || substr(md5(id), 1, 8))::bit(32)::bigint` in PostgreSQL gives the same.
    #[test]
    fn the_hash_rule_is_fixed() {
        for (id, expected) in [
            ("", 0xd41d_8cd9_u32),
            ("a", 0x0cc1_75b9),
            ("abc", 0x9001_5098),
            ("message digest", 0xf96b_697d),
            ("case-891", 0x9a0e_07b7),
        ] {
            assert_eq!(hash(id), expected, "{id}");
        }
    }

    #[test]
    fn a_projection_is_shared_out_or_has_one_owner() {
        let name: ProjectionName = "ledger".parse().unwrap();
        for count in 1..=9 {
            let shares = |partitioning| {
                let all = (0..count).map(|index| share(partitioning, &name, index, count));
                all.flatten().collect::<Vec<_>>()
            };
            let divided: Vec<_> = (0..count).map(|index| HashRange::of_partition(index, count)).collect();
            assert_eq!(shares(Partitioning::ByAggregate), divided);
            assert_eq!(shares(Partitioning::Single), [HashRange::ALL]);
        }
    }

    #[test]
    fn partitions_tile_the_hash_space() {
        for count in 1..=67 {
            let mut edge = 0;
            for index in 0..count {
                let range = HashRange::of_partition(index, count);
                assert_eq!(range.start(), edge);
                edge = range.end();
            }
            assert_eq!(edge, HASH_SPACE);
        }
    }
}
