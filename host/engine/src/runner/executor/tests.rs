//! How batches end, and that none keeps memory that it does not need.

use async_trait::async_trait;
use kennel_core::digest::Digest;
use kennel_core::lifecycle::Role;
use kennel_core::port::{CodeSource, Component, GuestEnv, Instance};
use kennel_core::projection::Descriptor;
use kennel_test_support::samples;

use super::*;
use crate::env::tests::{Asked, event};
use crate::memory::Memory;

/// Code that writes one document for each event, and fails at the event at this position.
struct FailsAt(u64, fn() -> CallFailure, Descriptor);

struct Running(u64, fn() -> CallFailure, Arc<dyn GuestEnv>);

#[async_trait]
impl Component for FailsAt {
    fn digest(&self) -> Digest {
        Digest::of(b"")
    }

    fn descriptor(&self) -> &Descriptor {
        &self.2
    }

    fn origin(&self) -> CodeSource {
        CodeSource::Compiled
    }

    async fn instantiate(&self, env: Arc<dyn GuestEnv>) -> Result<Box<dyn Instance>, CallFailure> {
        // At the position of no event, it cannot even begin.
        if self.0 == 0 { Err((self.1)()) } else { Ok(Box::new(Running(self.0, self.1, env))) }
    }
}

#[async_trait]
impl Instance for Running {
    async fn handle(&mut self, event: &Event, _: u64) -> Result<(), CallFailure> {
        let written = self.2.put("done", &event.position.to_string(), "{}".to_owned());
        if written.is_err() || event.position.get() == self.0 { Err((self.1)()) } else { Ok(()) }
    }

    fn memory_peak(&self) -> usize {
        7
    }
}

async fn execute(fails_at: u64, failure: fn() -> CallFailure, share: Share) -> Result<Executed, StoreError> {
    let deployment = Arc::new(samples::deployment("orders", 1, Digest::of(b"")));
    let component = Arc::new(FailsAt(fails_at, failure, deployment.descriptor.clone()));
    let loaded = Loaded { deployment, role: Role::Serving, returning: false, component };
    let (_trigger, stop) = Shutdown::channel();
    let read_model = Arc::new(Asked::default());
    let prefetch = PrefetchPlan::default();
    let mut executor = Executor::new(loaded, read_model, prefetch, Duration::from_secs(60), stop);
    let events: Vec<Event> = (1..5).map(event).collect();
    executor.execute(&events, share).await
}

fn traps() -> CallFailure {
    CallFailure::Guest { kind: FailureKind::Trap, message: "scripted".to_owned() }
}

fn away() -> CallFailure {
    CallFailure::Host(StoreError::Unavailable { doing: "x".to_owned(), source: "away".into() })
}

#[tokio::test]
async fn a_batch_holds_the_events_before_the_one_that_ended_it() {
    let memory = Arc::new(Memory::new(0));
    for (fails_at, handled) in [(9, 4), (4, 3), (2, 1), (1, 0), (0, 0)] {
        let executed = execute(fails_at, traps, memory.share(Portion::Sure, "a test").await).await.unwrap();
        let changes = executed.changes.iter().map(|collection| collection.changes.len()).sum::<usize>();
        assert_eq!((executed.handled, changes), (handled, handled), "the event that fails changes nothing");
        let failed = matches!(&executed.end, BatchEnd::Failed(failed) if failed.message == "scripted");
        assert_eq!(failed, handled < 4);
        assert_eq!(executed.durations.len(), if fails_at == 0 { 0 } else { 4.min(handled + 1) });
        // A halt lasts until an operator acts.
        assert_eq!(executed.share.is_some(), handled > 0, "memory is kept for changes alone");
    }
}

#[tokio::test]
async fn a_batch_without_room_fails_only_if_it_had_all_memory() {
    let memory = Arc::new(Memory::new(0));
    let crowded = || CallFailure::Crowded;
    for fails_at in [0, 2] {
        let executed = execute(fails_at, crowded, memory.share(Portion::Sure, "a test").await).await.unwrap();
        assert!(matches!(executed.end, BatchEnd::Crowded));
        assert_eq!(executed.durations.len(), executed.handled, "the call does not count");
        drop(executed);
        let executed =
            execute(fails_at, crowded, memory.share(Portion::Whole, "a test").await).await.unwrap();
        assert!(
            matches!(executed.end, BatchEnd::Failed(FailedEvent { kind: FailureKind::MemoryLimit, .. })),
            "there is no more to give it"
        );
    }
}

#[tokio::test]
async fn a_failure_of_the_host_is_none_of_the_event() {
    let memory = Arc::new(Memory::new(0));
    for fails_at in [0, 2] {
        let executed = execute(fails_at, away, memory.share(Portion::Sure, "a test").await).await;
        assert!(matches!(executed, Err(StoreError::Unavailable { .. })));
    }
}
