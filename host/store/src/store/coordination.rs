//! Workers and generations. Every judgement of time happens inside the database, by its clock: hosts
//! whose clocks differ would otherwise take each other for dead.

use std::time::Duration;

use async_trait::async_trait;
use kennel_core::checkpoint::{Checkpoint, claim};
use kennel_core::lifecycle::ReadModelStatus;
use kennel_core::limits::GENERATIONS_KEPT;
use kennel_core::membership::{Assignment, Generation, Member, WorkerId, WorkerState};
use kennel_core::name::ReplicaSet;
use kennel_core::partition::HashRange;
use kennel_core::plan::Plan;
use kennel_core::port::{
    ClaimOutcome, ConnectionUsage, Coordination, GenerationRecord, NewWorker, ProposeOutcome, StoreError,
    View,
};
use kennel_core::projection::ReadModelId;

use crate::backend::Backend;
use crate::error::{Doing, corrupt, while_blocked};
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Durability, Row, Tx as _};
use crate::store::SqlStore;
use crate::store::log_set_back::Found;

/// How long a claim is tried while another transaction blocks it.
const CLAIM_MAX: Duration = Duration::from_secs(5);

#[async_trait]
impl<B: Backend> Coordination for SqlStore<B> {
    async fn join(&self, worker: &NewWorker) -> Result<(), StoreError> {
        let doing = "registering a worker";
        let lock_key = self.backend.announce_alive(worker.id).await?;
        let id = worker.id.to_string();
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        let replica_set = Arg::Text(worker.replica_set.as_str());
        tx.execute(&self.sql.replica_set_ensure, &[replica_set]).await.doing(doing)?;
        let args = [
            Arg::Text(&id),
            replica_set,
            Arg::Text(&worker.host),
            Arg::Int(i64::from(worker.pid)),
            Arg::Text(WorkerState::Initializing.as_str()),
            Arg::IntOrNull(lock_key),
        ];
        tx.execute(&self.sql.worker_join, &args).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    async fn heartbeat(&self, workers: &[WorkerId], state: WorkerState) -> Result<Vec<WorkerId>, StoreError> {
        let doing = "sending a heartbeat";
        let ids = row::to_json(&workers)?;
        let args = [Arg::Text(&ids), Arg::Text(state.as_str())];
        let known = self.backend.heartbeat(&self.sql.worker_heartbeat, &args, doing).await?;
        known.iter().map(|row| row::worker(&row.text("id").doing(doing)?)).collect()
    }

    async fn leave(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        let ids = row::to_json(&workers)?;
        let doing = "removing workers";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        tx.execute(&self.sql.worker_leave, &[Arg::Text(&ids)]).await.doing(doing)?;
        self.backend.announce_change(&mut tx).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        for worker in workers {
            self.backend.announce_gone(*worker).await;
        }
        Ok(())
    }

    async fn view(&self, replica_set: &ReplicaSet, stale_after: Duration) -> Result<View, StoreError> {
        let doing = "looking at a replica set";
        let args = [Arg::Text(replica_set.as_str()), Arg::Int(micros(stale_after))];
        // On the connection that shows that this process is alive: were it broken, the process would find
        // its own workers dead. One statement, because every process asks this every second.
        let rows = self.backend.liveness_read(&self.sql.view, &args, doing).await?;
        let mut view = View::default();
        for found in &rows {
            // Reported once, with the first row.
            if found.text_or_null("owners").doing(doing)?.is_some() {
                view.assignment = assignment(found)?;
            }
            if found.text_or_null("id").doing(doing)?.is_some() {
                view.members.push(member(found)?);
            }
        }
        view.members.sort_unstable_by_key(|member| member.id);
        Ok(view)
    }

    async fn propose(
        &self,
        replica_set: &ReplicaSet,
        parent: Generation,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<ProposeOutcome, StoreError> {
        let doing = "proposing a generation";
        let name = Arg::Text(replica_set.as_str());
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        tx.execute(&self.sql.replica_set_ensure, &[name]).await.doing(doing)?;
        // The second proposer waits here, and then sees that its parent is no longer current.
        let row = tx.row(&self.sql.replica_set_lock, &[name]).await.doing(doing)?;
        if current_generation(row, doing)? != parent {
            tx.rollback().await.doing(doing)?;
            return Ok(ProposeOutcome::Superseded);
        }
        let generation = parent.next();
        let owners = row::to_json(&plan.owners)?;
        let number = Arg::Int(signed(generation.get()));
        let args = [name, number, Arg::Text(&owners), Arg::Text(plan.cause.as_str())];
        tx.execute(&self.sql.generation_insert, &args).await.doing(doing)?;
        tx.execute(&self.sql.replica_set_advance, &[name, number]).await.doing(doing)?;
        let forgotten = generation.get().saturating_sub(GENERATIONS_KEPT);
        tx.execute(&self.sql.generation_prune, &[name, Arg::Int(signed(forgotten))]).await.doing(doing)?;
        let stale_removed = self.remove_stale(&mut tx, name, plan, stale_after).await?;
        self.backend.announce_change(&mut tx).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        Ok(ProposeOutcome::Accepted { generation, stale_removed })
    }

    async fn claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<ClaimOutcome, StoreError> {
        let claim = || self.try_claim(replica_set, generation, read_model, range);
        while_blocked(CLAIM_MAX, claim).await
    }

    async fn workers_changed(&self) {
        self.backend.next_change().await;
    }

    fn connections(&self) -> Option<ConnectionUsage> {
        self.backend.connections()
    }

    async fn history(
        &self,
        replica_set: &ReplicaSet,
        limit: usize,
    ) -> Result<Vec<GenerationRecord>, StoreError> {
        let args = [Arg::Text(replica_set.as_str()), Arg::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
        let rows = self.backend.rows(&self.sql.generation_history, &args, "reading past generations").await?;
        rows.iter().map(record).collect()
    }
}

impl<B: Backend> SqlStore<B> {
    async fn try_claim(
        &self,
        replica_set: &ReplicaSet,
        generation: Generation,
        read_model: ReadModelId,
        range: HashRange,
    ) -> Result<ClaimOutcome, StoreError> {
        let doing = "claiming checkpoints";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        // Other transactions wait for this one meanwhile, and it may wait for a batch that waits for a
        // table.
        self.backend.limit_waiting(&mut tx).await.doing(doing)?;
        // As long as this lock is held, no newer generation can be agreed on; claims of other workers
        // share it.
        let row = tx
            .row(&self.sql.replica_set_lock_shared, &[Arg::Text(replica_set.as_str())])
            .await
            .doing(doing)?;
        if current_generation(row, doing)? != generation {
            tx.rollback().await.doing(doing)?;
            return Ok(ClaimOutcome::Superseded);
        }
        // Claims of one read model run one at a time. Otherwise a claim that waits for a row which
        // another claim splits would not see the piece that was split off.
        let id = Arg::Int(read_model.get());
        let status = match tx.row(&self.sql.read_model_lock, &[id]).await.doing(doing)? {
            Some(found) => row::word(&found, "status").ok(),
            None => None,
        };
        if status != Some(ReadModelStatus::Active) {
            tx.rollback().await.doing(doing)?;
            return Ok(ClaimOutcome::Fenced);
        }
        let args = [id, Arg::Int(signed(range.start())), Arg::Int(signed(range.end()))];
        let rows = tx.rows(&self.sql.checkpoints_overlapping, &args).await.doing(doing)?;
        let found = rows.iter().map(Found::new).collect::<Result<Vec<_>, _>>()?;
        if let Some(set_back) = self.log_set_back(&mut tx, read_model, &found).await? {
            tx.rollback().await.doing(doing)?;
            return Ok(ClaimOutcome::LogSetBack(set_back));
        }
        let current: Vec<Checkpoint> = found.iter().map(|found| found.checkpoint).collect();
        let claim = claim(&current, range, generation);
        let covered: u64 = claim.owned.iter().map(|owned| owned.range.end() - owned.range.start()).sum();
        if covered != range.end() - range.start() {
            // A worker that owned less than its partition would leave the rest unhandled, silently.
            return Err(corrupt("the checkpoints of a partition", &format!("{:?}", claim.owned)));
        }
        for removed in &claim.removed {
            let args = [id, Arg::Int(signed(removed.start()))];
            tx.execute(&self.sql.checkpoint_delete, &args).await.doing(doing)?;
        }
        for written in &claim.written {
            self.insert_checkpoint(&mut tx, read_model, written).await.doing(doing)?;
        }
        tx.commit().await.doing(doing)?;
        Ok(ClaimOutcome::Owned(claim.owned))
    }

    /// Removes all workers.
    pub(crate) async fn forget_workers(&self) -> Result<(), StoreError> {
        let doing = "removing the workers of former processes";
        let mut tx = self.backend.begin(Durability::Replayable, doing).await?;
        tx.execute(&self.sql.workers_forget, &[]).await.doing(doing)?;
        tx.commit().await.doing(doing)
    }

    /// Removes the workers that the plan leaves out and that are not alive.
    async fn remove_stale(
        &self,
        tx: &mut B::Tx,
        replica_set: Arg<'_>,
        plan: &Plan,
        stale_after: Duration,
    ) -> Result<u64, StoreError> {
        let doing = "removing stale workers";
        let stale_after = Arg::Int(micros(stale_after));
        let mut removed = 0;
        for found in tx.rows(&self.sql.workers, &[replica_set, stale_after]).await.doing(doing)? {
            let member = member(&found)?;
            if member.alive || plan.owners.contains(&member.id) {
                continue;
            }
            // It is judged once more as it is removed: its heartbeat may arrive in between.
            let id = member.id.to_string();
            let args = [Arg::Text(&id), stale_after];
            removed += tx.execute(&self.sql.worker_remove_stale, &args).await.doing(doing)?;
        }
        Ok(removed)
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn current_generation(row: Option<impl Row>, doing: &str) -> Result<Generation, StoreError> {
    let number = row.map(|row| row.int("generation")).transpose().doing(doing)?.unwrap_or(0);
    Ok(Generation::new(unsigned(number)))
}

/// A generation and its owners.
fn assignment(row: &impl Row) -> Result<Assignment, StoreError> {
    let doing = "reading a generation";
    Ok(Assignment {
        generation: Generation::new(unsigned(row.int("generation").doing(doing)?)),
        owners: row::owners(&row.text("owners").doing(doing)?)?,
    })
}

fn member(row: &impl Row) -> Result<Member, StoreError> {
    let doing = "reading a worker";
    Ok(Member {
        id: row::worker(&row.text("id").doing(doing)?)?,
        host: row.text("host").doing(doing)?,
        pid: u32::try_from(row.int("pid").doing(doing)?).unwrap_or(0),
        state: row::word(row, "state")?,
        heartbeat_age: Duration::from_micros(unsigned(row.int("heartbeat_age").doing(doing)?)),
        alive: row.int("alive").doing(doing)? != 0,
    })
}

fn record(row: &impl Row) -> Result<GenerationRecord, StoreError> {
    let doing = "reading a past generation";
    Ok(GenerationRecord {
        assignment: assignment(row)?,
        cause: row::word(row, "cause")?,
        age: Duration::from_micros(unsigned(row.int("age").doing(doing)?)),
    })
}
