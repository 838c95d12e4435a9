//! Registers the workers of this process, keeps them alive, and agrees with the others on generations.
//!
//! There is no leader: any process that sees that the living workers differ from the current generation proposes the
//! next one, and the store lets exactly one proposal win. The coordinator never touches a checkpoint; runners claim
//! theirs with the generation that it publishes.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::membership::{Cause, Generation, WorkerId, WorkerState};
use kennel_core::plan;
use kennel_core::port::{Coordination, NewWorker, ProposeOutcome, StoreError};
use kennel_core::retry::{self, Backoff};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::entropy::Entropy;
use crate::metrics::ReplicaSetMetrics;
use crate::options::Options;
use crate::shutdown::Shutdown;
use crate::status::{Part, Status};

/// How long a worker that stops tries to notify the store.
const SIGN_OFF_MAX: Duration = Duration::from_secs(2);

/// The partitions that this process owns in one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments {
    pub generation: Generation,
    /// Number of partitions of the generation.
    pub partitions: u32,
    /// This process's workers, each with the partition it owns.
    pub mine: Vec<(WorkerId, u32)>,
}

/// Keeps the workers of this process in the replica set.
pub struct Coordinator {
    pub coordination: Arc<dyn Coordination>,
    pub options: Options,
    pub metrics: ReplicaSetMetrics,
    pub status: Arc<Status>,
    pub entropy: Arc<Entropy>,
    /// Woken when a runner has reason to believe that the generation has changed.
    pub look: Arc<Notify>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Coordinator {
    /// Coordinates until `stop` is asked for, then marks the workers as stopping. Call [`Self::leave`]
    /// when their work has ended.
    pub async fn run(&self, publish: &watch::Sender<Assignments>, mut stop: Shutdown) -> Vec<WorkerId> {
        let mut workers: Vec<WorkerId> = Vec::new();
        let mut joining: Option<WorkerId> = None;
        let mut heartbeat_due = Instant::now();
        let mut backoff = Backoff::new(self.options.poll_min, self.options.poll_max);
        // Since when the workers may differ from the published assignments, and since when the store could not be
        // asked.
        let (mut noticed, mut failing): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            if stop.is_requested() {
                break;
            }
            match self.round(&mut workers, &mut joining, &mut heartbeat_due, &mut noticed, publish).await {
                Ok(()) => {
                    self.status.clear(&Part::Coordination);
                    backoff.reset();
                    failing = None;
                    let until = self.options.coordination_interval.min(heartbeat_due - Instant::now());
                    tokio::select! {
                        biased;
                        () = stop.requested() => {}
                        () = self.look.notified() => {}
                        () = self.coordination.workers_changed() => {}
                        () = tokio::time::sleep(until) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(reason = crate::chain(&error), "coordination failed; trying again");
                    self.status.block(Part::Coordination, crate::chain(&error));
                    if failing.get_or_insert_with(Instant::now).elapsed() >= self.options.stale_after {
                        // No worker can work, and the last view of the others is too old to be reported.
                        self.metrics.lost_sight();
                    }
                    let pause = retry::spread(backoff.next_pause(), self.entropy.fraction());
                    tokio::select! {
                        biased;
                        () = stop.requested() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
        workers.extend(joining);
        for worker in &workers {
            self.metrics.worker_state(*worker, WorkerState::Stopping);
        }
        // For operators who look at the workers; that it may fail changes nothing.
        let heartbeat = self.coordination.heartbeat(&workers, WorkerState::Stopping);
        let _ = tokio::time::timeout(SIGN_OFF_MAX, heartbeat).await;
        workers
    }

    /// Takes the workers out of the replica set. A failure is only logged: the others will notice their
    /// silence.
    pub async fn leave(&self, workers: &[WorkerId]) {
        match tokio::time::timeout(SIGN_OFF_MAX, self.coordination.leave(workers)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(reason = crate::chain(&error), "the workers could not sign off");
            }
            Err(_) => tracing::warn!("the workers could not sign off: the store does not answer"),
        }
        for worker in workers {
            self.metrics.worker_gone(*worker);
        }
    }

    async fn round(
        &self,
        workers: &mut Vec<WorkerId>,
        joining: &mut Option<WorkerId>,
        heartbeat_due: &mut Instant,
        noticed: &mut Option<Instant>,
        publish: &watch::Sender<Assignments>,
    ) -> Result<(), StoreError> {
        self.join_missing(workers, joining).await?;
        if Instant::now() >= *heartbeat_due {
            let working =
                workers.iter().any(|worker| publish.borrow().mine.iter().any(|(known, _)| known == worker));
            let state = if working { WorkerState::Processing } else { WorkerState::Coordinating };
            self.heartbeat(workers, state).await?;
            self.join_missing(workers, joining).await?;
            *heartbeat_due = Instant::now() + self.options.heartbeat_interval;
        }
        self.agree(workers, noticed, publish).await
    }

    /// Joins until there are as many workers as there should be. A join whose outcome is not known is tried again under
    /// the same id: under another, the first would be left behind as a worker that owns a partition and does nothing,
    /// until its silence is noticed.
    async fn join_missing(
        &self,
        workers: &mut Vec<WorkerId>,
        joining: &mut Option<WorkerId>,
    ) -> Result<(), StoreError> {
        while workers.len() < self.options.workers.max(1) {
            let worker = NewWorker {
                id: *joining.get_or_insert_with(|| self.entropy.worker_id()),
                replica_set: self.options.replica_set.clone(),
                host: self.options.host.clone(),
                pid: self.options.pid,
            };
            self.coordination.join(&worker).await?;
            self.metrics.worker_registered();
            self.metrics.worker_state(worker.id, WorkerState::Initializing);
            tracing::debug!(worker = %worker.id, "joined");
            *joining = None;
            workers.push(worker.id);
        }
        Ok(())
    }

    async fn heartbeat(&self, workers: &mut Vec<WorkerId>, state: WorkerState) -> Result<(), StoreError> {
        let began = Instant::now();
        let registered = self.coordination.heartbeat(workers, state).await?;
        self.metrics.heartbeat(began.elapsed());
        workers.retain(|worker| {
            let kept = registered.contains(worker);
            if !kept {
                tracing::warn!(%worker, "taken for dead by the others; joining again as a new worker");
                self.metrics.worker_gone(*worker);
            }
            kept
        });
        Ok(())
    }

    /// Looks at the replica set until its generation fits its living workers, then publishes.
    async fn agree(
        &self,
        workers: &[WorkerId],
        noticed: &mut Option<Instant>,
        publish: &watch::Sender<Assignments>,
    ) -> Result<(), StoreError> {
        // Kept over rounds that fail: the time until an agreement includes them.
        let began = *noticed.get_or_insert_with(Instant::now);
        let replica_set = &self.options.replica_set;
        let stale_after = self.options.stale_after;
        loop {
            let view = self.coordination.view(replica_set, stale_after).await?;
            let alive = view.alive();
            let Some(plan) = plan::next(&view.assignment, &alive) else {
                self.metrics.observed(alive.len(), view.assignment.partitions());
                let mine = workers
                    .iter()
                    .filter_map(|worker| Some((*worker, view.assignment.partition_of(*worker)?)));
                let assignments = Assignments {
                    generation: view.assignment.generation,
                    partitions: view.assignment.partitions(),
                    mine: mine.collect(),
                };
                self.publish(assignments, publish, began.elapsed());
                *noticed = None;
                return Ok(());
            };
            for worker in workers {
                self.metrics.worker_state(*worker, WorkerState::Coordinating);
            }
            let outcome = self
                .coordination
                .propose(replica_set, view.assignment.generation, &plan, stale_after)
                .await?;
            if let ProposeOutcome::Accepted { generation, stale_removed } = outcome {
                let partitions = u32::try_from(plan.owners.len()).unwrap_or(u32::MAX);
                self.metrics.generation_created(partitions, plan.cause != Cause::First, stale_removed);
                tracing::info!(%generation, partitions, cause = plan.cause.as_str(), "new generation");
            }
        }
    }

    fn publish(&self, assignments: Assignments, publish: &watch::Sender<Assignments>, took: Duration) {
        for (worker, _) in &assignments.mine {
            self.metrics.worker_state(*worker, WorkerState::Processing);
        }
        let changed = *publish.borrow() != assignments;
        if changed {
            self.metrics.coordinated(took);
            publish.send_replace(assignments);
        }
    }
}
