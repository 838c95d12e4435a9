//! Reading events, one page ahead of the handler when there is more to come.

use std::sync::Arc;

use kennel_core::checkpoint::{Behind, Mark};
use kennel_core::event::Event;
use kennel_core::partition::HashRange;
use kennel_core::port::{Page, ReadQuery, StoreError, Unreadable};
use kennel_core::position::Position;
use kennel_core::witness::Witness;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Progress, Runner};

/// Which event, or which row, is at the front.
pub(super) struct Front {
    pub(super) position: Position,
    pub(super) event_id: Option<Uuid>,
    pub(super) event_type: String,
    pub(super) aggregate_id: String,
}

/// Events that have been read and not handled yet, and the read of those that follow.
pub(super) struct Ahead {
    ranges: Vec<HashRange>,
    page: Page,
    /// The last event at or below where the page ends, unless that is not known.
    witness: Option<Witness>,
    /// Events at the front of the page that are done.
    taken: usize,
    next: Option<JoinHandle<Result<Page, StoreError>>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            next.abort();
        }
    }
}

impl Ahead {
    pub(super) fn events(&self) -> &[Event] {
        &self.page.events[self.taken..]
    }

    /// The row behind the last event, if it ends the page because it cannot be read.
    pub(super) fn unreadable(&self) -> Option<&Unreadable> {
        self.page.unreadable.as_ref()
    }

    /// Up to where the page says everything about the log. Without a witness, no checkpoint can be moved there.
    pub(super) fn reached(&self) -> Mark {
        Mark { position: self.page.reached, witness: self.witness }
    }

    /// Where the checkpoint stands once the first `handled` events are done, `last` being their last.
    pub(super) fn reached_after(&self, handled: usize, last: Witness) -> Mark {
        // What cannot be read has not been handled with the events before it.
        match handled == self.events().len() && self.unreadable().is_none() && self.witness.is_some() {
            true => self.reached(),
            false => Mark { position: last.position, witness: Some(last) },
        }
    }

    pub(super) fn take(&mut self, handled: usize) {
        self.taken += handled;
    }

    /// The failed front has been dealt with: the event, or the row behind the last.
    pub(super) fn take_failed(&mut self) {
        if self.events().is_empty() {
            self.page.unreadable = None;
        } else {
            self.taken += 1;
        }
    }

    /// The front: the next event, or the row behind the last.
    pub(super) fn front(&self) -> Option<Front> {
        if let Some(event) = self.events().first() {
            return Some(Front {
                position: event.position,
                event_id: Some(event.event_id),
                event_type: event.event_type.clone(),
                aggregate_id: event.aggregate_id.clone(),
            });
        }
        self.unreadable().map(|unreadable| Front {
            position: unreadable.position,
            event_id: unreadable.event_id,
            event_type: unreadable.event_type.clone(),
            aggregate_id: unreadable.aggregate_id.clone(),
        })
    }

    /// Where the checkpoint stands once the front is dealt with.
    pub(super) fn reached_after_front(&self) -> Mark {
        match self.events().first() {
            Some(event) => self.reached_after(1, event.witness()),
            None => self.reached(),
        }
    }
}

/// The last event at or below where a page of a query up to `upto` ends, if that is known.
fn last_of(page: &Page, upto: Mark) -> Option<Witness> {
    if let Some(unreadable) = &page.unreadable {
        return Some(unreadable.witness());
    }
    let last = page.events.last().map(Event::witness).filter(|last| last.position == page.reached);
    let at_end = upto.witness.filter(|_| page.reached == upto.position);
    last.or(page.witness).or(at_end)
}

impl Runner {
    /// The next events of the stretch: the rest of the last page, the page that was read ahead, or a new one.
    pub(super) async fn read(&self, progress: &mut Progress, stretch: &Behind) -> Result<Ahead, StoreError> {
        let mut after = progress.skipped.map_or(stretch.from, |skipped| skipped.to.position);
        let mut page = None;
        // What was read for other ranges is of no use: they have merged, or others have fallen behind.
        if let Some(mut ahead) = progress.ahead.take().filter(|ahead| ahead.ranges == stretch.ranges) {
            if ahead.front().is_some() {
                return Ok(ahead);
            }
            after = after.max(ahead.page.reached);
            if let Some(next) = ahead.next.take() {
                // A read that was lost with its task is simply done again.
                page = next.await.ok().transpose()?;
            }
        }
        let page = match page {
            Some(page) => page,
            None => self.query(stretch, after).await?,
        };
        let is_empty = page.events.is_empty() && page.unreadable.is_none();
        let next = (page.reached < stretch.upto.position && !is_empty)
            .then(|| tokio::spawn(self.query(stretch, page.reached)));
        let witness = last_of(&page, stretch.upto);
        Ok(Ahead { ranges: stretch.ranges.clone(), page, witness, taken: 0, next })
    }

    /// A read that can run on its own.
    fn query(
        &self,
        stretch: &Behind,
        after: Position,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send + use<> {
        let log = Arc::clone(&self.ports.log);
        let deployment = Arc::clone(&self.loaded.deployment);
        let (ranges, upto, limit) = (stretch.ranges.clone(), stretch.upto.position, self.batch_max());
        async move {
            let scope = &deployment.descriptor.scope;
            log.read(ReadQuery { after, upto, scope, ranges: &ranges, limit }).await
        }
    }
}
