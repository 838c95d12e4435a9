//! Runs the handler for a list of events inside one write set, timing each call.
//!
//! It neither reads events nor commits: the runner does both. A batch ends at the first event that
//! fails, when it has run long enough, when it has changed enough, or when a stop is asked for.

use std::sync::Arc;
use std::time::Duration;

use kennel_core::change::CollectionChanges;
use kennel_core::event::Event;
use kennel_core::failure::FailureKind;
use kennel_core::lifecycle::Role;
use kennel_core::name::ProjectionName;
use kennel_core::partition;
use kennel_core::port::{CallFailure, Component, ReadModel, StoreError, Unreadable};
use kennel_core::position::Position;
use kennel_core::projection::Deployment;
use kennel_core::witness::Witness;
use tokio::time::Instant;

use crate::env::{BatchEnv, PrefetchPlan};
use crate::memory::{Portion, Share};
use crate::shutdown::Shutdown;

/// A component that is ready to run for a deployment.
#[derive(Clone)]
pub struct Loaded {
    pub deployment: Arc<Deployment>,
    pub role: Role,
    /// Whether its read model has served before and is only brought up to date.
    pub returning: bool,
    pub component: Arc<dyn Component>,
}

impl Loaded {
    /// Whether both would run in the same way.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.deployment == other.deployment
            && self.role == other.role
            && self.component.digest() == other.component.digest()
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Loaded").field(&self.deployment.id).finish()
    }
}

/// The event that ended a batch.
#[derive(Debug)]
pub struct FailedEvent {
    pub kind: FailureKind,
    pub message: String,
}

impl FailedEvent {
    /// A row that is no event.
    #[must_use]
    pub fn unreadable(row: &Unreadable) -> Self {
        let message = format!("the row cannot be read: {}; correct it in the log", row.reason);
        Self { kind: FailureKind::Unreadable, message }
    }
}

/// What a batch did.
#[derive(Debug)]
pub struct BatchRun {
    /// So many events from the front of the list were handled.
    pub handled: usize,
    /// The last of them.
    pub last: Option<Witness>,
    pub changes: Vec<CollectionChanges>,
    /// How long each call took, the failed one included.
    pub durations: Vec<Duration>,
    /// Why the event after the handled ones failed, if it did.
    pub failed: Option<FailedEvent>,
    /// Whether the batch was cut short because this process had no memory left for the event after the handled ones.
    pub crowded: bool,
    /// The memory of the batch, which its changes need until they are committed.
    pub share: Option<Share>,
    pub memory_peak: usize,
}

/// The message for an event for which the system had no memory although no other batch had taken it.
const NO_MEMORY: &str = "the system denied this process the memory that the guest asked for and may have: give the process \
                         more, or lower `memory_mib` in the section [run] of kennel.toml";

/// When a batch ends, besides at its last event.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub events: usize,
    pub duration: Duration,
}

/// Handles `events` in order until one of the bounds is reached.
pub async fn run(
    loaded: &Loaded,
    read_model: &Arc<dyn ReadModel>,
    prefetch: &mut PrefetchPlan,
    events: &[Event],
    bounds: Bounds,
    share: Share,
    stop: &Shutdown,
) -> Result<BatchRun, StoreError> {
    let portion = share.portion();
    let deployment = Arc::clone(&loaded.deployment);
    let env = BatchEnv::new(Arc::clone(read_model), deployment, std::mem::take(prefetch), share);
    let events = &events[..events.len().min(bounds.events)];
    env.prefetch(events).await?;
    let mut run = BatchRun {
        handled: 0,
        last: None,
        changes: Vec::new(),
        durations: Vec::with_capacity(events.len()),
        failed: None,
        crowded: false,
        share: None,
        memory_peak: 0,
    };
    let env = Arc::new(env);
    let handled = handle_all(loaded, &env, events, bounds.duration, stop, &mut run).await;
    let (changes, learned, share) = env.finish();
    *prefetch = learned;
    run.changes = changes;
    run.share = share;
    if run.crowded && portion == Portion::Whole {
        // The batch had all that any may have: there is no more to give it.
        run.crowded = false;
        run.failed = Some(FailedEvent { kind: FailureKind::MemoryLimit, message: NO_MEMORY.to_owned() });
    }
    handled.map(|()| run)
}

async fn handle_all(
    loaded: &Loaded,
    env: &Arc<BatchEnv>,
    events: &[Event],
    duration_max: Duration,
    stop: &Shutdown,
    run: &mut BatchRun,
) -> Result<(), StoreError> {
    let mut instance = match loaded.component.instantiate(Arc::clone(env) as _).await {
        Ok(instance) => instance,
        Err(CallFailure::Host(error)) => return Err(error),
        Err(CallFailure::Guest { kind, message }) => {
            run.failed = Some(FailedEvent { kind, message });
            return Ok(());
        }
        Err(CallFailure::Crowded) => {
            run.crowded = true;
            return Ok(());
        }
    };
    let began = Instant::now();
    for event in events {
        env.begin(event);
        let call = Instant::now();
        let result = instance.handle(event, seed(&loaded.deployment.projection, event.position)).await;
        let after = Instant::now();
        run.durations.push(after - call);
        match result {
            Ok(()) => {
                let full = env.keep();
                run.handled += 1;
                run.last = Some(event.witness());
                if full || after - began >= duration_max || stop.is_requested() {
                    break;
                }
            }
            Err(CallFailure::Host(error)) => return Err(error),
            Err(CallFailure::Guest { kind, message }) => {
                env.undo();
                run.failed = Some(FailedEvent { kind, message });
                break;
            }
            Err(CallFailure::Crowded) => {
                env.undo();
                run.durations.pop();
                run.crowded = true;
                break;
            }
        }
    }
    run.memory_peak = instance.memory_peak();
    Ok(())
}

/// The seed of a guest's random numbers: the same whenever the projection handles the event, also in a later deployment
/// that rebuilds the read model.
fn seed(projection: &ProjectionName, position: Position) -> u64 {
    (u64::from(partition::hash(projection.as_str())) << 32) ^ position.get()
}
