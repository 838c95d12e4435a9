//! One round of a runner: read, execute, commit. Its parts know nothing of one another; what each of them yields goes
//! from here to the next, and into the state of the work in flight.
//!
//! The steps of a round follow one another here, and only here.

use std::sync::Arc;

use kennel_core::checkpoint::Behind;
use kennel_core::port::{CommitOutcome, StoreError};
use tokio::time::Instant;

use super::committer::{Batch, Committer};
use super::executor::{BatchEnd, Executed, FailedEvent};
use super::{Claimed, Ended, Next, Runner, failing};
use crate::memory::{Portion, Share};

impl Runner {
    /// One batch of a stretch.
    pub(super) async fn round(
        &mut self,
        claimed: &mut Claimed<'_>,
        stretch: &Behind,
    ) -> Result<Next, StoreError> {
        if let Some(query) = claimed.in_flight.query(stretch) {
            let page = claimed.reader.read(query).await?;
            claimed.in_flight.read(page);
        }
        if claimed.in_flight.events().is_empty() {
            return match claimed.in_flight.unreadable().map(FailedEvent::unreadable) {
                Some(failed) => self.event_failed(claimed, failed).await,
                None if claimed.in_flight.skip(stretch, Instant::now()) => self.commit_skipped(claimed).await,
                None => Ok(Next::Round),
            };
        }
        let Some(share) = self.memory(claimed).await else { return Ok(Next::Round) };
        let events = claimed.in_flight.events();
        let events = &events[..events.len().min(claimed.limit)];
        let executed = claimed.parts.executor.execute(events, share).await?;
        self.observe(&executed);
        let Executed { handled, changes, end, share, .. } = executed;
        if handled > 0 {
            // A batch that moves nothing cannot be: then nothing of it may count.
            let Some(advance) = claimed.in_flight.execute(handled) else { return Ok(Next::Claim) };
            let batch = Batch { advance, changes, dead_letters: Vec::new(), events: handled, share };
            match self.commit(claimed, batch).await? {
                CommitOutcome::Committed => {}
                outcome => return self.not_committed(claimed, handled, outcome).await,
            }
        }
        let most = claimed.parts.ceiling.raised(self.batch_max(), Instant::now());
        claimed.limit = claimed.limit.saturating_mul(2).min(most);
        let crowded = matches!(end, BatchEnd::Crowded);
        claimed.portion = if crowded { Portion::Whole } else { Portion::Sure };
        match end {
            BatchEnd::Failed(failed) => return self.event_failed(claimed, failed).await,
            BatchEnd::Crowded if handled == 0 => {}
            BatchEnd::Done | BatchEnd::Crowded => self.recovered(claimed).await?,
        }
        Ok(Next::Round)
    }

    /// Reports the calls of a batch to the metrics, and to the program that embeds the engine.
    fn observe(&self, executed: &Executed) {
        self.metrics.called(&executed.durations, executed.memory_peak);
        if let Some(observer) = &self.options.observer {
            observer.calls(&self.loaded.deployment.projection, &executed.durations);
        }
    }

    /// The memory for a batch; nothing if a stop was asked for before there was any.
    async fn memory(&mut self, claimed: &mut Claimed<'_>) -> Option<Share> {
        if claimed.portion == Portion::Whole {
            // This may take a while, in which others can be built.
            claimed.permit = None;
        }
        let (memory, part) = (Arc::clone(&self.options.memory), self.part());
        tokio::select! {
            biased;
            () = self.stop.requested() => None,
            share = memory.share(claimed.portion, &part) => Some(share),
        }
    }

    /// Commits a batch. If that fails, everything that was executed is thrown away.
    pub(super) async fn commit(
        &self,
        claimed: &mut Claimed<'_>,
        batch: Batch,
    ) -> Result<CommitOutcome, StoreError> {
        let advance = batch.advance.clone();
        let committer: &Committer = &claimed.parts.committer;
        let outcome = committer.commit(batch).await?;
        if outcome == CommitOutcome::Committed {
            claimed.in_flight.commit(&advance);
            claimed.show();
            self.works();
        } else {
            claimed.in_flight.discard();
        }
        Ok(outcome)
    }

    /// Commits a checkpoint that moved only over unwanted events.
    pub(super) async fn commit_skipped(&self, claimed: &mut Claimed<'_>) -> Result<Next, StoreError> {
        let Some(advance) = claimed.in_flight.pass_skipped() else { return Ok(Next::Round) };
        match self.commit(claimed, Batch::of(advance, Vec::new())).await? {
            CommitOutcome::Fenced => Ok(Next::End(Ended::Superseded)),
            CommitOutcome::LogSetBack => Ok(Next::Claim),
            CommitOutcome::CutShort { reason } => Err(failing::too_short(reason)),
            _ => Ok(Next::Round),
        }
    }
}
