//! The work in flight against the rule itself: each commit holds exactly the events of its ranges between where they
//! were and where they are moved to. Pages, failures and batches ahead of their commits come at random, from a seed.

use std::collections::VecDeque;

use kennel_core::event::Payload;
use kennel_core::membership::Generation;
use kennel_core::partition;
use kennel_core::port::Page;
use kennel_core::random::Generator;
use kennel_core::timestamp::Timestamp;
use kennel_core::witness::Witness;
use uuid::Uuid;

use super::*;

const LOG_END: u64 = 60;

/// An entry of the log: an event that is wanted, one that is not, or a row that cannot be read.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Wanted,
    Unwanted,
    Unreadable,
}

struct Entry {
    position: Position,
    aggregate_id: String,
    kind: Kind,
}

impl Entry {
    fn witness(&self) -> Witness {
        Witness { position: self.position, event_id: Uuid::from_u128(self.position.get().into()) }
    }

    fn is_in(&self, ranges: &[HashRange]) -> bool {
        let point = partition::hash(&self.aggregate_id);
        self.kind != Kind::Unwanted && ranges.iter().any(|range| range.contains(point))
    }
}

/// A log, the checkpoints of a read model over it, and what was committed to that.
struct World {
    random: Generator,
    log: Vec<Entry>,
    checkpoints: Vec<Checkpoint>,
    committed: Vec<Position>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Generator::new(seed);
        let mut log = Vec::new();
        for position in 1..=LOG_END {
            let kind = match random.below(12) {
                0..=5 => Kind::Wanted,
                6..=8 => Kind::Unwanted,
                9 => Kind::Unreadable,
                _ => continue,
            };
            let aggregate_id = format!("a-{}", random.below(9));
            log.push(Entry { position: Position::new(position), aggregate_id, kind });
        }
        let mut world = Self { random, log, checkpoints: Vec::new(), committed: Vec::new() };
        let partitions = 1 + u32::try_from(world.random.below(3)).unwrap();
        let checkpoints = (0..partitions).map(|index| {
            // A checkpoint is moved only to where a last event is known.
            let position = Position::new(world.random.below(20));
            let position = world.witness(position).map_or(Position::START, |_| position);
            let range = HashRange::of_partition(index, partitions);
            Checkpoint { range, position, generation: Generation::NONE, witness: world.witness(position) }
        });
        world.checkpoints = checkpoints.collect();
        world
    }

    fn witness(&self, position: Position) -> Option<Witness> {
        self.log.iter().map(Entry::witness).rfind(|witness| witness.position <= position)
    }

    fn mark(&self, position: Position) -> Mark {
        Mark { position, witness: self.witness(position) }
    }

    /// The positions of the entries that these ranges want.
    fn wanted(&self, ranges: &[HashRange], after: Position, upto: Position) -> Vec<Position> {
        let within = self.log.iter().filter(|entry| entry.position > after && entry.position <= upto);
        within.filter(|entry| entry.is_in(ranges)).map(|entry| entry.position).collect()
    }

    /// A page as a store reads it. Now and then it was read ahead, when the log was shorter.
    fn page(&mut self, query: PageQuery) -> Pending {
        let shorter = Position::new(query.after.get() + 1 + self.random.below(30));
        let upto = query.upto.position.min(shorter);
        let limit = 1 + usize::try_from(self.random.below(6)).unwrap();
        let mut page = Page { reached: upto, ..Page::default() };
        for position in self.wanted(&query.ranges, query.after, upto) {
            let entry = self.log.iter().find(|entry| entry.position == position).unwrap();
            if entry.kind == Kind::Unreadable {
                let (event_type, aggregate_id) = (String::new(), entry.aggregate_id.clone());
                let (event_id, reason) = (Some(entry.witness().event_id), String::new());
                page.unreadable = Some(Unreadable { position, event_id, event_type, aggregate_id, reason });
            } else {
                page.events.push(event(entry));
            }
            if page.unreadable.is_some() || page.events.len() == limit {
                page.reached = position;
                break;
            }
        }
        let known = page.reached != upto || self.random.below(2) == 0;
        page.witness = self.witness(page.reached).filter(|_| known);
        let ahead = page.reached < query.upto.position && self.random.below(2) == 0;
        let prefetched = ahead.then_some(page.reached);
        Pending::new(query, page, prefetched)
    }

    /// Commits as a store does, with the rule that nothing is skipped and nothing comes twice.
    fn commit(&mut self, advance: &Advance, entries: &[Position]) {
        let Advance { ranges, from, to } = advance;
        for range in ranges {
            let row = self.checkpoints.iter().find(|row| row.range == *range).expect("a row of this range");
            assert_eq!(row.position, *from, "a commit begins where the one before has ended");
        }
        assert_eq!(self.wanted(ranges, *from, to.position), entries, "exactly these entries lie between");
        assert_eq!(to.witness, self.witness(to.position));
        self.checkpoints = checkpoint::advance(&self.checkpoints, ranges, *to);
        self.committed.extend(entries);
    }
}

fn event(entry: &Entry) -> Event {
    Event {
        position: entry.position,
        bounded_context: String::new(),
        aggregate_type: String::new(),
        aggregate_id: entry.aggregate_id.clone(),
        aggregate_version: 1,
        event_id: entry.witness().event_id,
        event_type: String::new(),
        event_version: 1,
        payload: Payload::Binary(Vec::new()),
        metadata: None,
        trace_id: None,
        correlation_id: None,
        causation_id: None,
        created_at: Timestamp::from_nanoseconds(0),
    }
}

/// Batches that were executed and not committed: the move of each, and its entries.
type UnderWay = VecDeque<(Advance, Vec<Position>)>;

/// Takes one step of execution. Returns `false` if there is nothing to do.
fn execute(world: &mut World, in_flight: &mut InFlight, under_way: &mut UnderWay, end: Position) -> bool {
    let stretch = in_flight.stretch(world.mark(end)).unwrap();
    if in_flight.reached(&stretch) >= stretch.upto.position {
        let passed = in_flight.pass_skipped();
        let any = passed.is_some();
        under_way.extend(passed.map(|advance| (advance, Vec::new())));
        return any;
    }
    if let Some(query) = in_flight.query(&stretch) {
        in_flight.read(world.page(query));
    }
    let mut entries: Vec<Position> = in_flight.events().iter().map(|event| event.position).collect();
    if entries.is_empty() {
        entries.extend(in_flight.unreadable().map(|row| row.position));
    }
    let advance = match entries.len() as u64 {
        0 if in_flight.skip(&stretch, Instant::now()) => in_flight.pass_skipped(),
        0 => None,
        most => {
            entries.truncate(1 + usize::try_from(world.random.below(most)).unwrap());
            in_flight.execute(entries.len())
        }
    };
    under_way.extend(advance.map(|advance| (advance, entries)));
    true
}

/// Works through a whole log with at most `depth` batches ahead of their commits. Returns how often a commit failed.
fn work(seed: u64, depth: usize) -> usize {
    let mut world = World::new(seed);
    let mut in_flight = InFlight::new(world.checkpoints.clone());
    let mut under_way = UnderWay::new();
    let before = world.checkpoints.clone();
    let (mut end, mut failures) = (Position::new(20), 0);
    for _ in 0..10_000 {
        end = Position::new((end.get() + world.random.below(3)).min(LOG_END));
        let idle = (under_way.len() < depth && world.random.below(3) > 0)
            && !execute(&mut world, &mut in_flight, &mut under_way, end);
        if idle && under_way.is_empty() && end.get() == LOG_END {
            break;
        }
        if under_way.len() == depth || world.random.below(3) == 0 {
            if failures < 20 && !under_way.is_empty() && world.random.below(4) == 0 {
                (under_way, failures) = (UnderWay::new(), failures + 1);
                in_flight.discard();
            } else if let Some((advance, entries)) = under_way.pop_front() {
                world.commit(&advance, &entries);
                in_flight.commit(&advance);
            }
        }
        assert_eq!(in_flight.broken(), None, "seed {seed}");
        assert_eq!(in_flight.committed(), world.checkpoints, "seed {seed}");
        let ahead: Vec<Position> = under_way.iter().flat_map(|(_, entries)| entries.clone()).collect();
        assert!(ahead.iter().all(|entry| !world.committed.contains(entry)), "seed {seed}: {ahead:?}");
    }
    let mut all: Vec<Position> = Vec::new();
    for Checkpoint { range, position, .. } in before {
        all.extend(world.wanted(&[range], position, Position::new(LOG_END)));
    }
    all.sort_unstable();
    world.committed.sort_unstable();
    assert_eq!(world.committed, all, "seed {seed}: every event once");
    failures
}

#[test]
fn every_event_is_committed_once_whatever_fails() {
    for depth in 1..=3 {
        let failures: usize = (0..1_000).map(|seed| work(seed, depth)).sum();
        assert!(failures > 1_000, "{failures}");
    }
}

/// The entries of a page are executed again after a failure, and a page that follows what failed is not kept.
#[test]
fn a_failure_throws_away_what_was_executed_and_keeps_what_was_read() {
    let mut world = World::new(1);
    world.checkpoints = vec![Checkpoint::INITIAL];
    let mut in_flight = InFlight::new(world.checkpoints.clone());
    let stretch = |in_flight: &InFlight| in_flight.stretch(world.mark(Position::new(LOG_END))).unwrap();
    let page = |query: PageQuery, positions: [u64; 2]| {
        let entry = |position| Entry {
            position: Position::new(position),
            aggregate_id: "a".to_owned(),
            kind: Kind::Wanted,
        };
        let events: Vec<Event> = positions.into_iter().map(|position| event(&entry(position))).collect();
        let reached = Position::new(positions[1]);
        Pending::new(query, Page { events, reached, ..Page::default() }, Some(reached))
    };
    let positions = |in_flight: &InFlight| {
        in_flight.events().iter().map(|event| event.position.get()).collect::<Vec<u64>>()
    };
    let query = in_flight.query(&stretch(&in_flight)).unwrap();
    in_flight.read(page(query, [3, 5]));
    let first = in_flight.execute(1).unwrap();
    assert_eq!((first.from, first.to.position), (Position::START, Position::new(3)));
    in_flight.commit(&first);
    assert_eq!(in_flight.execute(1).unwrap().from, Position::new(3));
    assert_eq!(positions(&in_flight), [0; 0]);
    in_flight.discard();
    assert_eq!(positions(&in_flight), [5], "the event that was committed does not come again");
    in_flight.execute(1).unwrap();
    let query = in_flight.query(&stretch(&in_flight)).unwrap();
    assert_eq!(query.after, Position::new(5));
    in_flight.read(page(query, [7, 8]));
    in_flight.discard();
    assert_eq!(positions(&in_flight), [0; 0], "between this page and the last commit lies an event");
    assert_eq!(in_flight.query(&stretch(&in_flight)).unwrap().after, Position::new(3));
}
