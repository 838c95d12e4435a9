//! The reads that a prefetch plan saves.

use kennel_core::digest::Digest;
use kennel_core::event::Payload;
use kennel_core::port::{Commit, CommitOutcome, DeadLetter, Document, Fetched};
use kennel_core::projection::ReadModelId;
use kennel_test_support::samples;

use super::*;
use crate::memory::{Memory, Portion};

/// An empty read model that records its queries.
#[derive(Default)]
pub(crate) struct Asked(Mutex<Vec<Vec<Wanted>>>);

impl Asked {
    /// How many keys each query since the last look asked for, and of which collections.
    fn queries(&self) -> Vec<(Vec<String>, usize)> {
        let queries = std::mem::take(&mut *self.0.lock().unwrap());
        let reported = |wanted: &Vec<Wanted>| {
            let keys = wanted.iter().map(|wanted| wanted.keys.len()).sum();
            (wanted.iter().map(|wanted| wanted.collection.clone()).collect(), keys)
        };
        queries.iter().map(reported).collect()
    }
}

#[async_trait]
impl ReadModel for Asked {
    async fn fetch_up_to(
        &self,
        _: ReadModelId,
        wanted: &[Wanted],
        _: usize,
    ) -> Result<Vec<Vec<Fetched>>, StoreError> {
        self.0.lock().unwrap().push(wanted.to_vec());
        Ok(wanted.iter().map(|wanted| vec![Fetched::Absent; wanted.keys.len()]).collect())
    }

    async fn scan_up_to(
        &self,
        _: ReadModelId,
        _: &str,
        _: Option<&str>,
        _: &str,
        _: usize,
        _: usize,
    ) -> Result<Vec<Document>, StoreError> {
        Ok(Vec::new())
    }

    async fn commit(&self, _: &Commit) -> Result<CommitOutcome, StoreError> {
        Ok(CommitOutcome::Committed)
    }

    async fn collections(&self, _: ReadModelId) -> Result<Vec<Arc<str>>, StoreError> {
        Ok(Vec::new())
    }

    async fn dead_letters(&self, _: ReadModelId, _: usize) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(Vec::new())
    }
}

pub(crate) fn event(number: u64) -> Event {
    Event {
        position: Position::new(number),
        bounded_context: "Sales".to_owned(),
        aggregate_type: "Order".to_owned(),
        aggregate_id: format!("order-{number}"),
        aggregate_version: 1,
        event_id: uuid::Uuid::nil(),
        event_type: "Placed".to_owned(),
        event_version: 1,
        payload: Payload::Binary(Vec::new()),
        metadata: None,
        trace_id: None,
        correlation_id: None,
        causation_id: None,
        created_at: kennel_core::timestamp::Timestamp::default(),
    }
}

/// Handles these events with code that reads one document each, of the event's own aggregate.
async fn handle(
    asked: &Arc<Asked>,
    prefetch: PrefetchPlan,
    events: std::ops::Range<u64>,
    collection: &str,
) -> PrefetchPlan {
    let read_model: Arc<dyn ReadModel> = Arc::clone(asked) as _;
    let memory = Arc::new(Memory::new(0));
    let share = memory.share(Portion::Sure, "a test").await;
    let env = BatchEnv::new(
        read_model,
        Arc::new(samples::deployment("orders", 1, Digest::of(b""))),
        prefetch,
        share,
    );
    let events: Vec<Event> = events.map(event).collect();
    env.prefetch(&events).await.unwrap();
    for event in &events {
        env.begin(event);
        env.get(collection, &event.aggregate_id).await.unwrap();
        env.keep();
    }
    env.finish().1
}

fn one(collection: &str, keys: usize) -> (Vec<String>, usize) {
    (vec![collection.to_owned()], keys)
}

#[tokio::test]
async fn a_carried_plan_spares_the_next_runner_its_single_reads() {
    let asked = Arc::new(Asked::default());
    let learned = handle(&asked, PrefetchPlan::default(), 0..5, "totals").await;
    assert_eq!(asked.queries(), vec![one("totals", 1); 5], "nothing is known yet");
    let learned = handle(&asked, learned, 5..10, "totals").await;
    assert_eq!(asked.queries(), [one("totals", 5)]);
    let learned = handle(&asked, learned.for_successor(), 10..15, "totals").await;
    assert_eq!(asked.queries(), [one("totals", 5)], "the successor's first batch");
    handle(&asked, learned, 15..20, "totals").await;
    assert_eq!(asked.queries(), [one("totals", 5)], "and it goes on so");
}

#[tokio::test]
async fn collections_that_a_successor_does_not_read_are_dropped_after_its_first_batch() {
    let asked = Arc::new(Asked::default());
    let learned = handle(&asked, PrefetchPlan::default(), 0..1, "totals").await;
    let learned = handle(&asked, learned.for_successor(), 1..3, "sums").await;
    assert_eq!(asked.queries(), [one("totals", 1), one("totals", 2), one("sums", 1), one("sums", 1)]);
    handle(&asked, learned, 3..5, "sums").await;
    assert_eq!(asked.queries(), [one("sums", 2)]);
}
