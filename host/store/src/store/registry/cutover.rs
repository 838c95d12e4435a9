//! The steps of a cutover, each in one transaction, and garbage collection.

use async_trait::async_trait;
use kennel_core::checkpoint;
use kennel_core::lifecycle::{self as rules, Attribution, Decision, Lifecycle};
use kennel_core::name::ProjectionName;
use kennel_core::port::{Cutover, CutoverOutcome, StoreError};
use kennel_core::projection::ReadModelId;

use super::lifecycle::BLOCKED_MAX;
use crate::backend::Backend;
use crate::error::{Doing, advised, while_blocked};
use crate::session::{Arg, Durability, Tx as _};
use crate::store::SqlStore;
use crate::store::log_set_back::Found;

#[async_trait]
impl<B: Backend> Cutover for SqlStore<B> {
    async fn begin_cutover(
        &self,
        projection: &ProjectionName,
        slack: u64,
    ) -> Result<CutoverOutcome, StoreError> {
        let doing = "beginning the cutover of read models";
        self.take_step(projection, rules::begin_cutover, slack, doing).await
    }

    async fn complete_cutover(&self, projection: &ProjectionName) -> Result<CutoverOutcome, StoreError> {
        let doing = "completing the cutover of read models";
        self.take_step(projection, rules::complete_cutover, 0, doing).await
    }

    async fn abort_cutover(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        while_blocked(BLOCKED_MAX, || self.try_abort(projection)).await
    }

    async fn collect_garbage(&self) -> Result<u64, StoreError> {
        self.publish_late().await?;
        self.forget_removed().await?;
        let removed = self.remove_deleting().await?;
        self.expire_conditions().await?;
        self.remove_unused_components().await?;
        Ok(removed)
    }
}

impl<B: Backend> SqlStore<B> {
    /// A step of a cutover, if it is due and the candidate is at most `slack` positions behind.
    async fn take_step(
        &self,
        projection: &ProjectionName,
        decide: fn(&Lifecycle) -> Option<Decision>,
        slack: u64,
        doing: &str,
    ) -> Result<CutoverOutcome, StoreError> {
        let mut tx = self.backend.begin(Durability::Acknowledged, doing).await?;
        let work = async {
            // A reader may read the views for hours, and a process may be suspended in the middle of a batch: no other
            // transaction shall wait for that.
            self.backend.limit_waiting(&mut tx).await.doing(doing)?;
            let found = self.take_permit(&mut tx, projection, doing).await?;
            let decided = found.as_ref().and_then(|before| Some((before, decide(before)?)));
            let Some((before, decision)) = decided else { return Ok(CutoverOutcome::Nothing) };
            let behind = self.behind(&mut tx, before).await?;
            if behind > slack {
                return Ok(CutoverOutcome::Behind(behind));
            }
            self.apply(&mut tx, before, &decision, &no_actor()).await.map(|_| CutoverOutcome::Done)
        };
        match work.await {
            Ok(CutoverOutcome::Done) => tx.commit().await.doing(doing).map(|()| CutoverOutcome::Done),
            Ok(other) => tx.rollback().await.doing(doing).map(|()| other),
            // A lock that could not be had in time, or a deadlock: both mean that another transaction blocks. If the
            // database has gone away, it shows here.
            Err(error @ StoreError::Unavailable { .. }) => {
                tx.rollback().await.doing(doing)?;
                let source = match advised(error) {
                    StoreError::Unavailable { source, .. } => source,
                    for_good => return Err(for_good),
                };
                tracing::debug!(%projection, %source, "a cutover waits for the transactions that block it");
                Ok(CutoverOutcome::Busy)
            }
            Err(error) => {
                // Waited for, so that the connection stays usable; the first error says more than a second.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn try_abort(&self, projection: &ProjectionName) -> Result<(), StoreError> {
        let doing = "aborting a cutover";
        let (mut tx, found) = self.begin_permitted(projection, doing).await?;
        let Some((before, decision)) =
            found.as_ref().and_then(|before| Some((before, rules::abort_cutover(before)?)))
        else {
            return tx.rollback().await.doing(doing);
        };
        self.apply(&mut tx, before, &decision, &no_actor()).await?;
        tx.commit().await.doing(doing)
    }

    /// How far the candidate is behind the serving deployment, in positions.
    async fn behind(&self, tx: &mut B::Tx, lifecycle: &Lifecycle) -> Result<u64, StoreError> {
        let (Some(serving), Some(candidate)) = (lifecycle.serving(), lifecycle.candidate()) else {
            return Ok(0);
        };
        let mut leader = self.checkpoints(tx, serving.deployment.read_model).await?;
        let follower = self.checkpoints(tx, candidate.deployment.read_model).await?;
        if let Some(set_back) = self.log_set_back(tx, serving.deployment.read_model, &leader).await? {
            // The serving deployment went farther than the log does now: nothing can get there, and nothing has to.
            for found in &mut leader {
                found.checkpoint.position = found.checkpoint.position.min(set_back.log_end);
            }
        }
        let of = |found: &[Found]| found.iter().map(|found| found.checkpoint).collect::<Vec<_>>();
        Ok(checkpoint::behind(&of(&follower), &of(&leader)))
    }

    async fn checkpoints(&self, tx: &mut B::Tx, read_model: ReadModelId) -> Result<Vec<Found>, StoreError> {
        let doing = "reading checkpoints";
        let rows = tx.rows(&self.sql.checkpoints_of, &[Arg::Int(read_model.get())]).await.doing(doing)?;
        rows.iter().map(Found::new).collect()
    }
}

/// Steps of a cutover are taken by hosts, and recorded as outcomes without an actor.
fn no_actor() -> Attribution {
    Attribution { actor: String::new(), reason: None }
}
