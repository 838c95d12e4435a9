//! The event log in memory, with writers that draw a position and commit later, as PostgreSQL has them.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use kennel_core::event::{Event, NewEvent, Payload};
use kennel_core::limits;
use kennel_core::partition;
use kennel_core::port::{Appended, Appender, Blocker, HighWaterMark, LogReader, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::timestamp::Timestamp;
use uuid::Uuid;

use super::{MemoryStore, State};
use crate::append::{Aggregate, Numbered, aggregate_of, check, number};

/// Events that have drawn their positions and are not visible yet. Commit it or drop it: dropped, its
/// positions stay empty for ever.
#[derive(Debug)]
pub struct PendingAppend {
    store: MemoryStore,
    events: Vec<Event>,
    appended: Appended,
}

impl PendingAppend {
    /// Makes the events visible.
    pub fn commit(mut self) -> Appended {
        let events = std::mem::take(&mut self.events);
        let mut state = self.store.state();
        for event in events {
            state.open.remove(&event.position);
            state.events.insert(event.position, event);
        }
        drop(state);
        self.store.inner.notifications.give();
        self.appended
    }
}

impl Drop for PendingAppend {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for event in &self.events {
            state.open.remove(&event.position);
            state.ids.remove(&event.event_id);
            // What was rolled back leaves no version behind. Writers of one aggregate run one at a
            // time, so no writer has built on it.
            let name =
                (event.bounded_context.clone(), event.aggregate_type.clone(), event.aggregate_id.clone());
            if let Some(head) = state.heads.get_mut(&name) {
                *head -= 1;
            }
        }
    }
}

impl MemoryStore {
    /// Appends in two steps, so that a test can let writers commit out of order or roll back. The
    /// caller sees to it that no two open appends touch the same aggregate.
    pub fn begin_append(&self, events: &[NewEvent]) -> Result<PendingAppend, StoreError> {
        check(events)?;
        let now = Timestamp::from_nanoseconds(u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX));
        let mut state = self.state();
        let ids = events.iter().map(|event| event.event_id);
        let mut known: HashSet<Uuid> = ids.filter(|id| state.ids.contains(id)).collect();
        let mut heads = heads_of(&state, events);
        let numbered = number(events, &mut known, &mut heads)?;
        let mut pending = Vec::with_capacity(numbered.len());
        for Numbered { event, version } in numbered {
            state.last_position = Position::new(state.last_position.get() + 1);
            let position = state.last_position;
            state.open.insert(position);
            state.ids.insert(event.event_id);
            let name = aggregate_of(event);
            state.heads.insert((name.0.to_owned(), name.1.to_owned(), name.2.to_owned()), version);
            pending.push(stored(event, position, version, now));
        }
        let appended = Appended {
            written: pending.len() as u64,
            skipped: (events.len() - pending.len()) as u64,
            head: state.last_position,
        };
        drop(state);
        Ok(PendingAppend { store: self.clone(), events: pending, appended })
    }

    /// Leaves the positions below `next` empty for ever, as writers do that roll back: the next event comes there,
    /// unless the log is beyond it already.
    pub fn leave_gap(&self, next: Position) {
        let mut state = self.state();
        state.last_position = state.last_position.max(next.before());
    }
}

fn heads_of<'a>(state: &State, events: &'a [NewEvent]) -> HashMap<Aggregate<'a>, i64> {
    let head = |name: Aggregate<'a>| {
        let owned = (name.0.to_owned(), name.1.to_owned(), name.2.to_owned());
        (name, state.heads.get(&owned).copied().unwrap_or(0))
    };
    events.iter().map(aggregate_of).map(head).collect()
}

fn stored(event: &NewEvent, position: Position, version: i64, now: Timestamp) -> Event {
    Event {
        position,
        bounded_context: event.bounded_context.clone(),
        aggregate_type: event.aggregate_type.clone(),
        aggregate_id: event.aggregate_id.clone(),
        aggregate_version: crate::row::unsigned(version),
        event_id: event.event_id,
        event_type: event.event_type.clone(),
        event_version: event.event_version,
        payload: Payload::from_stored(event.payload.clone()),
        metadata: event.metadata.clone(),
        trace_id: event.trace_id.clone(),
        correlation_id: event.correlation_id.clone(),
        causation_id: event.causation_id.clone(),
        created_at: event.created_at.unwrap_or(now),
    }
}

#[async_trait]
impl LogReader for MemoryStore {
    async fn high_water_mark(&self) -> Result<HighWaterMark, StoreError> {
        let state = self.state();
        let head = state.events.last_key_value().map_or(Position::START, |(position, _)| *position);
        let lowest_open = state.open.first().copied();
        let complete = lowest_open.map_or(head, |open| open.before().min(head));
        let witness = state.last_event(complete);
        let position = witness.map_or(Position::START, |witness| witness.position);
        let blocker = Blocker {
            pid: None,
            application: "memory".to_owned(),
            prepared: None,
            open_seconds: None,
            advice: "end it".to_owned(),
        };
        let blockers = if position < head { vec![blocker] } else { Vec::new() };
        Ok(HighWaterMark { position, head, blockers, witness, incarnation: state.incarnation })
    }

    async fn read(&self, query: ReadQuery<'_>) -> Result<Page, StoreError> {
        let state = self.state();
        let mut page = Page { reached: query.upto.max(query.after), ..Page::default() };
        let mut bytes = 0;
        if query.upto <= query.after {
            return Ok(page);
        }
        let first = Position::new(query.after.get() + 1);
        for (position, event) in state.events.range(first..=query.upto) {
            let wanted = query.scope.admits(&event.bounded_context, &event.aggregate_type, &event.event_type);
            let point = partition::hash(&event.aggregate_id);
            if !wanted || !query.ranges.iter().any(|range| range.contains(point)) {
                continue;
            }
            bytes += event.bytes();
            page.events.push(event.clone());
            if page.events.len() >= query.limit || bytes >= limits::BATCH_EVENT_BYTES_MAX {
                page.reached = *position;
                break;
            }
        }
        Ok(page)
    }

    async fn notification(&self) {
        self.inner.notifications.next().await;
    }
}

#[async_trait]
impl Appender for MemoryStore {
    async fn append(&self, events: &[NewEvent]) -> Result<Appended, StoreError> {
        Ok(self.begin_append(events)?.commit())
    }
}
