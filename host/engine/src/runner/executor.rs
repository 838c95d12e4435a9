//! Runs the handler for a list of events inside one write set, timing each call. It neither reads events nor commits.
//!
//! A batch ends at the first event that fails, when it has run long enough, when it has changed enough, or when a stop
//! is asked for.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::change::CollectionChanges;
use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::name::ProjectionName;
use kennel_core::partition;
use kennel_core::port::{CallFailure, ReadModel, StoreError, Unreadable};
use kennel_core::position::Position;
use tokio::time::Instant;

use crate::env::{BatchEnv, PrefetchPlan};
use crate::loaded::Loaded;
use crate::memory::{Portion, Share};
use crate::shutdown::Shutdown;

/// The event that ended a batch.
#[derive(Debug)]
pub(super) struct FailedEvent {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl FailedEvent {
    /// A row that is no event.
    pub(super) fn unreadable(row: &Unreadable) -> Self {
        let message = format!("the row cannot be read: {}; correct it in the log", row.reason);
        Self { kind: FailureKind::Unreadable, message }
    }
}

/// Why a batch ended.
#[derive(Debug)]
pub(super) enum BatchEnd {
    /// It has handled all its events, or enough of them.
    Done,
    /// The event after the handled ones failed.
    Failed(FailedEvent),
    /// This process had no memory left for the event after the handled ones.
    Crowded,
}

/// What a batch did.
#[derive(Debug)]
pub(super) struct Executed {
    /// So many events from the front of the list were handled.
    pub(super) handled: usize,
    pub(super) changes: Vec<CollectionChanges>,
    pub(super) end: BatchEnd,
    /// How long each call took, the failed one included.
    pub(super) durations: Vec<Duration>,
    pub(super) memory_peak: usize,
    /// The memory of the batch, which its changes need until they are committed; nothing if no event was handled.
    pub(super) share: Option<Share>,
}

/// The message for an event for which the system had no memory although no other batch had taken it.
const NO_MEMORY: &str = "the system denied this process the memory that the guest asked for and may have: give the process \
                         more, or lower `memory_mib` in the section [run] of kennel.toml";

/// Runs the handler of one deployment.
pub(super) struct Executor {
    loaded: Loaded,
    read_model: Arc<dyn ReadModel>,
    prefetch: PrefetchPlan,
    /// A batch ends when its handlers have run this long.
    duration_max: Duration,
    stop: Shutdown,
}

impl Executor {
    pub(super) fn new(
        loaded: Loaded,
        read_model: Arc<dyn ReadModel>,
        prefetch: PrefetchPlan,
        duration_max: Duration,
        stop: Shutdown,
    ) -> Self {
        Self { loaded, read_model, prefetch, duration_max, stop }
    }

    /// What was learned about reading documents.
    pub(super) fn into_prefetch_plan(self) -> PrefetchPlan {
        self.prefetch
    }

    /// Handles `events` in order, with this memory, until the batch ends.
    pub(super) async fn execute(&mut self, events: &[Event], share: Share) -> Result<Executed, StoreError> {
        let portion = share.portion();
        let deployment = Arc::clone(&self.loaded.deployment);
        let prefetch = std::mem::take(&mut self.prefetch);
        let env = BatchEnv::new(Arc::clone(&self.read_model), deployment, prefetch, share);
        env.prefetch(events).await?;
        let mut executed = Executed {
            handled: 0,
            changes: Vec::new(),
            end: BatchEnd::Done,
            durations: Vec::with_capacity(events.len()),
            memory_peak: 0,
            share: None,
        };
        let env = Arc::new(env);
        let end = self.handle_all(&env, events, &mut executed).await;
        let (changes, learned, share) = env.finish();
        self.prefetch = learned;
        executed.changes = changes;
        // What follows a batch without changes may take long, and needs no memory.
        executed.share = share.filter(|_| executed.handled > 0);
        executed.end = match end? {
            // The batch had all that any may have: there is no more to give it.
            BatchEnd::Crowded if portion == Portion::Whole => BatchEnd::Failed(FailedEvent {
                kind: FailureKind::MemoryLimit,
                message: NO_MEMORY.to_owned(),
            }),
            end => end,
        };
        Ok(executed)
    }

    async fn handle_all(
        &self,
        env: &Arc<BatchEnv>,
        events: &[Event],
        executed: &mut Executed,
    ) -> Result<BatchEnd, StoreError> {
        let mut instance = match self.loaded.component.instantiate(Arc::clone(env) as _).await {
            Ok(instance) => instance,
            Err(failure) => return end_of(failure),
        };
        let began = Instant::now();
        let mut end = BatchEnd::Done;
        for event in events {
            env.begin(event);
            let call = Instant::now();
            let seed = seed(&self.loaded.deployment.projection, event.position);
            let result = instance.handle(event, seed).await;
            let after = Instant::now();
            executed.durations.push(after - call);
            if let Err(failure) = result {
                end = end_of(failure)?;
                env.undo();
                if matches!(end, BatchEnd::Crowded) {
                    executed.durations.pop();
                }
                break;
            }
            let full = env.keep();
            executed.handled += 1;
            if full || after - began >= self.duration_max || self.stop.is_requested() {
                break;
            }
        }
        executed.memory_peak = instance.memory_peak();
        Ok(end)
    }
}

/// What a failed call says of the batch; a failure of the host says nothing of it.
fn end_of(failure: CallFailure) -> Result<BatchEnd, StoreError> {
    match failure {
        CallFailure::Host(error) => Err(error),
        CallFailure::Guest { kind, message } => Ok(BatchEnd::Failed(FailedEvent { kind, message })),
        CallFailure::Crowded => Ok(BatchEnd::Crowded),
    }
}

/// The seed of a guest's random numbers: the same whenever the projection handles the event, also in a later deployment
/// that rebuilds the read model.
fn seed(projection: &ProjectionName, position: Position) -> u64 {
    (u64::from(partition::hash(projection.as_str())) << 32) ^ position.get()
}

#[cfg(test)]
mod tests;
