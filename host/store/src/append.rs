//! Which events an append writes and which version each gets. Pure: the known ids and the heads of
//! the aggregates are the caller's to fetch, the rows the caller's to write.

use std::collections::{HashMap, HashSet};

use kennel_core::event::{NewEvent, is_json};
use kennel_core::limits;
use kennel_core::port::StoreError;
use uuid::Uuid;

/// The words that name an aggregate: bounded context, type, id.
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

/// Refuses what no log can hold, so that every store refuses the same.
pub(crate) fn check(events: &[NewEvent]) -> Result<(), StoreError> {
    events.iter().try_for_each(|event| check_event(event).map_err(|reason| refuse(event, &reason)))
}

fn check_event(event: &NewEvent) -> Result<(), String> {
    let words = [
        ("bounded_context", Some(&event.bounded_context)),
        ("aggregate_type", Some(&event.aggregate_type)),
        ("aggregate_id", Some(&event.aggregate_id)),
        ("event_type", Some(&event.event_type)),
        ("trace_id", event.trace_id.as_ref()),
        ("correlation_id", event.correlation_id.as_ref()),
        ("causation_id", event.causation_id.as_ref()),
    ];
    for (name, word) in words {
        if word.is_some_and(|word| word.contains('\0')) {
            return Err(format!("{name} contains the character NUL, which databases cannot hold in text"));
        }
    }
    if let Some(metadata) = &event.metadata {
        if !is_json(metadata) {
            return Err("metadata is not JSON".to_owned());
        }
        if metadata.contains("\\u0000") {
            return Err("metadata contains \\u0000, which databases cannot hold in JSON".to_owned());
        }
    }
    if i32::try_from(event.event_version).is_err() {
        return Err(format!("event_version {} is larger than {}", event.event_version, i32::MAX));
    }
    if event.created_at.is_some_and(|nanos| i64::try_from(nanos).is_err()) {
        return Err("created_at lies after the year 2262".to_owned());
    }
    Ok(())
}

/// Leaves out the events whose id is in `known`, which grows by those that stay, and numbers the rest
/// after `heads`, which move along.
pub(crate) fn number<'a>(
    events: &'a [NewEvent],
    known: &mut HashSet<Uuid>,
    heads: &mut HashMap<Aggregate<'a>, i64>,
) -> Result<Vec<Numbered<'a>>, StoreError> {
    let mut numbered = Vec::with_capacity(events.len());
    for event in events {
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
            return Err(refuse(event, &reason));
        }
        *head = next;
        numbered.push(Numbered { event, version: next });
    }
    Ok(numbered)
}

/// An event that cannot be appended, named so that its writer finds it.
pub(crate) fn refuse(event: &NewEvent, reason: &str) -> StoreError {
    let message = format!(
        "event {} of {}/{} cannot be appended: {reason}",
        event.event_id,
        limits::excerpt(&event.aggregate_type),
        limits::excerpt(&event.aggregate_id),
    );
    StoreError::Invalid { message }
}
