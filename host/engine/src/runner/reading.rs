//! Reading events, one page ahead of the handler when there is more to come.

use std::sync::Arc;

use kennel_core::checkpoint::{Behind, Mark};
use kennel_core::event::Event;
use kennel_core::partition::HashRange;
use kennel_core::port::{Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::witness::Witness;
use tokio::task::JoinHandle;

use super::{Progress, Runner};

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

    /// Up to where the page says everything about the log. Without a witness, no checkpoint can be moved there.
    pub(super) fn reached(&self) -> Mark {
        Mark { position: self.page.reached, witness: self.witness }
    }

    /// Where the checkpoint stands once the first `handled` events are done, `last` being their last.
    pub(super) fn reached_after(&self, handled: usize, last: Witness) -> Mark {
        match handled == self.events().len() && self.witness.is_some() {
            true => self.reached(),
            false => Mark { position: last.position, witness: Some(last) },
        }
    }

    pub(super) fn take(&mut self, handled: usize) {
        self.taken += handled;
    }
}

/// The last event at or below where a page of a query up to `upto` ends, if that is known.
fn last_of(page: &Page, upto: Mark) -> Option<Witness> {
    let last = page.events.last().map(Event::witness).filter(|last| last.position == page.reached);
    let at_end = upto.witness.filter(|_| page.reached == upto.position);
    last.or(page.witness).or(at_end)
}

impl Runner {
    /// The next events of the stretch: what is left of the last page, the page that was read ahead, or
    /// a new one.
    pub(super) async fn read(&self, progress: &mut Progress, stretch: &Behind) -> Result<Ahead, StoreError> {
        let mut after = progress.skipped.map_or(stretch.from, |skipped| skipped.to.position);
        let mut page = None;
        // What was read for other ranges is of no use: they have merged, or others have fallen behind.
        if let Some(mut ahead) = progress.ahead.take().filter(|ahead| ahead.ranges == stretch.ranges) {
            if !ahead.events().is_empty() {
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
        let next = (page.reached < stretch.upto.position && !page.events.is_empty())
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
        let events = Arc::clone(&self.ports.events);
        let deployment = Arc::clone(&self.loaded.deployment);
        let (ranges, upto, limit) = (stretch.ranges.clone(), stretch.upto.position, self.batch_max());
        async move {
            let scope = &deployment.descriptor.scope;
            events.read(ReadQuery { after, upto, scope, ranges: &ranges, limit }).await
        }
    }
}
