//! Checkpoints against a naive model: for a sample of hash points, how far each has been handled and under which
//! generation. The sample holds every partition's edges, where mistakes would be.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use kennel_core::checkpoint::{Checkpoint, Mark, advance, behind, claim, furthest_behind, handled, merge};
use kennel_core::membership::Generation;
use kennel_core::partition::{HASH_SPACE, HashRange};
use kennel_core::position::Position;
use proptest::prelude::*;

const PARTITIONS_MAX: u32 = 9;

/// One generation: how many partitions it has, which of them are claimed, and how far their owners get.
#[derive(Clone, Debug)]
struct Round {
    partitions: u32,
    /// Bit `k` stands for partition `k`: a worker that is slow to claim leaves the old rows in place.
    claimed: u16,
    high_water_mark: u64,
    /// What share of the way, in percent, each step of work goes.
    steps: Vec<u64>,
}

fn round() -> impl Strategy<Value = Round> {
    let steps = prop::collection::vec(prop_oneof![Just(100), 0..=100_u64], 0..5);
    let parts = (1..=PARTITIONS_MAX, any::<u16>(), 0..200_u64, steps);
    parts.prop_map(|(partitions, claimed, high_water_mark, steps)| Round {
        partitions,
        claimed,
        high_water_mark,
        steps,
    })
}

/// Rows that tile the hash space in some pieces, with edges where others have theirs.
fn tiles() -> impl Strategy<Value = Vec<Checkpoint>> {
    let edge = prop_oneof![(1..8_u64).prop_map(|eighth| HASH_SPACE / 8 * eighth), 1..HASH_SPACE];
    let edges = prop::collection::btree_set(edge, 0..6);
    (edges, prop::collection::vec((0..4_u64, 0..3_u64), 7)).prop_map(|(edges, values)| {
        let starts = std::iter::once(0).chain(edges.iter().copied());
        let ends = edges.iter().copied().chain([HASH_SPACE]);
        let pieces = starts.zip(ends).zip(&values).map(|((start, end), (position, generation))| Checkpoint {
            range: HashRange::new(start, end).unwrap(),
            position: Position::new(*position),
            generation: Generation::new(*generation),
            witness: None,
        });
        pieces.collect()
    })
}

/// A table of checkpoints as a store keeps it, and what the model knows of each sampled point.
struct Table {
    rows: Vec<Checkpoint>,
    points: BTreeMap<u32, (Position, Generation)>,
}

impl Table {
    fn new(random_points: &[u32]) -> Self {
        let edges = (1..=PARTITIONS_MAX).flat_map(|count| {
            (0..count).map(move |index| HashRange::of_partition(index, count)).flat_map(|range| {
                let first = u32::try_from(range.start()).unwrap();
                let last = u32::try_from(range.end() - 1).unwrap();
                [first, first.saturating_add(1), last.saturating_sub(1), last]
            })
        });
        let initial = (Position::START, Generation::NONE);
        let points = edges.chain(random_points.iter().copied()).map(|point| (point, initial)).collect();
        Self { rows: vec![Checkpoint::INITIAL], points }
    }

    /// Claims as a store does, and checks the claim against the model.
    fn claim(&mut self, partition: HashRange, generation: Generation) -> Vec<Checkpoint> {
        let touching: Vec<Checkpoint> =
            self.rows.iter().copied().filter(|row| row.range.intersection(partition).is_some()).collect();
        let claimed = claim(&touching, partition, generation);
        assert_eq!(
            claimed,
            claim(&self.rows, partition, generation),
            "rows that do not touch change nothing"
        );

        for range in &claimed.removed {
            assert!(self.rows.iter().any(|row| row.range == *range), "{range:?} is removed but not there");
        }
        self.rows.retain(|row| !claimed.removed.contains(&row.range));
        self.rows.extend(&claimed.written);
        for (point, (_, owner)) in &mut self.points {
            if partition.contains(*point) {
                *owner = generation;
            }
        }
        self.check();
        assert_covers(&claimed.owned, partition);
        assert_maximal(&claimed.owned);
        for row in &claimed.owned {
            assert!(self.rows.contains(row), "owned, but not stored: {row:?}");
        }

        let second = claim(&self.rows, partition, generation);
        assert_eq!((second.removed.len(), second.written.len()), (0, 0), "a second claim changes nothing");
        assert_eq!(second.owned, claimed.owned);
        claimed.owned
    }

    /// Moves what lies inside `ranges`, as a commit does.
    fn commit(&mut self, ranges: &[HashRange], from: Position, to: Position, generation: Generation) {
        let inside = |row: HashRange| ranges.iter().any(|range| range.intersection(row) == Some(row));
        for row in self.rows.iter_mut().filter(|row| inside(row.range)) {
            assert_eq!((row.position, row.generation), (from, generation), "the fence would reject this");
            row.position = to;
        }
        for (point, (position, _)) in &mut self.points {
            if ranges.iter().any(|range| range.contains(*point)) {
                *position = to;
            }
        }
        self.check();
    }

    fn check(&self) {
        assert_covers(&in_order(&self.rows), HashRange::ALL);
        for (point, expected) in &self.points {
            let mut holding = self.rows.iter().filter(|row| row.range.contains(*point));
            let row = holding.next().expect("every point has a row");
            assert_eq!((row.position, row.generation), *expected, "at point {point}");
            assert_eq!(holding.next(), None, "point {point} lies in two rows");
        }
        for count in 1..=PARTITIONS_MAX {
            for range in (0..count).map(|index| HashRange::of_partition(index, count)) {
                let inside = self.points.iter().filter(|(point, _)| range.contains(**point));
                let expected = inside.map(|(_, (position, _))| *position).min();
                assert_eq!(Some(handled(&self.rows, range)), expected, "{range:?} of {:?}", self.rows);
            }
        }
    }
}

/// The rows in order: [`assert_covers`] looks at their edges only.
fn in_order(rows: &[Checkpoint]) -> Vec<Checkpoint> {
    let mut rows = rows.to_vec();
    rows.sort_unstable_by_key(|row| row.range.start());
    rows
}

/// The rows lie edge to edge, in order, from the start of `whole` to its end.
fn assert_covers(rows: &[Checkpoint], whole: HashRange) {
    let mut edge = whole.start();
    for row in rows {
        assert_eq!(row.range.start(), edge, "a gap or an overlap in {rows:?}");
        edge = row.range.end();
    }
    assert_eq!(edge, whole.end(), "{rows:?} ends early");
}

/// No two neighbors could be one row.
fn assert_maximal(rows: &[Checkpoint]) {
    for pair in rows.windows(2) {
        let touch = pair[0].range.end() == pair[1].range.start();
        let alike = (pair[0].position, pair[0].generation) == (pair[1].position, pair[1].generation);
        assert!(!(touch && alike), "{pair:?} should be one row");
    }
}

fn at(position: Position) -> Mark {
    Mark { position, witness: None }
}

/// What a worker does next, checked against the written rules.
fn work(
    owned: &[Checkpoint],
    high_water_mark: Position,
    percent: u64,
) -> (Vec<HashRange>, Position, Position) {
    let behind = furthest_behind(owned, at(high_water_mark)).expect("something is owned");
    let (ranges, from, upto) = (behind.ranges, behind.from, behind.upto.position);
    let lowest = owned.iter().map(|row| row.position).min().unwrap();
    assert_eq!(from, lowest);
    for row in owned {
        assert_eq!(ranges.contains(&row.range), row.position == lowest, "exactly those furthest behind");
        assert!(row.position == lowest || upto <= row.position, "never past a neighbor that is ahead");
    }
    assert!(
        from <= upto && upto <= high_water_mark.max(from),
        "neither backwards nor past the high-water mark"
    );
    let stopped_by_neighbor = owned.iter().any(|row| row.position == upto && upto > from);
    assert!(upto == high_water_mark.max(from) || stopped_by_neighbor, "no reason to stop at {upto}");
    let to = from.get() + (upto.get() - from.get()) * percent / 100;
    (ranges, from, Position::new(to))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Any history of generations, with partly caught-up partitions and workers that never claim.
    #[test]
    fn claims_and_advances_follow_the_model(
        rounds in prop::collection::vec(round(), 1..8),
        random_points in prop::collection::vec(any::<u32>(), 32),
    ) {
        let mut table = Table::new(&random_points);
        for (number, round) in (1_u64..).zip(&rounds) {
            let generation = Generation::new(number);
            for index in (0..round.partitions).filter(|index| round.claimed >> index & 1 == 1) {
                let partition = HashRange::of_partition(index, round.partitions);
                let mut owned = table.claim(partition, generation);
                for percent in &round.steps {
                    let (ranges, from, to) = work(&owned, Position::new(round.high_water_mark), *percent);
                    table.commit(&ranges, from, to, generation);
                    owned = advance(&owned, &ranges, at(to));
                    assert_covers(&owned, partition);
                    assert_maximal(&owned);
                    for (point, (position, _)) in &table.points {
                        if let Some(row) = owned.iter().find(|row| row.range.contains(*point)) {
                            prop_assert_eq!(row.position, *position, "at point {}", point);
                        }
                    }
                }
            }
        }
    }

    /// However ragged the pieces, as many steps as there are positions bring them to the high-water mark in one row.
    #[test]
    fn a_claim_that_is_worked_off_becomes_one_row(
        edges in prop::collection::btree_set(1..HASH_SPACE, 0..12),
        positions in prop::collection::vec(0..50_u64, 13),
        high_water_mark in 50..60_u64,
    ) {
        let starts = std::iter::once(0).chain(edges.iter().copied());
        let ends = edges.iter().copied().chain([HASH_SPACE]);
        let pieces = starts.zip(ends).zip(&positions).map(|((start, end), position)| Checkpoint {
            range: HashRange::new(start, end).unwrap(),
            position: Position::new(*position),
            generation: Generation::NONE,
            witness: None,
        });
        let pieces: Vec<Checkpoint> = pieces.collect();
        let high_water_mark = Position::new(high_water_mark);
        let mut owned = claim(&pieces, HashRange::ALL, Generation::new(1)).owned;
        for _ in 0..=pieces.len() {
            let (ranges, _, to) = work(&owned, high_water_mark, 100);
            owned = advance(&owned, &ranges, at(to));
        }
        let generation = Generation::new(1);
        let whole = Checkpoint { position: high_water_mark, generation, ..Checkpoint::INITIAL };
        prop_assert_eq!(owned, vec![whole]);
    }

    /// However the two are divided: no point of the hash space is further behind, and one is so far behind.
    #[test]
    fn the_distance_between_two_read_models_is_that_of_the_worst_point(
        left in tiles(),
        right in tiles(),
        points in prop::collection::vec(any::<u32>(), 16),
    ) {
        let at = |rows: &[Checkpoint], point: u32| {
            rows.iter().find(|row| row.range.contains(point)).map(|row| row.position.get()).unwrap()
        };
        let starts = left.iter().chain(&right).map(|row| u32::try_from(row.range.start()).unwrap());
        let distance = |point: u32| at(&right, point).saturating_sub(at(&left, point));
        // Nothing changes between two edges, so the starts of the pieces are all the points that there are.
        let expected = starts.map(distance).max().unwrap();
        prop_assert_eq!(behind(&left, &right), expected);
        for point in points {
            prop_assert!(distance(point) <= expected);
        }
        let mut turned = left.clone();
        turned.reverse();
        prop_assert_eq!(behind(&turned, &right), expected, "in whatever order");
        prop_assert_eq!(behind(&merge(left.clone()), &merge(right.clone())), expected, "and however merged");
        prop_assert_eq!(behind(&left, &left), 0);
        let caught_up = behind(&left, &right) == 0 && behind(&right, &left) == 0;
        let alone = |rows: &[Checkpoint]| {
            let rows = rows.iter().map(|row| Checkpoint { generation: Generation::NONE, ..*row });
            merge(rows.collect())
        };
        prop_assert_eq!(caught_up, alone(&left) == alone(&right), "caught up means the same positions");
    }

    /// Merging keeps every point's value, whatever order the rows come in, and merging again does nothing.
    #[test]
    fn merge_keeps_every_point(
        rows in prop::collection::vec((1..5_u64, 0..3_u64, 0..2_u64), 1..20),
        shuffle in any::<prop::sample::Index>(),
    ) {
        let mut edge = 0;
        let rows = rows.into_iter().map(|(width, position, generation)| {
            let range = HashRange::new(edge, edge + width).unwrap();
            edge += width;
            let (position, generation) = (Position::new(position), Generation::new(generation));
            Checkpoint { range, position, generation, witness: None }
        });
        let rows: Vec<Checkpoint> = rows.collect();
        let mut turned = rows.clone();
        turned.rotate_left(shuffle.index(rows.len()));
        let merged = merge(turned);

        assert_covers(&merged, HashRange::new(0, edge).unwrap());
        assert_maximal(&merged);
        for point in 0..u32::try_from(edge).unwrap() {
            let at = |rows: &[Checkpoint]| {
                rows.iter().find(|row| row.range.contains(point)).map(|row| (row.position, row.generation))
            };
            prop_assert_eq!(at(&rows), at(&merged));
        }
        prop_assert_eq!(merge(merged.clone()), merged);
    }
}

#[test]
fn without_checkpoints_there_is_nothing_to_do() {
    assert_eq!(furthest_behind(&[], at(Position::new(9))), None);
    assert_eq!(merge(Vec::new()), Vec::new());
}
