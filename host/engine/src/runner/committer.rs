//! Commits what a batch has changed, together with its checkpoints, under the generation of its runner.

use std::sync::Arc;

use kennel_core::change::CollectionChanges;
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::port::{Commit, CommitOutcome, DeadLetter, ReadModel, StoreError};
use kennel_core::projection::Deployment;
use tokio::time::Instant;

use super::pending::Advance;
use crate::memory::Share;
use crate::metrics::ProjectionMetrics;

/// What one commit holds.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) advance: Advance,
    pub(super) changes: Vec<CollectionChanges>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// How many events were handled.
    pub(super) events: usize,
    /// The memory of the changes, until they are committed.
    pub(super) share: Option<Share>,
}

impl Batch {
    /// A batch that changes no document.
    pub(super) fn of(advance: Advance, dead_letters: Vec<DeadLetter>) -> Self {
        Self { advance, changes: Vec::new(), dead_letters, events: 0, share: None }
    }
}

/// Commits to the read model of one deployment.
pub(super) struct Committer {
    read_model: Arc<dyn ReadModel>,
    deployment: Arc<Deployment>,
    generation: Generation,
    metrics: ProjectionMetrics,
}

impl Committer {
    pub(super) fn new(
        read_model: Arc<dyn ReadModel>,
        deployment: Arc<Deployment>,
        generation: Generation,
        metrics: ProjectionMetrics,
    ) -> Self {
        Self { read_model, deployment, generation, metrics }
    }

    /// Commits a batch. Its memory is given back before this returns: pauses and waits from there on need none.
    pub(super) async fn commit(&self, batch: Batch) -> Result<CommitOutcome, StoreError> {
        let Batch { advance: Advance { ranges, from, to }, changes, dead_letters, events, share } = batch;
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        let letters = dead_letters.len() as u64;
        let commit = Commit {
            read_model: self.deployment.read_model,
            generation: self.generation,
            // Owning everything is not enough: while this batch runs, others may take over the ranges that
            // it does not move, and commit. Only a batch that moves everything is fenced from all of them.
            sole_owner: ranges == [HashRange::ALL],
            ranges,
            from,
            to,
            changes,
            dead_letters,
            events,
        };
        let began = Instant::now();
        let outcome = self.read_model.commit(&commit).await?;
        let took = began.elapsed();
        drop((commit, share));
        if outcome == CommitOutcome::LogSetBack {
            let (projection, to) = (&self.deployment.projection, to.position);
            tracing::warn!(%projection, %from, %to, "the log is not the one that was read or handled: claiming again");
        }
        if outcome == CommitOutcome::Committed {
            self.metrics.committed(events, letters, took);
        }
        Ok(outcome)
    }
}
