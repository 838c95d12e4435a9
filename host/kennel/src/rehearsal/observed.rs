//! A runtime whose components are the same as those of another, and are observed while they run: each call with its
//! time, its memory and the lines that the guest has logged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::event::Event;
use kennel_core::grant::NeededGrant;
use kennel_core::port::{
    CallFailure, CodeSource, Component, ComponentError, GuestEnv, HostError, Instance, LogLevel, Runtime,
};
use kennel_core::position::Position;
use kennel_core::projection::Descriptor;
use tokio::time::Instant;

/// Bytes of log lines that are kept; those after them are counted.
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A line that a guest has logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: LogLevel,
    pub message: String,
}

/// The handling of one event.
#[derive(Clone, Debug)]
pub struct Call {
    pub event_type: Arc<str>,
    pub took: Duration,
    /// The most memory that the instance had used by then.
    pub memory_bytes: usize,
    pub lines: Vec<LogLine>,
}

/// The calls of a rehearsal by position. Of an event that was handled several times, because its batch was run again,
/// the last counts.
#[derive(Debug, Default)]
pub struct Calls {
    calls: BTreeMap<Position, Call>,
    event_types: BTreeMap<String, Arc<str>>,
    /// How long it took to make the first instance.
    first_instance: Option<Duration>,
    log_bytes: usize,
    lines_dropped: u64,
}

impl Calls {
    /// How many events the component was called for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The call for the event at a position.
    #[must_use]
    pub fn of(&self, position: Position) -> Option<&Call> {
        self.calls.get(&position)
    }

    /// All of them, in the order of the events.
    pub fn iter(&self) -> impl Iterator<Item = (Position, &Call)> {
        self.calls.iter().map(|(position, call)| (*position, call))
    }

    /// How long it took to make the first instance, which comes before the first call.
    #[must_use]
    pub fn first_instance(&self) -> Option<Duration> {
        self.first_instance
    }

    /// Lines that were not kept, because there were too many.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        self.lines_dropped
    }

    fn begin(&mut self, event: &Event) {
        let known = self.event_types.get(&event.event_type).cloned();
        let event_type = known.unwrap_or_else(|| {
            let name: Arc<str> = event.event_type.as_str().into();
            self.event_types.insert(event.event_type.clone(), Arc::clone(&name));
            name
        });
        let call = Call { event_type, took: Duration::ZERO, memory_bytes: 0, lines: Vec::new() };
        let before = self.calls.insert(event.position, call);
        self.log_bytes -= before.iter().flat_map(|call| &call.lines).map(bytes).sum::<usize>();
    }

    fn line(&mut self, position: Position, line: LogLine) {
        let Some(call) = self.calls.get_mut(&position) else { return };
        if self.log_bytes + bytes(&line) > LOG_BYTES_MAX {
            self.lines_dropped += 1;
            return;
        }
        self.log_bytes += bytes(&line);
        call.lines.push(line);
    }
}

fn bytes(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.message.len()
}

/// Where the calls are recorded. One batch runs at a time.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Recording>);

#[derive(Debug, Default)]
struct Recording {
    calls: Calls,
    /// The event that is being handled.
    current: Position,
}

impl Recorder {
    /// How many events the component was called for so far.
    pub(super) fn calls(&self) -> u64 {
        self.lock().calls.len() as u64
    }

    /// Everything that was recorded.
    pub(super) fn take(&self) -> Calls {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runtime that records what its components do.
pub(super) struct ObservedRuntime {
    pub(super) inner: Arc<dyn Runtime>,
    pub(super) recorder: Arc<Recorder>,
}

impl ObservedRuntime {
    fn observed(&self, inner: Arc<dyn Component>) -> Arc<dyn Component> {
        Arc::new(ObservedComponent { inner, recorder: Arc::clone(&self.recorder) })
    }
}

#[async_trait]
impl Runtime for ObservedRuntime {
    async fn prepare(&self, bytes: Arc<[u8]>) -> Result<Arc<dyn Component>, ComponentError> {
        Ok(self.observed(self.inner.prepare(bytes).await?))
    }

    async fn find(&self, digest: Digest) -> Option<Arc<dyn Component>> {
        Some(self.observed(self.inner.find(digest).await?))
    }

    fn grants(&self) -> Vec<&'static str> {
        self.inner.grants()
    }
}

struct ObservedComponent {
    inner: Arc<dyn Component>,
    recorder: Arc<Recorder>,
}

#[async_trait]
impl Component for ObservedComponent {
    fn digest(&self) -> Digest {
        self.inner.digest()
    }

    fn descriptor(&self) -> &Descriptor {
        self.inner.descriptor()
    }

    fn needed_grants(&self) -> &[NeededGrant] {
        self.inner.needed_grants()
    }

    fn origin(&self) -> CodeSource {
        self.inner.origin()
    }

    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        let recorder = Arc::clone(&self.recorder);
        let env = Arc::new(ObservedEnv { inner: env, recorder: Arc::clone(&recorder) });
        let began = Instant::now();
        let inner = self.inner.instantiate(env).await?;
        recorder.lock().calls.first_instance.get_or_insert_with(|| began.elapsed());
        Ok(Box::new(ObservedInstance { inner, recorder }))
    }
}

struct ObservedInstance {
    inner: Box<dyn Instance>,
    recorder: Arc<Recorder>,
}

#[async_trait]
impl Instance for ObservedInstance {
    async fn handle(&mut self, event: &Event, seed: u64) -> Result<(), CallFailure> {
        {
            let mut recording = self.recorder.lock();
            recording.calls.begin(event);
            recording.current = event.position;
        }
        let began = Instant::now();
        let handled = self.inner.handle(event, seed).await;
        let took = began.elapsed();
        let memory_bytes = self.inner.memory_peak();
        if let Some(call) = self.recorder.lock().calls.calls.get_mut(&event.position) {
            (call.took, call.memory_bytes) = (took, memory_bytes);
        }
        handled
    }

    fn memory_peak(&self) -> usize {
        self.inner.memory_peak()
    }
}

struct ObservedEnv {
    inner: Arc<dyn GuestEnv>,
    recorder: Arc<Recorder>,
}

#[async_trait]
impl GuestEnv for ObservedEnv {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Arc<str>>, HostError> {
        self.inner.get(collection, key).await
    }

    async fn get_many(&self, collection: &str, keys: &[String]) -> Result<Vec<Option<Arc<str>>>, HostError> {
        self.inner.get_many(collection, keys).await
    }

    async fn scan(
        &self,
        collection: &str,
        after: Option<&str>,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<(String, Arc<str>)>, HostError> {
        self.inner.scan(collection, after, prefix, limit).await
    }

    fn put(&self, collection: &str, key: &str, document: String) -> Result<(), HostError> {
        self.inner.put(collection, key, document)
    }

    fn delete(&self, collection: &str, key: &str) -> Result<(), HostError> {
        self.inner.delete(collection, key)
    }

    fn increment(&self, collection: &str, key: &str, field: &str, by: i64) -> Result<(), HostError> {
        self.inner.increment(collection, key, field, by)
    }

    fn config(&self, key: &str) -> Option<String> {
        self.inner.config(key)
    }

    fn admit_memory(&self, bytes: usize) -> bool {
        self.inner.admit_memory(bytes)
    }

    fn log(&self, level: LogLevel, message: &str) {
        let mut recording = self.recorder.lock();
        let current = recording.current;
        recording.calls.line(current, LogLine { level, message: message.to_owned() });
        drop(recording);
        self.inner.log(level, message);
    }
}
