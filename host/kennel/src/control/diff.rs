//! Compares two read models, collection by collection, by walking through both in the order of their keys.
//! Nothing is held in memory but a page of each, the keys that have to be looked at twice, and some samples.
//!
//! Both may be written to meanwhile. A document counts as different only if no event that one of the two has
//! yet to handle can account for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::change::Stored;
use kennel_core::limits;
use kennel_core::port::{Document, StoreError, Wanted};
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use serde_json::Value;
use tokio::time::Instant;

use super::view::{CollectionDiff, Sample};
use kennel_engine::Ports;

/// How long the one that is behind may take to catch up.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
/// For how long it may not move at all meanwhile.
const STILL_FOR: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Most documents of a collection that are looked at twice.
const DOUBTS_MAX: usize = 10_000;
/// Documents on the first page of a collection, and most on any. In between, what was on the page before decides.
const PAGE_FIRST: usize = 32;
const PAGE_MAX: usize = 64;
/// The most that a page should hold, in bytes. It does, unless documents are far larger than those on the page before.
const PAGE_BYTES: usize = 4 << 20;
/// The most that the samples of all collections should hold, in bytes. Of each collection there may be one.
const SAMPLES_BYTES: usize = 4 << 20;

/// What a comparison has found.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Where both stood at the beginning: the one that serves, and the other.
    pub(super) positions: [Position; 2],
    /// Whether the one that was behind has caught up.
    pub(super) caught_up: bool,
    /// By name.
    pub(super) collections: Vec<CollectionDiff>,
}

/// Compares the read model that serves with the other. The one that is behind gets a few seconds to catch up.
pub(super) async fn compare(
    ports: &Ports,
    models: [ReadModelId; 2],
    samples: usize,
) -> Result<Comparison, StoreError> {
    let pair = Pair { ports, models };
    let caught_up = pair.catch_up().await?;
    // Looked up before the documents: documents that are written later are in motion.
    let positions = pair.positions().await?;
    let settled = positions[0].min(positions[1]);
    let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
    for read_model in models {
        names.extend(ports.read_model.collections(read_model).await?);
    }
    let mut found: Vec<Found> = Vec::with_capacity(names.len());
    let sample_bytes = SAMPLES_BYTES / names.len().max(1);
    for name in names {
        let one = Found::new(name.to_string(), settled, samples, sample_bytes);
        found.push(pair.walk(one).await?);
    }
    if found.iter().any(|one| !one.doubts.is_empty()) {
        let ends = pair.reach().await?;
        pair.catch_up().await?;
        let now = pair.positions().await?;
        // The side that has the document has handled all that the other can have handled when it was missing there.
        let sure = [now[0] >= ends[1], now[1] >= ends[0]];
        for one in &mut found {
            pair.look_again(one, sure).await?;
        }
    }
    Ok(Comparison { positions, caught_up, collections: found.into_iter().map(|one| one.diff).collect() })
}

/// Two read models that are compared: that which serves, and the other.
struct Pair<'a> {
    ports: &'a Ports,
    models: [ReadModelId; 2],
}

impl Pair<'_> {
    /// Up to where both have handled every event.
    async fn positions(&self) -> Result<[Position; 2], StoreError> {
        Ok([
            self.ports.reports.position(self.models[0]).await?,
            self.ports.reports.position(self.models[1]).await?,
        ])
    }

    /// Beyond where both have handled nothing.
    async fn reach(&self) -> Result<[Position; 2], StoreError> {
        let mut reach = [Position::START; 2];
        for (reach, read_model) in reach.iter_mut().zip(self.models) {
            let checkpoints = self.ports.reports.checkpoints_of(read_model).await?;
            *reach = checkpoints.iter().map(|one| one.position).max().unwrap_or_default();
        }
        Ok(reach)
    }

    /// Waits until both have come as far as either has now, if that can be soon.
    async fn catch_up(&self) -> Result<bool, StoreError> {
        let mut positions = self.positions().await?;
        let reach = self.reach().await?;
        let aim = reach[0].max(reach[1]);
        let (began, mut moved) = (Instant::now(), Instant::now());
        loop {
            let least = positions[0].min(positions[1]);
            if least >= aim {
                return Ok(true);
            }
            let is_far = aim.distance_from(least) > limits::CUTOVER_SLACK_POSITIONS;
            if is_far || began.elapsed() > CATCH_UP_WITHIN || moved.elapsed() > STILL_FOR {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY).await;
            positions = self.positions().await?;
            if positions[0].min(positions[1]) > least {
                moved = Instant::now();
            }
        }
    }

    async fn walk(&self, mut found: Found) -> Result<Found, StoreError> {
        let mut ways = self.models.map(|read_model| Way::new(read_model, &found.diff.collection));
        loop {
            let [serving, other] = &mut ways;
            let (serves, others) = (serving.peek(self.ports).await?, other.peek(self.ports).await?);
            let step = match (serves, others) {
                (None, None) => return Ok(found),
                (Some(a), Some(b)) if a.key == b.key => {
                    found.both(a, b);
                    [true, true]
                }
                (Some(a), b) if b.is_none_or(|b| a.key < b.key) => {
                    found.one(0, a);
                    [true, false]
                }
                (_, Some(b)) => {
                    found.one(1, b);
                    [false, true]
                }
                (Some(_), None) => return Ok(found),
            };
            for (way, _) in ways.iter_mut().zip(step).filter(|(_, step)| *step) {
                way.at += 1;
            }
        }
    }

    /// Settles what was in doubt.
    async fn look_again(&self, found: &mut Found, sure: [bool; 2]) -> Result<(), StoreError> {
        let doubts = std::mem::take(&mut found.doubts);
        for some in doubts.chunks(PAGE_FIRST) {
            let keys = some.iter().map(|doubt| doubt.key.clone()).collect();
            let wanted = [Wanted { collection: found.diff.collection.clone(), keys }];
            let mut now = [Vec::new(), Vec::new()];
            for side in [0, 1] {
                let read = self.ports.read_model.fetch(self.models[side], &wanted).await?;
                now[side] = read.into_iter().next().unwrap_or_default();
            }
            for (index, doubt) in some.iter().enumerate() {
                let now = [0, 1].map(|side| now[side].get(index).and_then(Option::as_ref));
                found.settle(doubt, now, sure);
            }
        }
        Ok(())
    }
}

/// A way through a collection.
struct Way {
    read_model: ReadModelId,
    collection: String,
    page: Vec<Document>,
    /// Documents on the next page.
    size: usize,
    at: usize,
    ended: bool,
}

impl Way {
    fn new(read_model: ReadModelId, collection: &str) -> Self {
        Self {
            read_model,
            collection: collection.to_owned(),
            page: Vec::new(),
            size: PAGE_FIRST,
            at: 0,
            ended: false,
        }
    }

    async fn peek(&mut self, ports: &Ports) -> Result<Option<&Document>, StoreError> {
        if self.at == self.page.len() && !self.ended {
            let after = self.page.last().map(|last| last.key.clone());
            // Before the next page is read: there is never more than one.
            self.page = Vec::new();
            self.page = ports
                .read_model
                .scan(self.read_model, &self.collection, after.as_deref(), "", self.size)
                .await?;
            self.at = 0;
            self.ended = self.page.len() < self.size;
            let bytes: usize = self.page.iter().map(|one| one.stored.document.len()).sum();
            let fits = bytes.checked_div(self.page.len()).map_or(PAGE_MAX, |each| PAGE_BYTES / each.max(1));
            self.size = fits.clamp(1, PAGE_MAX);
        }
        Ok(self.page.get(self.at))
    }
}

/// A document that only one side has: the other may have removed it, and this side may do so, too.
struct Doubt {
    key: String,
    /// Which side has it.
    side: usize,
    revision: Position,
}

/// What was found in one collection.
struct Found {
    settled: Position,
    /// How many samples are wanted yet, and how many bytes there are for them.
    samples: usize,
    sample_bytes: usize,
    diff: CollectionDiff,
    doubts: Vec<Doubt>,
}

impl Found {
    fn new(collection: String, settled: Position, samples: usize, sample_bytes: usize) -> Self {
        let diff = CollectionDiff { collection, ..CollectionDiff::default() };
        Self { settled, samples, sample_bytes, diff, doubts: Vec::new() }
    }

    fn both(&mut self, serving: &Document, other: &Document) {
        self.diff.serving_documents += 1;
        self.diff.other_documents += 1;
        self.compare(&serving.key, &serving.stored, &other.stored);
    }

    fn compare(&mut self, key: &str, serving: &Stored, other: &Stored) {
        // Databases may write the same value in other text.
        if serving.document == other.document || value(serving) == value(other) {
            self.diff.equal += 1;
        } else if serving.revision > self.settled || other.revision > self.settled {
            self.diff.in_motion += 1;
        } else {
            self.diff.different += 1;
            self.sample(key, [Some(serving), Some(other)]);
        }
    }

    fn one(&mut self, side: usize, document: &Document) {
        let (counts, revision) = (&mut self.diff, document.stored.revision);
        *[&mut counts.serving_documents, &mut counts.other_documents][side] += 1;
        if revision > self.settled {
            counts.in_motion += 1;
        } else if self.doubts.len() < DOUBTS_MAX {
            self.doubts.push(Doubt { key: document.key.clone(), side, revision });
        } else {
            // So many are no accident.
            *[&mut counts.only_serving, &mut counts.only_other][side] += 1;
        }
    }

    fn settle(&mut self, doubt: &Doubt, now: [Option<&Stored>; 2], sure: [bool; 2]) {
        let unchanged = now[doubt.side].is_some_and(|stored| stored.revision == doubt.revision);
        match now {
            [Some(serving), Some(other)] => self.compare(&doubt.key, serving, other),
            _ if unchanged && sure[doubt.side] => {
                let counts = &mut self.diff;
                *[&mut counts.only_serving, &mut counts.only_other][doubt.side] += 1;
                self.sample(&doubt.key, now);
            }
            _ => self.diff.in_motion += 1,
        }
    }

    fn sample(&mut self, key: &str, [serving, other]: [Option<&Stored>; 2]) {
        if self.samples > 0 && self.sample_bytes > 0 {
            self.samples -= 1;
            let bytes: usize = [serving, other].into_iter().flatten().map(|one| one.document.len()).sum();
            self.sample_bytes = self.sample_bytes.saturating_sub(bytes);
            let (serving, other) = (serving.map(value), other.map(value));
            self.diff.samples.push(Sample { key: key.to_owned(), serving, other });
        }
    }
}

fn value(stored: &Stored) -> Value {
    let text = &*stored.document;
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
