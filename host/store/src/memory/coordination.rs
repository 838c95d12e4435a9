//! Workers and generations in memory. A worker is as alive as its heartbeat.

use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::claim;
use kennel_core::lifecycle::ReadModelStatus;
use kennel_core::limits::GENERATIONS_KEPT;
use kennel_core::membership::{Assignment, Generation, Member, WorkerId, WorkerState};
use kennel_core::name::ReplicaSet;
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{
    ClaimOutcome, Coordination, GenerationRecord, NewWorker, ProposeOutcome, StoreError, View,
};
use kennel_core::projection::ReadModelId;

use super::{MemoryStore, State, Worker};

impl State {
    fn assignment(&self, replica_set: &ReplicaSet) -> Assignment {
        let last = self.replica_sets.get(replica_set).and_then(|generations| generations.last());
        last.map(|record| record.assignment.clone()).unwrap_or_default()
    }
}

impl Worker {
    fn is_alive(&self, now: Duration, stale_after: Duration) -> bool {
        now.saturating_sub(self.heartbeat) < stale_after
    }
}

#[async_trait]
impl Coordination for MemoryStore {
    async fn join(&self, worker: &NewWorker) -> Result<(), StoreError> {
        let heartbeat = self.now();
        let joined = Worker { registered: worker.clone(), state: WorkerState::Initializing, heartbeat };
        self.state()
            .workers
            .entry(worker.id)
            .and_modify(|known| known.heartbeat = heartbeat)
            .or_insert(joined);
        Ok(())
    }

    async fn heartbeat(&self, workers: &[WorkerId], state: WorkerState) -> Result<Vec<WorkerId>, StoreError> {
        let heartbeat = self.now();
        let mut all = self.state();
        let registered = workers.iter().copied().filter(|id| {
            let Some(worker) = all.workers.get_mut(id) else { return false };
            (worker.heartbeat, worker.state) = (heartbeat, state);
            true
        });
        Ok(registered.collect())
    }

    async fn leave(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        self.state().workers.retain(|id, _| !workers.contains(id));
        Ok(())
    }

    async fn view(&self, replica_set: &ReplicaSet, stale_after: Duration) -> Result<View, StoreError> {
        let now = self.now();
        let state = self.state();
        let workers = state.workers.values().filter(|worker| worker.registered.replica_set == *replica_set);
        let members = workers.map(|worker| Member {
            id: worker.registered.id,
            host: worker.registered.host.clone(),
            pid: worker.registered.pid,
            state: worker.state,
            heartbeat_age: now.saturating_sub(worker.heartbeat),
            alive: worker.is_alive(now, stale_after),
        });
        Ok(View { assignment: state.assignment(replica_set), members: members.collect() })
    }

    async fn propose(
        &self,
        replica_set: &ReplicaSet,
        parent: Generation,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<ProposeOutcome, StoreError> {
        let now = self.now();
        let mut state = self.state();
        if state.assignment(replica_set).generation != parent {
            return Ok(ProposeOutcome::Superseded);
        }
        let generation = parent.next();
        let assignment = Assignment { generation, owners: plan.owners.clone() };
        // Until it is read, `age` holds the time at which the generation was made.
        let record = GenerationRecord { assignment, cause: plan.cause, age: now };
        let generations = state.replica_sets.entry(replica_set.clone()).or_default();
        generations.push(record);
        let forgotten =
            generations.len().saturating_sub(usize::try_from(GENERATIONS_KEPT).unwrap_or(usize::MAX));
        generations.drain(..forgotten);
        let before = state.workers.len();
        state.workers.retain(|id, worker| {
            worker.registered.replica_set != *replica_set
                || plan.owners.contains(id)
                || worker.is_alive(now, stale_after)
        });
        let stale_removed = (before - state.workers.len()) as u64;
        Ok(ProposeOutcome::Accepted { generation, stale_removed })
    }

    async fn claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<ClaimOutcome, StoreError> {
        let mut state = self.state();
        if state.assignment(replica_set).generation != generation {
            return Ok(ClaimOutcome::Superseded);
        }
        let active =
            state.read_models.get(&read_model).filter(|built| built.status == ReadModelStatus::Active);
        if active.is_none() {
            return Ok(ClaimOutcome::Fenced);
        }
        if let Some(set_back) = state.log_set_back(read_model, range) {
            return Ok(ClaimOutcome::LogSetBack(set_back));
        }
        let Some(built) = state.read_models.get_mut(&read_model) else { return Ok(ClaimOutcome::Fenced) };
        let claim = claim(&built.checkpoints, range, generation);
        built.checkpoints.retain(|row| !claim.removed.contains(&row.range));
        built.checkpoints.extend(claim.written);
        built.checkpoints.sort_unstable();
        Ok(ClaimOutcome::Owned(claim.owned))
    }

    async fn history(
        &self,
        replica_set: &ReplicaSet,
        limit: usize,
    ) -> Result<Vec<GenerationRecord>, StoreError> {
        let now = self.now();
        let state = self.state();
        let latest = state.replica_sets.get(replica_set).into_iter().flatten().rev().take(limit);
        let aged =
            latest.map(|record| GenerationRecord { age: now.saturating_sub(record.age), ..record.clone() });
        Ok(aged.collect())
    }
}
