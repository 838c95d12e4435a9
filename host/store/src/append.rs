//! Which events an append writes and which version each gets. Pure: the known ids and the heads of
//! the aggregates are the caller's to fetch, the rows the caller's to write.

use std::collections::{HashMap, HashSet};

use kennel_core::event::NewEvent;
use kennel_core::limits;
use kennel_core::port::StoreError;
use uuid::Uuid;

/// The values that name an aggregate: bounded context, type, id.
pub(crate) type Aggregate<'a> = (&'a str, &'a str, &'a str);

/// An event that is to be written, with its version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbered<'a> {
    pub(crate) event: &'a NewEvent,
    pub(crate) version: i64,
}

/// The aggregate that `event` belongs to.
pub(crate) fn aggregate_of(event: &NewEvent) -> Aggregate<'_> {
    (&event.bounded_context, &event.aggregate_type, &event.aggregate_id)
}

/// Rejects what no log can hold, so that every store rejects the same.
pub(crate) fn check(events: &[NewEvent]) -> Result<(), StoreError> {
    events
        .iter()
        .enumerate()
        .try_for_each(|(index, event)| event.check().map_err(|reason| invalid(index, event, &reason)))
}

/// The search for the first event that a database does not take. It says of several only that one of them is wrong.
#[derive(Debug)]
pub(crate) struct Culprit {
    /// So many from the first on are taken.
    taken: usize,
    /// So many are not.
    invalid: usize,
    reason: String,
}

impl Culprit {
    /// `reason` is why it does not take so many.
    pub(crate) fn among(events: usize, reason: String) -> Self {
        Self { taken: 0, invalid: events, reason }
    }

    /// How many to try next; `None` once it is found.
    pub(crate) fn next(&self) -> Option<usize> {
        (self.invalid - self.taken > 1).then(|| self.taken.midpoint(self.invalid))
    }

    /// So many were tried, and why they were not taken, if they were not.
    pub(crate) fn tried(&mut self, events: usize, invalid: Option<String>) {
        match invalid {
            None => self.taken = events,
            Some(reason) => (self.invalid, self.reason) = (events, reason),
        }
    }

    /// The error about the event that was found.
    pub(crate) fn found(self, events: &[NewEvent]) -> StoreError {
        let index = self.invalid.saturating_sub(1);
        invalid(index, &events[index], &format!("the database does not take it: {}", self.reason))
    }
}

/// Leaves out the events whose id is in `known`, which grows by those that stay, and numbers the rest
/// after `heads`, which move along.
pub(crate) fn number<'a>(
    events: &'a [NewEvent],
    known: &mut HashSet<Uuid>,
    heads: &mut HashMap<Aggregate<'a>, i64>,
) -> Result<Vec<Numbered<'a>>, StoreError> {
    let mut numbered = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        if !known.insert(event.event_id) {
            continue;
        }
        let head = heads.entry(aggregate_of(event)).or_insert(0);
        let next = *head + 1;
        if let Some(given) = event.aggregate_version
            && u64::try_from(next) != Ok(given)
        {
            let reason = format!(
                "its aggregate is at version {head}, so the next version is {next} and not {given}; leave \
                 aggregate_version out to take the next one"
            );
            return Err(invalid(index, event, &reason));
        }
        *head = next;
        numbered.push(Numbered { event, version: next });
    }
    Ok(numbered)
}

/// An event that cannot be appended, named so that its writer finds it.
fn invalid(index: usize, event: &NewEvent, reason: &str) -> StoreError {
    let message = format!(
        "event {} of {}/{} cannot be appended: {reason}",
        event.event_id,
        limits::excerpt(&event.aggregate_type),
        limits::excerpt(&event.aggregate_id),
    );
    StoreError::InvalidEvent { index, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_invalid_event_is_found() {
        for count in 1..20_usize {
            for first in 0..count {
                let mut culprit = Culprit::among(count, "all".to_owned());
                while let Some(some) = culprit.next() {
                    culprit.tried(some, (some > first).then(|| format!("first {some}")));
                }
                assert_eq!(culprit.invalid, first + 1, "of {count}");
                let last = if first + 1 == count { "all".to_owned() } else { format!("first {}", first + 1) };
                assert_eq!(culprit.reason, last);
            }
        }
    }
}
