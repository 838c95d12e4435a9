//! A rehearsal: a component handles given events, and what it has done is known afterwards: documents, failures, lines
//! of its log, time and memory.
//!
//! It is deployed to a store in memory and run by the engine, so that nothing is said here of what an event means, of
//! batches, of documents or of failures. Three settings of the engine differ: an event that fails is not tried again
//! but becomes a dead letter; a batch ends by number and size, never by time; and one worker does everything. So
//! every rehearsal of the same events comes to the same.

mod observed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::event::NewEvent;
use kennel_core::failure::EventFailure;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{ComponentError, Document, ReadModel as _, Runtime, StatusReports as _, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, Descriptor, OnFailure, ReadModelId, Settings};
use kennel_core::retry::RetryPolicy;
use kennel_core::timestamp::Timestamp;
use kennel_engine::{Engine, Entropy, Metrics, Options, Ports, Shutdown, Status};
use kennel_store::memory::MemoryStore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::activate::activate;
use crate::control::ControlError;
use crate::control::local::Local;

pub use self::observed::{Call, Calls, LogLine};
use self::observed::{ObservedRuntime, Recorder};

/// How often the progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest time without progress. A call takes two seconds at most.
const STILL_MAX: Duration = Duration::from_secs(120);
/// Documents that are taken out of the store at once.
const PAGE: usize = 10_000;

/// A log that is about to be rehearsed.
#[derive(Debug, Default)]
pub struct Rehearsal {
    store: MemoryStore,
    head: Position,
    events: u64,
}

/// A rehearsal that came to no end.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The component cannot run here.
    #[error(transparent)]
    Component(#[from] ComponentError),
    #[error(transparent)]
    Deploy(#[from] ControlError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("no event was handled for {} s: {reason}", STILL_MAX.as_secs())]
    Stuck { reason: String },
}

/// What a component has done.
#[derive(Debug)]
pub struct Rehearsed {
    pub descriptor: Descriptor,
    /// Events of the log, those that the projection does not want included.
    pub events: u64,
    pub calls: Calls,
    /// The events that failed, by position.
    pub failures: Vec<EventFailure>,
    /// Collections by name, with their documents by key, as the store holds them.
    pub documents: BTreeMap<String, BTreeMap<String, Arc<str>>>,
}

impl Rehearsed {
    /// Events that were handled, and those that were passed over because the projection does not want them.
    #[must_use]
    pub fn handled_and_passed_over(&self) -> (u64, u64) {
        let failed = self.failures.len() as u64;
        let failed_in_call = self.failures.iter().filter(|one| self.calls.of(one.position).is_some());
        let handled = self.calls.len() as u64 - failed_in_call.count() as u64;
        (handled, self.events - handled - failed)
    }
}

impl Rehearsal {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an event at the next position, or at one that lies beyond the last. Without a time of its own it is of
    /// 1970, so that every rehearsal is the same. Reports why no log would take it.
    pub fn append(&mut self, mut event: NewEvent, position: Option<Position>) -> Result<(), String> {
        if let Some(position) = position {
            if position <= self.head {
                return Err(format!(
                    "position {position} does not lie beyond the one before it, {}",
                    self.head
                ));
            }
            self.store.leave_gap(position);
        }
        event.created_at = event.created_at.or(Timestamp::new(0, 0));
        let pending = match self.store.begin_append(std::slice::from_ref(&event)) {
            Ok(pending) => pending,
            Err(StoreError::InvalidEvent { message, .. }) => return Err(message),
            Err(error) => return Err(error.to_string()),
        };
        let appended = pending.commit();
        if appended.written == 0 {
            return Err(format!(
                "there is an event {} before it already; each has an id of its own",
                event.event_id
            ));
        }
        self.head = appended.head;
        self.events += 1;
        Ok(())
    }

    /// Events of the log.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Has the component handle the log. `progress` is given the number of calls from time to time.
    pub async fn run(
        self,
        component: Vec<u8>,
        runtime: Arc<dyn Runtime>,
        settings: Settings,
        progress: impl Fn(u64),
    ) -> Result<Rehearsed, RehearsalError> {
        let recorder = Arc::new(Recorder::default());
        let runtime: Arc<dyn Runtime> =
            Arc::new(ObservedRuntime { inner: runtime, recorder: Arc::clone(&recorder) });
        let prepared = runtime.prepare(component.clone().into()).await?;
        let descriptor = prepared.descriptor().clone();
        let ports = Ports::of(Arc::new(self.store.clone()), Arc::clone(&runtime));
        let settings = Settings {
            on_failure: OnFailure::DeadLetter,
            grants: runtime.grants().into_iter().map(str::to_owned).collect(),
            ..settings
        };
        let deployment = deploy(&ports, component, &descriptor, settings).await?;
        let engine = Engine::new(ports, options(&deployment), &Metrics::default(), Entropy::from_seed(0));
        let status = engine.status();
        let (stop, shutdown) = Shutdown::channel();
        let mut task = JoinSet::new();
        task.spawn(engine.run(shutdown));
        self.wait(&recorder, &status, progress).await?;
        stop.stop();
        while task.join_next().await.is_some() {}
        let letters = self.store.dead_letters(deployment.read_model, usize::MAX).await?;
        Ok(Rehearsed {
            descriptor,
            events: self.events,
            calls: recorder.take(),
            failures: letters.into_iter().map(|letter| letter.failure).collect(),
            documents: self.documents(deployment.read_model).await?,
        })
    }

    /// Waits until every event of the log was handled, has failed, or was passed over.
    async fn wait(
        &self,
        recorder: &Recorder,
        status: &Status,
        progress: impl Fn(u64),
    ) -> Result<(), RehearsalError> {
        let mut last = (Position::START, 0);
        let mut moved = Instant::now();
        loop {
            let reached = self.store.progress().await?.first().map(|progress| progress.position());
            let now = (reached.unwrap_or_default(), recorder.calls());
            progress(now.1);
            if now.0 >= self.head {
                return Ok(());
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            if moved.elapsed() >= STILL_MAX {
                let blocked = status.blocked().into_iter().map(|(part, reason)| format!("{part}: {reason}"));
                return Err(RehearsalError::Stuck { reason: blocked.collect::<Vec<_>>().join("; ") });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn documents(
        &self,
        read_model: ReadModelId,
    ) -> Result<BTreeMap<String, BTreeMap<String, Arc<str>>>, StoreError> {
        let mut collections = BTreeMap::new();
        for name in self.store.collections(read_model).await? {
            let mut documents: BTreeMap<String, Arc<str>> = BTreeMap::new();
            loop {
                let after = documents.last_key_value().map(|(key, _)| key.clone());
                let page = self.store.scan(read_model, &name, after.as_deref(), "", PAGE).await?;
                let is_last = page.len() < PAGE;
                let page = page.into_iter().map(|Document { key, stored }| (key, stored.document));
                documents.extend(page);
                if is_last {
                    break;
                }
            }
            // One whose documents were all deleted is not there for its readers.
            if !documents.is_empty() {
                collections.insert(name.to_string(), documents);
            }
        }
        Ok(collections)
    }
}

/// Deploys the component under its own name, as `kennel deploy` would in most cases: random numbers depend on it.
async fn deploy(
    ports: &Ports,
    component: Vec<u8>,
    descriptor: &Descriptor,
    settings: Settings,
) -> Result<Deployment, ControlError> {
    let other = || "rehearsal".parse().map_err(|error| ControlError::Invalid(format!("{error}")));
    let projection: ProjectionName = descriptor.name.parse().or_else(|_| other())?;
    activate(&Local::new(ports.clone()), component, &projection, &ReplicaSet::default(), settings).await
}

fn options(deployment: &Deployment) -> Options {
    Options {
        workers: 1,
        batch_duration_max: Duration::MAX,
        idle_commit_delay: Duration::ZERO,
        retry: RetryPolicy { attempts_max: 1, ..RetryPolicy::default() },
        ..Options::new(deployment.replica_set.clone())
    }
}
