//! What must hold at every moment, written down a second time and independently of the store: who may
//! claim, who may commit, that no stretch of the log is ever committed twice or left out, and that those who
//! read a projection are never taken back.

use std::collections::{BTreeMap, BTreeSet};

use kennel_core::checkpoint::{Checkpoint, Mark};
use kennel_core::lifecycle::{Activity, Entry, Lifecycle};
use kennel_core::membership::{Assignment, Cause, Generation, WorkerId};
use kennel_core::name::ProjectionName;
use kennel_core::partition::{self, HashRange};
use kennel_core::plan::{self, Plan};
use kennel_core::port::Commit;
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, Partitioning, ReadModelId};

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Invariants {
    /// The process of every worker that has ever joined.
    workers: BTreeMap<WorkerId, u32>,
    generations: Vec<(Assignment, Cause)>,
    read_models: BTreeMap<ReadModelId, (Deployment, Vec<Checkpoint>)>,
    /// Read models that may be moved now, and those that will never be of use again.
    active: BTreeSet<ReadModelId>,
    deleting: BTreeSet<ReadModelId>,
    /// What readers of each projection find.
    serving: BTreeMap<ProjectionName, ReadModelId>,
    /// How often each projection was dropped: after that no reader can expect anything.
    drops: BTreeMap<ProjectionName, u64>,
    /// What a process does not know for sure: its last commit there was fenced, or it never heard.
    doubts: BTreeSet<Doubt>,
}

type Doubt = (u32, ReadModelId, Generation, HashRange);

impl Invariants {
    /// A projection has changed to this.
    pub(super) fn lives(&mut self, life: &Lifecycle) -> Result<(), String> {
        for Entry { deployment, .. } in &life.history {
            let built = || (deployment.clone(), vec![Checkpoint::INITIAL]);
            self.read_models.entry(deployment.read_model).or_insert_with(built);
        }
        let of = |entry: Option<&Entry>| entry.map(|entry| entry.deployment.read_model);
        let (serving, candidate) = (of(life.serving()), of(life.candidate()));
        let running = life.activity == Activity::Running;
        let active = [serving.filter(|_| running && !life.fenced), candidate.filter(|_| running)];
        for read_model in life.history.iter().map(|entry| entry.deployment.read_model) {
            if active.contains(&Some(read_model)) {
                self.active.insert(read_model);
            } else {
                // The workers that had claimed it have lost it.
                self.active.remove(&read_model);
                self.tiles(read_model)?.iter_mut().for_each(|tile| tile.generation = Generation::NONE);
            }
            if !life.read_models.contains(&read_model) {
                self.deleting.insert(read_model);
            }
        }
        if let Some(back) = [serving, candidate].into_iter().flatten().find(|id| self.deleting.contains(id)) {
            return Err(format!(
                "{}: read model {back} is of use although it was to be deleted",
                life.projection
            ));
        }
        self.shows(&life.projection, serving)
    }

    /// Readers find this read model from now on.
    fn shows(&mut self, projection: &ProjectionName, serving: Option<ReadModelId>) -> Result<(), String> {
        let before = match serving {
            Some(serving) => self.serving.insert(projection.clone(), serving),
            None => {
                *self.drops.entry(projection.clone()).or_default() += 1;
                self.serving.remove(projection)
            }
        };
        let (Some(old), Some(new)) = (before, serving) else { return Ok(()) };
        for (range, stood) in self.positions(old) {
            let mut meeting = self.positions(new).into_iter();
            let back = meeting.find(|(other, stands)| other.intersection(range).is_some() && *stands < stood);
            if let Some((range, stands)) = back {
                return Err(format!(
                    "readers of {projection} were taken back from {stood} to {stands} in {range:?}: from read model \
                     {old} to {new}"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn drops(&self, projection: &ProjectionName) -> u64 {
        self.drops.get(projection).copied().unwrap_or(0)
    }

    /// The read models that nothing may be left of.
    pub(super) fn deleting(&self) -> Vec<ReadModelId> {
        self.deleting.iter().copied().collect()
    }

    pub(super) fn joined(&mut self, process: u32, worker: WorkerId) -> Result<(), String> {
        match self.workers.insert(worker, process) {
            Some(other) if other != process => {
                Err(format!("worker {worker} of p{process} was p{other}'s before"))
            }
            _ => Ok(()),
        }
    }

    /// A proposal was accepted.
    pub(super) fn agreed(
        &mut self,
        parent: Generation,
        plan: &Plan,
        generation: Generation,
    ) -> Result<(), String> {
        let before = self.current();
        if parent != before.generation || generation != parent.next() {
            return Err(format!(
                "generation {generation} follows {parent}, but {} was current",
                before.generation
            ));
        }
        plan::check(plan, &plan.owners)
            .map_err(|invariant| format!("generation {generation}: {invariant}"))?;
        let were: BTreeSet<WorkerId> = before.owners.iter().copied().collect();
        let are: BTreeSet<WorkerId> = plan.owners.iter().copied().collect();
        if let Some(stranger) = are.iter().find(|worker| !self.workers.contains_key(worker)) {
            return Err(format!("generation {generation}: {stranger} owns a partition and has never joined"));
        }
        let cause = match (were.is_empty(), are.is_subset(&were), were.is_subset(&are)) {
            (true, ..) => Cause::First,
            (_, true, true) => return Err(format!("generation {generation} changes nothing")),
            (_, false, true) => Cause::Joined,
            (_, true, false) => Cause::Left,
            (_, false, false) => Cause::Changed,
        };
        if cause != plan.cause {
            return Err(format!("generation {generation} says {:?}, but it is {cause:?}", plan.cause));
        }
        self.generations.push((Assignment { generation, owners: plan.owners.clone() }, cause));
        Ok(())
    }

    /// A claim was granted.
    pub(super) fn claimed(
        &mut self,
        process: u32,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
        owned: &[Checkpoint],
    ) -> Result<(), String> {
        let current = self.current();
        if generation != current.generation {
            return Err(format!(
                "p{process} claimed for generation {generation}; {} is current",
                current.generation
            ));
        }
        self.may(process, generation, read_model, |mine| mine == range)?;
        self.is_active(process, read_model)?;
        let tiles = self.tiles(read_model)?;
        split(tiles, range);
        let mut inside = Vec::new();
        for tile in tiles.iter_mut().filter(|tile| tile.range.intersection(range).is_some()) {
            tile.generation = generation;
            inside.push(*tile);
        }
        if kennel_core::checkpoint::merge(inside.clone()) != owned {
            return Err(format!("p{process} was given {owned:?}, but the checkpoints are {inside:?}"));
        }
        Ok(())
    }

    /// A batch took effect.
    pub(super) fn committed(&mut self, process: u32, batch: &Commit) -> Result<(), String> {
        let Commit { read_model, generation, ranges, from, to: Mark { position: to, witness }, .. } = batch;
        let inside = |mine: HashRange| ranges.iter().all(|range| mine.intersection(*range) == Some(*range));
        self.may(process, *generation, *read_model, inside)?;
        self.is_active(process, *read_model)?;
        if to <= from {
            return Err(format!("p{process} moved a checkpoint from {from} to {to}"));
        }
        let tiles = self.tiles(*read_model)?;
        if let Some(other) = tiles.iter().find(|tile| batch.sole_owner && tile.generation != *generation) {
            return Err(format!(
                "p{process} committed {from}..{to} for generation {generation} as if alone, beside {other:?}"
            ));
        }
        for range in ranges {
            split(tiles, *range);
            for tile in tiles.iter_mut().filter(|tile| tile.range.intersection(*range).is_some()) {
                if tile.generation != *generation || tile.position != *from {
                    return Err(format!(
                        "p{process} committed {from}..{to} for generation {generation} over {tile:?}"
                    ));
                }
                (tile.position, tile.witness) = (*to, *witness);
            }
        }
        Ok(())
    }

    /// A batch is sent off: not for ranges of which the sender cannot know where they stand.
    pub(super) fn sends(&self, process: u32, batch: &Commit) -> Result<(), String> {
        let touches =
            |range: &HashRange| batch.ranges.iter().any(|moved| moved.intersection(*range).is_some());
        let doubt = self.doubts.iter().find(|(who, read_model, generation, range)| {
            (*who, *read_model, *generation) == (process, batch.read_model, batch.generation)
                && touches(range)
        });
        let (from, to) = (batch.from, batch.to.position);
        doubt.map_or(Ok(()), |doubt| {
            Err(format!("p{process} commits {from}..{to} without a claim after {doubt:?}"))
        })
    }

    /// The sender of a batch cannot be sure what became of its ranges.
    pub(super) fn doubts(&mut self, process: u32, batch: &Commit) {
        let doubt = |range: &HashRange| (process, batch.read_model, batch.generation, *range);
        self.doubts.extend(batch.ranges.iter().map(doubt));
    }

    /// A process has learned the positions of the ranges of its claim.
    pub(super) fn learns(&mut self, process: u32, read_model: ReadModelId, range: HashRange) {
        self.doubts.retain(|(who, of, _, doubted)| {
            (*who, *of) != (process, read_model) || doubted.intersection(range).is_none()
        });
    }

    /// Where every range of the read model must stand.
    pub(super) fn positions(&self, read_model: ReadModelId) -> Vec<(HashRange, Position)> {
        let tiles = self.read_models.get(&read_model).map(|(_, tiles)| tiles.as_slice()).unwrap_or_default();
        tiles.iter().map(|tile| (tile.range, tile.position)).collect()
    }

    /// The generations that were agreed on, oldest first.
    pub(super) fn generations(&self) -> &[(Assignment, Cause)] {
        &self.generations
    }

    /// The process that a worker belongs to.
    pub(super) fn process_of(&self, worker: WorkerId) -> Option<u32> {
        self.workers.get(&worker).copied()
    }

    fn is_active(&self, process: u32, read_model: ReadModelId) -> Result<(), String> {
        if self.active.contains(&read_model) {
            return Ok(());
        }
        Err(format!("p{process} moved read model {read_model}, which no process may move now"))
    }

    fn current(&self) -> Assignment {
        self.generations.last().map(|(assignment, _)| assignment.clone()).unwrap_or_default()
    }

    fn tiles(&mut self, read_model: ReadModelId) -> Result<&mut Vec<Checkpoint>, String> {
        let known = self.read_models.get_mut(&read_model).map(|(_, tiles)| tiles);
        known.ok_or_else(|| format!("read model {read_model} was never made"))
    }

    /// Whether a worker of the process has a part in the generation that is `enough` for what it did.
    fn may(
        &self,
        process: u32,
        generation: Generation,
        read_model: ReadModelId,
        enough: impl Fn(HashRange) -> bool,
    ) -> Result<(), String> {
        let agreed = self.generations.iter().find(|(known, _)| known.generation == generation);
        let Some((assignment, _)) = agreed else {
            return Err(format!("p{process} works for generation {generation}, which does not exist"));
        };
        let Some((deployment, _)) = self.read_models.get(&read_model) else {
            return Err(format!("read model {read_model} was never made"));
        };
        let count = assignment.partitions();
        let part = |index: u32| match deployment.descriptor.partitioning {
            Partitioning::ByAggregate => Some(HashRange::of_partition(index, count)),
            Partitioning::Single => {
                (partition::of_single(&deployment.projection, count) == index).then_some(HashRange::ALL)
            }
        };
        let mut parts = (0..count).zip(&assignment.owners).filter_map(|(index, owner)| {
            (self.workers.get(owner) == Some(&process)).then(|| part(index)).flatten()
        });
        if parts.any(enough) {
            return Ok(());
        }
        Err(format!(
            "p{process} worked on a part of {} that generation {generation} gives to others",
            deployment.projection
        ))
    }
}

/// Cuts the tiles at the edges of `range`.
fn split(tiles: &mut Vec<Checkpoint>, range: HashRange) {
    for edge in [range.start(), range.end()] {
        let crossing = tiles.iter().position(|tile| tile.range.start() < edge && edge < tile.range.end());
        if let Some(index) = crossing {
            let tile = tiles[index];
            let halves = [HashRange::new(tile.range.start(), edge), HashRange::new(edge, tile.range.end())];
            let halves = halves.into_iter().flatten().map(|range| Checkpoint { range, ..tile });
            tiles.splice(index..=index, halves);
        }
    }
}
