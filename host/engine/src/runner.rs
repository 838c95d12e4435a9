//! One deployment on one partition: claims its checkpoints, then reads, runs and commits batch by batch.
//!
//! A runner owns no truth. Its memory holds what its claim returned plus its own commits; whenever it cannot be sure (a
//! store error, a lost fence), it goes back to claiming. Failed events are dealt with in `failing`, claiming is done in
//! `claiming`, reading ahead in `reading`.

mod ceiling;
mod claiming;
mod failing;
mod reading;

use std::sync::Arc;
use std::time::Duration;

use kennel_core::change::CollectionChanges;
use kennel_core::checkpoint::{self, Behind, Checkpoint, Mark};
use kennel_core::lifecycle::Role;
use kennel_core::limits;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome, DeadLetter, ProjectionState, StoreError};
use kennel_core::position::Position;
use kennel_core::retry::{self, Backoff};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::batch::{self, Bounds, FailedEvent, Loaded};
use crate::entropy::Entropy;
use crate::env::PrefetchPlan;
use crate::fault::Faults;
use crate::high_water_mark::Watch;
use crate::memory::{Portion, Share};
use crate::metrics::{ProgressGauge, ProjectionMetrics};
use crate::options::{Options, Ports};
use crate::shutdown::Shutdown;
use crate::status::Status;
pub use ceiling::Ceiling;
use failing::Trying;
use reading::Ahead;

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
    pub high_water_mark: Watch,
    pub metrics: ProjectionMetrics,
    pub status: Arc<Status>,
    pub entropy: Arc<Entropy>,
    /// The prefetch plan of the runner before it.
    pub prefetch: PrefetchPlan,
    /// The faults of the runners before it, and the name under which they are reported.
    pub health: (Faults, String),
    /// The one permit of its worker for building read models, all of which share the worker's time for that.
    pub rebuilds: Arc<Semaphore>,
    /// How many events the database lets this runner commit at once.
    pub ceiling: Ceiling,
    pub stop: Shutdown,
}

/// What a runner knows while its claim holds.
struct Progress {
    owned: Vec<Checkpoint>,
    ahead: Option<Ahead>,
    skipped: Option<Skipped>,
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

impl Progress {
    /// Up to where this runner knows what a stretch holds, committed or not.
    fn reached(&self, stretch: &Behind) -> Position {
        self.skipped.map_or(stretch.from, |skipped| skipped.to.position.max(stretch.from))
    }

    /// Whether the log holds another event where a checkpoint ends.
    fn contradicts(&self, high_water: Mark) -> bool {
        let here = |checkpoint: &&Checkpoint| checkpoint.position == high_water.position;
        self.owned.iter().filter(here).any(|checkpoint| checkpoint.witness != high_water.witness)
    }

    /// Reports to the metrics how far this runner is.
    fn show(&self) {
        if let Some(position) = self.owned.iter().map(|checkpoint| checkpoint.position).min() {
            self.progress_gauge.at(position);
        }
    }
}

/// The log holds nothing of interest up to `to`, which lies beyond the committed checkpoint.
#[derive(Clone, Copy)]
struct Skipped {
    to: Mark,
    /// When this began to be so. Unwanted events may come without end: they must not put off the commit.
    since: Instant,
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
        // Kept beyond the loss of a claim: while the store is away, this runner still stands where it stood.
        let progress_gauge = Arc::new(self.metrics.progress_gauge());
        loop {
            match self.work(&mut backoff, &progress_gauge).await {
                Ok(Next::End(ended)) => {
                    self.status.clear(&self.part());
                    return (ended, self.prefetch);
                }
                // A moment's rest keeps this from spinning, should the log be set back again and again.
                Ok(_) => {
                    if self.sleep(self.options.poll_min).await {
                        return (Ended::Stopped, self.prefetch);
                    }
                }
                Err(error) => {
                    let projection = &self.loaded.deployment.projection;
                    let reason = crate::chain(&error);
                    tracing::warn!(%projection, %reason, "the store failed; trying again");
                    self.status.block(&self.part(), reason);
                    if self.sleep(retry::spread(backoff.next_pause(), self.entropy.fraction())).await {
                        // The condition of this runner blocks no other any more.
                        self.status.clear(&self.part());
                        return (Ended::Stopped, self.prefetch);
                    }
                }
            }
        }
    }

    /// Claims, and works while the claim holds.
    async fn work(
        &mut self,
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
        let mut progress = Progress {
            owned,
            ahead: None,
            skipped: None,
            limit: self.batch_max().min(self.ceiling.events()),
            trying: None,
            portion: Portion::Sure,
            reported: None,
            progress_gauge: Arc::clone(progress_gauge),
            permit: None,
        };
        progress.show();
        loop {
            if self.high_water_mark.incarnation() != incarnation {
                return Ok(Next::Claim);
            }
            let high_water = self.high_water_mark.mark();
            if progress.contradicts(high_water) {
                return Ok(Next::Claim);
            }
            let next = match checkpoint::furthest_behind(&progress.owned, high_water) {
                _ if self.stop.is_requested() => {
                    self.commit_skipped(&mut progress).await?;
                    Next::End(Ended::Stopped)
                }
                // Not only when there is nothing else to do: under constant load there always is.
                _ if self.skipped_due(&progress).is_some_and(|due| Instant::now() >= due) => {
                    self.commit_skipped(&mut progress).await?
                }
                Some(stretch) if progress.reached(&stretch) < stretch.upto.position => {
                    if self.is_slowed_down(high_water.position.distance_from(progress.reached(&stretch)))
                        && !self.take_permit(&mut progress).await
                    {
                        continue;
                    }
                    let began = Instant::now();
                    let next = self.round(&mut progress, &stretch).await?;
                    self.rest(&mut progress, began.elapsed(), &next).await;
                    next
                }
                _ => self.idle(&mut progress, high_water, incarnation).await?,
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
    async fn take_permit(&mut self, progress: &mut Progress) -> bool {
        tokio::select! {
            biased;
            () = self.stop.requested() => false,
            permit = Arc::clone(&self.rebuilds).acquire_owned() => {
                progress.permit = permit.ok();
                true
            }
        }
    }

    /// Rests after a round that took so long, then gives the permit to the runner that waits for it. A runner that gave
    /// it back during the round has paused already.
    async fn rest(&mut self, progress: &mut Progress, took: Duration, next: &Next) {
        let permit = progress.permit.take();
        if permit.is_some() && *next == Next::Round {
            let share = self.options.rebuild_share.clamp(REBUILD_SHARE_MIN, 1.0);
            self.sleep(took.mul_f64(1.0 / share - 1.0).min(REST_MAX)).await;
        }
    }

    /// Waits for something to do. A checkpoint that only skipped events is committed after a while, so
    /// that a quiet projection does not write with every event that it does not want.
    async fn idle(
        &mut self,
        progress: &mut Progress,
        high_water: Mark,
        incarnation: u64,
    ) -> Result<Next, StoreError> {
        self.works();
        // Others may have seen more of the log than this process has, but not for long.
        let is_ahead = progress.owned.iter().any(|checkpoint| checkpoint.position > high_water.position);
        let doubt = async {
            match is_ahead {
                true => tokio::time::sleep(self.options.poll_max * 2).await,
                false => std::future::pending().await,
            }
        };
        let commit_due = self.skipped_due(progress);
        let due = async {
            match commit_due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.requested() => Ok(Next::Round),
            () = due => self.commit_skipped(progress).await,
            () = self.high_water_mark.beyond(high_water.position, incarnation) => Ok(Next::Round),
            () = doubt => Ok(Next::Claim),
        }
    }

    /// One batch: read, run, commit.
    async fn round(&mut self, progress: &mut Progress, stretch: &Behind) -> Result<Next, StoreError> {
        let mut ahead = self.read(progress, stretch).await?;
        if ahead.events().is_empty() {
            if let Some(unreadable) = ahead.unreadable() {
                let failed = FailedEvent::unreadable(unreadable);
                return self.event_failed(progress, ahead, failed).await;
            }
            let since = progress.skipped.map_or_else(Instant::now, |skipped| skipped.since);
            progress.skipped = Some(Skipped { to: ahead.reached(), since });
            let alone = progress.owned.iter().all(|checkpoint| checkpoint.position == stretch.from);
            // Ranges that stand elsewhere wait to be joined: only a commit brings them together.
            return if alone { Ok(Next::Round) } else { self.commit_skipped(progress).await };
        }
        let Some(share) = self.memory(progress).await else {
            progress.ahead = Some(ahead);
            return Ok(Next::Round);
        };
        let bounds = Bounds { events: progress.limit, duration: self.options.batch_duration_max };
        let read_model = &self.ports.read_model;
        let events = ahead.events();
        let mut run =
            batch::run(&self.loaded, read_model, &mut self.prefetch, events, bounds, share, &self.stop)
                .await?;
        self.metrics.called(&run.durations, run.memory_peak);
        if let Some(observer) = &self.options.observer {
            observer.calls(&self.loaded.deployment.projection, &run.durations);
        }
        if let Some(last) = run.last {
            let to = ahead.reached_after(run.handled, last);
            let committed = self.commit(progress, stretch, to, run.changes, Vec::new(), run.handled).await?;
            // Pauses and waits from here on need no memory.
            run.share = None;
            match committed {
                CommitOutcome::Committed => ahead.take(run.handled),
                outcome => return self.not_committed(progress, ahead, run.handled, outcome).await,
            }
        }
        run.share = None;
        let batch_max = self.batch_max();
        progress.limit = (progress.limit * 2).min(self.ceiling.raised(batch_max, Instant::now()));
        progress.portion = if run.crowded { Portion::Whole } else { Portion::Sure };
        match run.failed {
            None if run.crowded && run.handled == 0 => {
                progress.ahead = Some(ahead);
                Ok(Next::Round)
            }
            None => {
                self.recovered(progress).await?;
                progress.ahead = Some(ahead);
                Ok(Next::Round)
            }
            Some(failed) => self.event_failed(progress, ahead, failed).await,
        }
    }

    /// The memory for a batch; nothing if a stop was asked for before there was any.
    async fn memory(&mut self, progress: &mut Progress) -> Option<Share> {
        if progress.portion == Portion::Whole {
            // This may take a while, in which others can be built.
            progress.permit = None;
        }
        let (memory, part) = (Arc::clone(&self.options.memory), self.part());
        tokio::select! {
            biased;
            () = self.stop.requested() => None,
            share = memory.share(progress.portion, &part) => Some(share),
        }
    }

    /// Commits what a batch has changed and moves the stretch's checkpoints to `to`.
    async fn commit(
        &self,
        progress: &mut Progress,
        stretch: &Behind,
        to: Mark,
        changes: Vec<CollectionChanges>,
        dead_letters: Vec<DeadLetter>,
        events: usize,
    ) -> Result<CommitOutcome, StoreError> {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        let letters = dead_letters.len() as u64;
        let batch = Commit {
            read_model: self.loaded.deployment.read_model,
            generation: self.generation,
            ranges: stretch.ranges.clone(),
            from: stretch.from,
            to,
            changes,
            dead_letters,
            events,
            // Owning everything is not enough: while this batch runs, others may take over the ranges that
            // it does not move, and commit. Only a batch that moves everything is fenced from all of them.
            sole_owner: stretch.ranges == [HashRange::ALL],
        };
        let began = Instant::now();
        let outcome = self.ports.read_model.commit(&batch).await?;
        if outcome == CommitOutcome::LogSetBack {
            let projection = &self.loaded.deployment.projection;
            let (from, to) = (batch.from, batch.to.position);
            tracing::warn!(%projection, %from, %to, "the log is not the one that was read or handled: claiming again");
        }
        if outcome == CommitOutcome::Committed {
            progress.owned = checkpoint::advance(&progress.owned, &stretch.ranges, to);
            progress.skipped = None;
            progress.show();
            self.works();
            self.metrics.committed(events, letters, began.elapsed());
        }
        Ok(outcome)
    }

    /// When a checkpoint that moved only over unwanted events is to be committed.
    fn skipped_due(&self, progress: &Progress) -> Option<Instant> {
        let skipped = progress.skipped.filter(|skipped| skipped.to.witness.is_some())?;
        Some(skipped.since + self.options.idle_commit_delay)
    }

    /// Commits a checkpoint that moved only over unwanted events.
    async fn commit_skipped(&self, progress: &mut Progress) -> Result<Next, StoreError> {
        let skipped = progress.skipped.filter(|skipped| skipped.to.witness.is_some());
        let Some(Skipped { to, .. }) = skipped else { return Ok(Next::Round) };
        let Some(stretch) = checkpoint::furthest_behind(&progress.owned, to) else { return Ok(Next::Round) };
        match self.commit(progress, &stretch, to, Vec::new(), Vec::new(), 0).await? {
            CommitOutcome::Fenced => Ok(Next::End(Ended::Superseded)),
            CommitOutcome::LogSetBack => Ok(Next::Claim),
            CommitOutcome::CutShort { reason } => Err(failing::too_short(reason)),
            _ => Ok(Next::Round),
        }
    }

    fn batch_max(&self) -> usize {
        let configured = self.options.batch.unwrap_or(self.loaded.deployment.settings.batch);
        configured.clamp(1, limits::BATCH_EVENTS_MAX)
    }

    /// The name under which this runner appears in the status.
    fn part(&self) -> String {
        let what = match self.loaded.role {
            Role::Serving => "projection",
            Role::Candidate => "rebuild of",
        };
        format!("{what} {} from {:08x}", self.loaded.deployment.projection, self.range.start())
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
