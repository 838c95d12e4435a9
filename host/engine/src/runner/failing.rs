//! The reaction of a runner to an event that fails or a batch that is not committed.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::failure::{EventFailure, FailureKind};
use kennel_core::lifecycle::Role;
use kennel_core::limits;
use kennel_core::partition;
use kennel_core::port::{CommitOutcome, DeadLetter, ProjectionState, StoreError};
use kennel_core::position::Position;
use kennel_core::retry::{self, RetryDecision};

use tokio::time::Instant;

use super::committer::Batch;
use super::executor::FailedEvent;
use super::pending::Front;
use super::{Claimed, Ended, Next, Runner};

/// How much smaller than usual batches become at most because others write the same documents.
const CONFLICT_SHRINK_MAX: usize = 8;

/// The event that is being tried again.
pub(super) struct Trying {
    position: Position,
    attempts: u32,
}

impl Runner {
    /// The entry that is next failed: retry it, record it and go on, or halt.
    pub(super) async fn event_failed(
        &mut self,
        claimed: &mut Claimed<'_>,
        failed: FailedEvent,
    ) -> Result<Next, StoreError> {
        let Some(front) = claimed.in_flight.front() else { return Ok(Next::Round) };
        self.metrics.failed(failed.kind);
        let before = claimed.trying.take().filter(|trying| trying.position == front.position);
        let attempts = before.map_or(1, |trying| trying.attempts + 1);
        claimed.trying = Some(Trying { position: front.position, attempts });
        let failure = self.failure(front, failed, attempts);
        let on_failure = self.loaded.deployment.settings.on_failure;
        let jitter = self.entropy.fraction();
        let decision = retry::decide(failure.kind, attempts, &self.options.retry, on_failure, jitter);
        self.log(&failure, decision);
        if !matches!(decision, RetryDecision::DeadLetter) {
            // Others may be built while this one pauses, or is halted.
            claimed.permit = None;
        }
        match decision {
            RetryDecision::RetryAfter(pause) => {
                if claimed.reported.is_none() {
                    self.take_back_halt(claimed).await?;
                }
                self.report(claimed, ProjectionState::Retrying, &failure).await?;
                self.sleep(pause).await;
                Ok(Next::Round)
            }
            RetryDecision::Halt => {
                self.report(claimed, ProjectionState::Halted, &failure).await?;
                // Clients of the serving read model need not know that a candidate cannot be built.
                if self.loaded.role == Role::Serving {
                    self.status.block(self.part(), describe(&failure));
                }
                claimed.progress_gauge.halted(true);
                self.stop.requested().await;
                Ok(Next::End(Ended::Stopped))
            }
            RetryDecision::DeadLetter => {
                let Some(advance) = claimed.in_flight.execute(1) else { return Ok(Next::Round) };
                self.report(claimed, ProjectionState::Running, &failure).await?;
                match self.commit(claimed, Batch::of(advance, vec![DeadLetter { failure }])).await? {
                    CommitOutcome::Fenced => return Ok(Next::End(Ended::Superseded)),
                    CommitOutcome::LogSetBack => return Ok(Next::Claim),
                    CommitOutcome::Committed
                    | CommitOutcome::Conflict { .. }
                    | CommitOutcome::Invalid { .. } => {}
                    CommitOutcome::CutShort { reason } => return Err(too_short(reason)),
                }
                claimed.trying = None;
                Ok(Next::Round)
            }
        }
    }

    /// A batch was handled and not committed.
    pub(super) async fn not_committed(
        &mut self,
        claimed: &mut Claimed<'_>,
        handled: usize,
        outcome: CommitOutcome,
    ) -> Result<Next, StoreError> {
        match outcome {
            CommitOutcome::Fenced | CommitOutcome::Committed => Ok(Next::End(Ended::Superseded)),
            CommitOutcome::LogSetBack => Ok(Next::Claim),
            CommitOutcome::Conflict { collection, key } => {
                let projection = &self.loaded.deployment.projection;
                tracing::debug!(%projection, collection, key, "another worker changed a document; running again");
                // Smaller batches meet each other less often. Not too small: where partitions contend for the same
                // few documents, one of them commits at a time, and should get somewhere when it does.
                let floor = (self.batch_max() / CONFLICT_SHRINK_MAX).min(handled);
                claimed.limit = (handled / 2).max(floor).max(1);
                Ok(Next::Round)
            }
            // An event is not to blame for what the database allows: it is tried until it fits, and reported meanwhile.
            CommitOutcome::CutShort { reason } if handled == 1 => {
                self.metrics.cut_short();
                Err(too_short(reason))
            }
            CommitOutcome::CutShort { reason } => {
                self.metrics.cut_short();
                let events = claimed.parts.ceiling.lower(handled, Instant::now());
                let projection = &self.loaded.deployment.projection;
                tracing::warn!(
                    %projection,
                    reason,
                    events = handled,
                    "the database ended a commit before it was done: committing at most {events} events at once from \
                     here on; raise its timeouts and limits for Kennel's role if it has room"
                );
                claimed.limit = events;
                Ok(Next::Round)
            }
            // The database says only that something in the batch is wrong. Smaller and smaller batches
            // find the event; alone in its batch, it has failed.
            CommitOutcome::Invalid { reason } if handled == 1 => {
                let failed = FailedEvent { kind: FailureKind::InvalidCall, message: reason };
                claimed.limit = 1;
                self.event_failed(claimed, failed).await
            }
            CommitOutcome::Invalid { .. } => {
                claimed.limit = (handled / 2).max(1);
                Ok(Next::Round)
            }
        }
    }

    /// This runner does its work: the faults of those before it are over.
    pub(super) fn works(&self) {
        let (faults, part) = &self.health;
        faults.over(&self.status, part);
    }

    /// Events are being handled again: takes back what was reported.
    pub(super) async fn recovered(&self, claimed: &mut Claimed<'_>) -> Result<(), StoreError> {
        claimed.trying = None;
        if claimed.reported != Some(ProjectionState::Running) && self.is_past_last_failure(claimed).await? {
            self.ports.reports.report(self.loaded.deployment.id, ProjectionState::Running, None).await?;
            claimed.reported = Some(ProjectionState::Running);
        }
        Ok(())
    }

    /// Whether the failure that the store shows for this projection lies in this runner's ranges, and it has got beyond
    /// that. Other partitions report by themselves.
    async fn is_past_last_failure(&self, claimed: &mut Claimed<'_>) -> Result<bool, StoreError> {
        let Some((failure, checkpoint)) = self.own_trouble(claimed).await? else {
            claimed.reported = Some(ProjectionState::Running);
            return Ok(false);
        };
        Ok(checkpoint.position >= failure.position)
    }

    /// A runner before this one has halted, and this one is trying again.
    async fn take_back_halt(&self, claimed: &Claimed<'_>) -> Result<(), StoreError> {
        if self.own_trouble(claimed).await?.is_some() {
            self.ports.reports.report(self.loaded.deployment.id, ProjectionState::Running, None).await?;
        }
        Ok(())
    }

    /// The failure for which the store says that this projection does not run, if it lies in this runner's ranges, and
    /// the checkpoint there.
    async fn own_trouble(
        &self,
        claimed: &Claimed<'_>,
    ) -> Result<Option<(EventFailure, Checkpoint)>, StoreError> {
        let known = self.ports.reports.progress().await?;
        let ours = known.into_iter().find(|known| known.deployment.id == self.loaded.deployment.id);
        let not_running = ours.filter(|ours| ours.state != ProjectionState::Running);
        let Some(failure) = not_running.and_then(|ours| ours.last_failure) else { return Ok(None) };
        let point = partition::hash(&failure.aggregate_id);
        let checkpoint =
            claimed.in_flight.committed().iter().find(|checkpoint| checkpoint.range.contains(point));
        Ok(checkpoint.map(|checkpoint| (failure, *checkpoint)))
    }

    async fn report(
        &self,
        claimed: &mut Claimed<'_>,
        state: ProjectionState,
        failure: &EventFailure,
    ) -> Result<(), StoreError> {
        self.ports.reports.report(self.loaded.deployment.id, state, Some(failure)).await?;
        claimed.reported = Some(state);
        Ok(())
    }

    fn failure(&self, front: Front, failed: FailedEvent, attempts: u32) -> EventFailure {
        // Names of any length come from logs that other programs write.
        let short = |name: &str| limits::cut(name, limits::EVENT_NAME_BYTES_MAX).to_owned();
        EventFailure {
            position: front.position,
            event_id: front.event_id,
            event_type: short(&front.event_type),
            aggregate_id: short(&front.aggregate_id),
            digest: self.loaded.component.digest(),
            kind: failed.kind,
            // Guests may say anything; a NUL is the one character that PostgreSQL cannot store.
            message: limits::cut(&failed.message, limits::ERROR_BYTES_MAX).replace('\0', "\u{fffd}"),
            attempts,
        }
    }

    fn log(&self, failure: &EventFailure, decision: RetryDecision) {
        let projection = &self.loaded.deployment.projection;
        let then = match decision {
            RetryDecision::RetryAfter(pause) => format!("trying again in {} ms", pause.as_millis()),
            RetryDecision::Halt => "the projection is halted".to_owned(),
            RetryDecision::DeadLetter => "recorded as a dead letter; going on".to_owned(),
        };
        tracing::warn!(
            %projection,
            position = %failure.position,
            event_id = failure.event_id_text(),
            component = %failure.digest,
            kind = %failure.kind,
            attempts = failure.attempts,
            reason = %failure.message,
            "an event failed: {then}"
        );
    }
}

/// The error of a commit that the database ends however little it holds.
pub(super) fn too_short(reason: String) -> StoreError {
    let advice = "not even one event can be committed: raise the timeouts and limits of Kennel's role, or see what \
                  keeps the database busy";
    StoreError::Unavailable {
        doing: "committing a batch".to_owned(),
        source: format!("{reason}; {advice}").into(),
    }
}

fn describe(failure: &EventFailure) -> String {
    let EventFailure { position, kind, message, .. } = failure;
    format!("halted at position {position}, event {}: {kind}: {message}", failure.event_id_text())
}
