//! Programs that append events: they draw positions first and commit later, out of order, or never.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kennel_core::event::NewEvent;
use kennel_store::memory::MemoryStore;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::guests::{ALL, EVENT_TYPES};
use super::weather::ATTEMPTS_MAX;
use super::world::World;

/// The first number of events that are never committed.
const BURNT: u64 = 1 << 32;
/// How long a writer forgets its transaction at most.
const LONG_HOLD: Duration = Duration::from_secs(4);

#[derive(Debug)]
pub(super) struct Writers {
    world: Arc<World>,
    store: MemoryStore,
    /// Aggregates that an open transaction has written to: a real writer would wait for its end.
    busy: Mutex<BTreeSet<u64>>,
    committed: Mutex<BTreeSet<Uuid>>,
}

impl Writers {
    pub(super) fn new(world: Arc<World>, store: MemoryStore) -> Arc<Self> {
        Arc::new(Self { world, store, busy: Mutex::default(), committed: Mutex::default() })
    }

    /// The ids of all events whose transaction was committed.
    pub(super) fn committed(&self) -> BTreeSet<Uuid> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Appends the events with these numbers, at a pause between them, and waits for every transaction
    /// to end.
    pub(super) async fn write(self: Arc<Self>, numbers: Range<u64>, gap: Duration) {
        let mut open = JoinSet::new();
        let mut next = numbers.start;
        while next < numbers.end {
            let pause = self.world.up_to(gap) + Duration::from_millis(1);
            tokio::time::sleep(pause).await;
            let (several, aggregate) = {
                let mut dice = self.world.dice();
                (dice.between(1, 3), dice.between(1, self.world.weather.aggregates))
            };
            if !self.busy().insert(aggregate) {
                continue;
            }
            let upto = numbers.end.min(next + several);
            let any = |number| {
                let event_type = self.world.dice().pick(&EVENT_TYPES);
                self.event(number, aggregate, event_type)
            };
            let events = (next..upto).map(any).collect();
            open.spawn(Arc::clone(&self).transaction(aggregate, events));
            next = upto;
        }
        while open.join_next().await.is_some() {}
    }

    /// Appends events of one type, one at a time, without ever falling silent for longer than `gap`.
    pub(super) async fn trickle(self: Arc<Self>, numbers: Range<u64>, event_type: &str, gap: Duration) {
        for number in numbers {
            let event = self.event(number, 1, event_type);
            Arc::clone(&self).transaction(1, vec![event]).await;
            tokio::time::sleep(gap).await;
        }
    }

    /// Draws positions that no event ever uses.
    pub(super) fn burn(&self, positions: u64) {
        let events: Vec<NewEvent> =
            (0..positions).map(|number| self.event(BURNT + number, 0, "Noted")).collect();
        match self.store.begin_append(&events) {
            Ok(pending) => drop(pending),
            Err(error) => self.world.complain(format!("an append failed: {error}")),
        }
    }

    async fn transaction(self: Arc<Self>, aggregate: u64, events: Vec<NewEvent>) {
        let world = &self.world;
        match self.store.begin_append(&events) {
            Err(error) => world.complain(format!("an append failed: {error}")),
            Ok(pending) => {
                let long = world.fault(world.weather.long_hold);
                if !world.is_calm() {
                    let hold = world.up_to(if long { LONG_HOLD } else { world.weather.hold });
                    tokio::time::sleep(hold).await;
                }
                if world.fault(world.weather.rollback) {
                    world.count("rollbacks");
                    drop(pending);
                } else {
                    let appended = pending.commit();
                    world.note(
                        "writer",
                        &format!("commits {} events, the last at {}", appended.written, appended.head),
                    );
                    let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
                    committed.extend(events.iter().map(|event| event.event_id));
                }
            }
        }
        self.busy().remove(&aggregate);
    }

    fn event(&self, number: u64, aggregate: u64, event_type: &str) -> NewEvent {
        let weather = &self.world.weather;
        let mut dice = self.world.dice();
        let failures =
            if dice.chance(weather.flaky) { dice.between(1, u64::from(ATTEMPTS_MAX) - 1) } else { 0 };
        let rejected_by = if dice.chance(weather.rejected) { dice.pick(&ALL) } else { "none" };
        let payload = json!({
            "amount": dice.between(1, 100), "failures": failures, "rejected_by": rejected_by,
        });
        NewEvent {
            bounded_context: "Simulation".to_owned(),
            aggregate_type: "Case".to_owned(),
            aggregate_id: format!("case-{aggregate}"),
            aggregate_version: None,
            event_id: Uuid::from_u64_pair(0x5349_4d00_0000_0000, number),
            event_type: event_type.to_owned(),
            event_version: 1,
            payload: payload.to_string().into_bytes(),
            metadata: None,
            trace_id: None,
            correlation_id: None,
            causation_id: None,
            created_at: None,
        }
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
