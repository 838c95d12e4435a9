//! One deployment on one partition: claims its checkpoints, then reads, executes and commits batch by batch.
//!
//! A runner owns no truth. Its memory holds what its claim returned plus its own commits; whenever it cannot be sure (a
//! store error, a lost fence), it goes back to claiming.
//!
//! | module | duty |
//! | --- | --- |
//! | `claiming` | takes over the checkpoints |
//! | `in_flight`, `pending` | pure: what was read, executed and committed |
//! | `reader` | reads pages of the log, one ahead |
//! | `executor` | runs the handler over events, inside one write set |
//! | `committer` | commits a write set together with its checkpoints |
//! | `round` | one batch: passes values from part to part |
//! | `failing` | what follows an event that fails, or a batch that is not committed |
//! | `ceiling` | how large commits may be |
//!
//! Reader, executor and committer see neither one another nor the runner.

mod ceiling;
mod claiming;
mod committer;
mod executor;
mod failing;
mod in_flight;
mod pending;
mod reader;
mod round;

use std::sync::Arc;
use std::time::Duration;

use kennel_core::checkpoint::{Checkpoint, Mark};
use kennel_core::lifecycle::Role;
use kennel_core::limits;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{ProjectionState, StoreError};
use kennel_core::retry::{self, Backoff};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::entropy::Entropy;
use crate::env::PrefetchPlan;
use crate::fault::Faults;
use crate::high_water_mark::PublishedMark;
use crate::loaded::Loaded;
use crate::memory::Portion;
use crate::metrics::{ProgressGauge, ProjectionMetrics};
use crate::options::Options;
use crate::ports::Ports;
use crate::shutdown::Shutdown;
use crate::status::{FaultyPart, Part, Status};
use ceiling::Ceiling;
use committer::Committer;
use executor::Executor;
use failing::Trying;
use in_flight::InFlight;
use reader::Reader;

/// How often a runner looks whether a fenced read model may be moved again.
const FENCED_LOOK_MAX: Duration = Duration::from_millis(200);
/// Least share of its time that a worker gives to candidates.
const REBUILD_SHARE_MIN: f64 = 0.01;
/// Longest rest between two batches of a candidate.
const REST_MAX: Duration = Duration::from_secs(5);

/// Why a runner ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// Its generation is no longer current, or another owner has its range: coordinate first.
    Superseded,
}

/// Everything a runner is given.
#[derive(Debug)]
pub struct Runner {
    pub ports: Ports,
    pub options: Arc<Options>,
    pub loaded: Loaded,
    pub generation: Generation,
    pub range: HashRange,
    pub high_water_mark: PublishedMark,
    pub metrics: ProjectionMetrics,
    pub status: Arc<Status>,
    pub entropy: Arc<Entropy>,
    /// The prefetch plan of the runner before it.
    pub prefetch: PrefetchPlan,
    /// The faults of the runners before it, and the part under which they are reported.
    pub health: (Faults, FaultyPart),
    /// The one permit of its worker for building read models, all of which share the worker's time for that.
    pub rebuilds: Arc<Semaphore>,
    pub stop: Shutdown,
}

/// The parts of a runner that outlast the loss of a claim.
struct Parts {
    executor: Executor,
    committer: Committer,
    /// How many events the database lets this runner commit at once.
    ceiling: Ceiling,
}

/// What a runner has while its claim holds.
struct Claimed<'a> {
    parts: &'a mut Parts,
    reader: Reader,
    in_flight: InFlight,
    /// Most events in the next batch: shrinks when the store rejects or contests a batch.
    limit: usize,
    trying: Option<Trying>,
    /// How much memory the next batch begins with.
    portion: Portion,
    /// The state of this projection that this runner last reported to the store.
    reported: Option<ProjectionState>,
    progress_gauge: Arc<ProgressGauge>,
    /// The worker's permit for building read models, while this runner has it. It is given back before every pause that
    /// is not part of the worker's rest.
    permit: Option<OwnedSemaphorePermit>,
}

impl Claimed<'_> {
    /// Reports to the metrics how far this runner is.
    fn show(&self) {
        let positions = self.in_flight.committed().iter().map(|checkpoint| checkpoint.position);
        if let Some(position) = positions.min() {
            self.progress_gauge.at(position);
        }
    }
}

/// What comes after a round.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Round,
    /// The log is another than before: its end, and the checkpoints, have to be read again.
    Claim,
    End(Ended),
}

impl Runner {
    /// Works until a stop is asked for or the generation has passed. Also returns its prefetch plan, for its successor.
    pub async fn run(mut self) -> (Ended, PrefetchPlan) {
        let mut backoff = Backoff::new(self.options.poll_min, self.options.poll_max);
        let mut parts = self.parts();
        // Kept beyond the loss of a claim: while the store is away, this runner is still where it was.
        let progress_gauge = Arc::new(self.metrics.progress_gauge());
        loop {
            match self.work(&mut parts, &mut backoff, &progress_gauge).await {
                Ok(Next::End(ended)) => {
                    self.status.clear(&self.part());
                    return (ended, parts.executor.into_prefetch_plan());
                }
                // A moment's rest keeps this from spinning, should the log be set back again and again.
                Ok(_) => {
                    if self.sleep(self.options.poll_min).await {
                        return (Ended::Stopped, parts.executor.into_prefetch_plan());
                    }
                }
                Err(error) => {
                    let projection = &self.loaded.deployment.projection;
                    let reason = crate::chain(&error);
                    tracing::warn!(%projection, %reason, "the store failed; trying again");
                    self.status.block(self.part(), reason);
                    if self.sleep(retry::spread(backoff.next_pause(), self.entropy.fraction())).await {
                        // The condition of this runner blocks no other any more.
                        self.status.clear(&self.part());
                        return (Ended::Stopped, parts.executor.into_prefetch_plan());
                    }
                }
            }
        }
    }

    fn parts(&mut self) -> Parts {
        let (read_model, deployment) = (&self.ports.read_model, &self.loaded.deployment);
        Parts {
            executor: Executor::new(
                self.loaded.clone(),
                Arc::clone(read_model),
                std::mem::take(&mut self.prefetch),
                self.options.batch_duration_max,
                self.stop.clone(),
            ),
            committer: Committer::new(
                Arc::clone(read_model),
                Arc::clone(deployment),
                self.generation,
                self.metrics.clone(),
            ),
            ceiling: Ceiling::default(),
        }
    }

    /// What this runner begins with once these checkpoints are its own.
    fn begin<'a>(
        &self,
        parts: &'a mut Parts,
        owned: Vec<Checkpoint>,
        progress_gauge: &Arc<ProgressGauge>,
    ) -> Claimed<'a> {
        let (log, deployment) = (Arc::clone(&self.ports.log), Arc::clone(&self.loaded.deployment));
        let claimed = Claimed {
            limit: self.batch_max().min(parts.ceiling.events()),
            parts,
            reader: Reader::new(log, deployment, self.batch_max()),
            in_flight: InFlight::new(owned),
            trying: None,
            portion: Portion::Sure,
            reported: None,
            progress_gauge: Arc::clone(progress_gauge),
            permit: None,
        };
        claimed.show();
        claimed
    }

    /// Claims, and works while the claim holds.
    async fn work(
        &mut self,
        parts: &mut Parts,
        backoff: &mut Backoff,
        progress_gauge: &Arc<ProgressGauge>,
    ) -> Result<Next, StoreError> {
        let Some((owned, incarnation)) = self.claim(progress_gauge).await? else {
            return Ok(Next::End(Ended::Superseded));
        };
        if self.stop.is_requested() {
            return Ok(Next::End(Ended::Stopped));
        }
        self.status.clear(&self.part());
        let mut claimed = self.begin(parts, owned, progress_gauge);
        loop {
            if self.high_water_mark.incarnation() != incarnation {
                return Ok(Next::Claim);
            }
            let high_water = self.high_water_mark.mark();
            if claimed.in_flight.contradicts(high_water) {
                return Ok(Next::Claim);
            }
            let next = match claimed.in_flight.stretch(high_water) {
                _ if self.stop.is_requested() => {
                    self.commit_skipped(&mut claimed).await?;
                    Next::End(Ended::Stopped)
                }
                // Not only when there is nothing else to do: under constant load there always is.
                _ if self.skipped_due(&claimed).is_some_and(|due| Instant::now() >= due) => {
                    self.commit_skipped(&mut claimed).await?
                }
                Some(stretch) if claimed.in_flight.reached(&stretch) < stretch.upto.position => {
                    let left = high_water.position.distance_from(claimed.in_flight.reached(&stretch));
                    if self.is_slowed_down(left) && !self.take_permit(&mut claimed).await {
                        continue;
                    }
                    let began = Instant::now();
                    let next = self.round(&mut claimed, &stretch).await?;
                    self.rest(&mut claimed, began.elapsed(), &next).await;
                    next
                }
                _ => self.idle(&mut claimed, high_water, incarnation).await?,
            };
            backoff.reset();
            if next != Next::Round {
                return Ok(next);
            }
        }
    }

    /// Whether this runner shares its worker's time for building read models, so that the machine is left to those that
    /// serve. Not near the end of the log, where there is little `left` to do and an operator may wait for it; and not
    /// for a read model that has served before: it is wanted back.
    fn is_slowed_down(&self, left: u64) -> bool {
        self.loaded.role == Role::Candidate
            && !self.loaded.returning
            && left > limits::CUTOVER_SLACK_POSITIONS
    }

    /// Waits until this worker builds nothing else; `false` if a stop was asked for meanwhile.
    async fn take_permit(&mut self, claimed: &mut Claimed<'_>) -> bool {
        tokio::select! {
            biased;
            () = self.stop.requested() => false,
            permit = Arc::clone(&self.rebuilds).acquire_owned() => {
                claimed.permit = permit.ok();
                true
            }
        }
    }

    /// Rests after a round that took so long, then gives the permit to the runner that waits for it. A runner that gave
    /// it back during the round has paused already.
    async fn rest(&mut self, claimed: &mut Claimed<'_>, took: Duration, next: &Next) {
        let permit = claimed.permit.take();
        if permit.is_some() && *next == Next::Round {
            let share = self.options.rebuild_share.clamp(REBUILD_SHARE_MIN, 1.0);
            self.sleep(took.mul_f64(1.0 / share - 1.0).min(REST_MAX)).await;
        }
    }

    /// Waits for something to do. A checkpoint that only skipped events is committed after a while, so
    /// that a quiet projection does not write with every event that it does not want.
    async fn idle(
        &mut self,
        claimed: &mut Claimed<'_>,
        high_water: Mark,
        incarnation: u64,
    ) -> Result<Next, StoreError> {
        self.works();
        // Others may have seen more of the log than this process has, but not for long.
        let is_ahead =
            claimed.in_flight.committed().iter().any(|checkpoint| checkpoint.position > high_water.position);
        let doubt = async {
            match is_ahead {
                true => tokio::time::sleep(self.options.poll_max * 2).await,
                false => std::future::pending().await,
            }
        };
        let commit_due = self.skipped_due(claimed);
        let due = async {
            match commit_due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.requested() => Ok(Next::Round),
            () = due => self.commit_skipped(claimed).await,
            () = self.high_water_mark.beyond(high_water.position, incarnation) => Ok(Next::Round),
            () = doubt => Ok(Next::Claim),
        }
    }

    /// When a checkpoint that moved only over unwanted events is to be committed.
    fn skipped_due(&self, claimed: &Claimed<'_>) -> Option<Instant> {
        Some(claimed.in_flight.skipped()?.since + self.options.idle_commit_delay)
    }

    fn batch_max(&self) -> usize {
        let configured = self.options.batch.unwrap_or(self.loaded.deployment.settings.batch);
        configured.clamp(1, limits::BATCH_EVENTS_MAX)
    }

    /// The part of the process that this runner is.
    fn part(&self) -> Part {
        let projection = self.loaded.deployment.projection.clone();
        Part::Runner { role: self.loaded.role, projection, from: self.range.start() }
    }

    /// Sleeps; `true` if a stop was asked for meanwhile.
    async fn sleep(&mut self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.requested() => true,
            () = tokio::time::sleep(duration) => false,
        }
    }
}
