//! Reads pages of the log, and one page ahead when there is more to come. It executes and commits nothing.

use std::sync::Arc;

use kennel_core::port::{LogReader, Page, ReadQuery, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::Deployment;
use tokio::task::JoinHandle;

use super::pending::{PageQuery, Pending};

/// Reads the events that a deployment wants.
pub(super) struct Reader {
    log: Arc<dyn LogReader>,
    deployment: Arc<Deployment>,
    /// Most events of one page.
    limit: usize,
    ahead: Option<Ahead>,
}

/// A page that is being read before it was asked for.
struct Ahead {
    query: PageQuery,
    page: JoinHandle<Result<Page, StoreError>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.page.abort();
    }
}

impl Reader {
    pub(super) fn new(log: Arc<dyn LogReader>, deployment: Arc<Deployment>, limit: usize) -> Self {
        Self { log, deployment, limit, ahead: None }
    }

    /// The page of a query: the one that was read ahead, or a new one. Begins to read the one after it.
    pub(super) async fn read(&mut self, query: PageQuery) -> Result<Pending, StoreError> {
        // What was read for other ranges or from elsewhere is of no use.
        let same = |ahead: &Ahead| (&ahead.query.ranges, ahead.query.after) == (&query.ranges, query.after);
        let page = match self.ahead.take().filter(same) {
            // A read that was lost with its task is simply done again.
            Some(mut ahead) => (&mut ahead.page).await.ok().transpose()?,
            None => None,
        };
        let page = match page {
            Some(page) => page,
            None => self.query(&query).await?,
        };
        let next = next_after(&query, &page);
        let prefetched = next.as_ref().map(|next| next.after);
        self.ahead = next.map(|next| Ahead { page: tokio::spawn(self.query(&next)), query: next });
        Ok(Pending::new(query, page, prefetched))
    }

    /// A read that can run on its own.
    fn query(&self, query: &PageQuery) -> impl Future<Output = Result<Page, StoreError>> + Send + use<> {
        let (log, deployment) = (Arc::clone(&self.log), Arc::clone(&self.deployment));
        let (ranges, after, upto, limit) =
            (query.ranges.clone(), query.after, query.upto.position, self.limit);
        async move {
            let scope = &deployment.descriptor.scope;
            log.read(ReadQuery { after, upto, scope, ranges: &ranges, limit }).await
        }
    }
}

/// The page to read ahead, after a page that holds something: execution takes time, in which it can be read.
fn next_after(query: &PageQuery, page: &Page) -> Option<PageQuery> {
    let is_empty = page.events.is_empty() && page.unreadable.is_none();
    let follows: Option<Position> = (page.reached < query.upto.position && !is_empty).then_some(page.reached);
    follows.map(|after| PageQuery { after, ..query.clone() })
}
