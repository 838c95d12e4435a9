//! The exactly-once check. It judges the read models of the examples from outside: that of `audit-log` through
//! `kennel documents --json`, those of `timeline` and `event-statistics` with SQL against the events table.

use serde_json::Value;

use crate::binary::Kennel;
use crate::replicas::Session;

/// What the documents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactlyOnce {
    pub events: usize,
    pub aggregates: usize,
    pub not_once: usize,
    pub out_of_order: usize,
}

/// Reads every document of the projection.
#[must_use]
pub fn exactly_once(kennel: &Kennel, projection: &str) -> ExactlyOnce {
    let events = documents(kennel, projection, "events");
    let aggregates = documents(kennel, projection, "aggregates");
    ExactlyOnce {
        events: events.len(),
        aggregates: aggregates.len(),
        not_once: events.iter().filter(|row| row["document"]["count"] != 1).count(),
        out_of_order: aggregates.iter().filter(|row| row["document"]["out_of_order"] != false).count(),
    }
}

/// All documents of a collection: an array of `{"key": …, "document": …}`.
#[must_use]
pub fn documents(kennel: &Kennel, projection: &str, collection: &str) -> Vec<Value> {
    let rows = kennel.json(&["documents", projection, collection, "--json"]);
    rows.as_array().expect("an array").clone()
}

/// What the numbering of `timeline` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    pub entries: u64,
    /// Entries whose number is not one more than that of the entry before.
    pub misnumbered: u64,
    /// Entries that do not follow upon the entry before, or that stand at or before its position.
    pub misplaced: u64,
    /// Entries of events that the log does not hold.
    pub unknown: u64,
}

/// Reads the numbering of `timeline`. If it is free of errors and has as many entries as the log has
/// events, then every event was handled once, in the order of the log, by one worker at a time.
pub fn numbering(session: &mut Session) -> Numbering {
    let entries = session.table("timeline", "entries");
    let found = session.numbers(&format!(
        "SELECT count(*), count(*) FILTER (WHERE number <> place),
           count(*) FILTER (WHERE previous <> before OR position <= before),
           count(*) FILTER (WHERE e.global_position IS NULL)
         FROM (SELECT *, row_number() OVER (ORDER BY number) AS place,
                 lag(position, 1, 0::bigint) OVER (ORDER BY number) AS before
               FROM (SELECT key::bigint AS number, (document->>'position')::bigint AS position,
                       (document->>'previous_position')::bigint AS previous
                     FROM {entries}) entry) entry
         LEFT JOIN events e ON e.global_position = entry.position"
    ));
    Numbering { entries: found[0], misnumbered: found[1], misplaced: found[2], unknown: found[3] }
}

/// What the documents of `event-statistics` say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    pub event_types: u64,
    /// Event types whose count by `increment` differs from the log.
    pub wrong_counts: u64,
    /// Event types of which anything that was read, changed and written differs from the log.
    pub wrong_types: u64,
}

/// Compares the documents of `event-statistics` with the log.
pub fn statistics(session: &mut Session) -> Statistics {
    let counts = session.table("event-statistics", "counts");
    let types = session.table("event-statistics", "types");
    let found = session.numbers(&format!(
        "WITH truth AS (
           SELECT event_type, count(*) AS count, jsonb_build_object('count', count(*),
             'first_position', min(global_position), 'last_position', max(global_position),
             'payload_bytes_max', max(octet_length(payload))) AS document
           FROM events GROUP BY event_type)
         SELECT (SELECT count(*) FROM truth),
           (SELECT count(*) FROM truth FULL JOIN {counts} c ON c.key = event_type
            WHERE c.document IS DISTINCT FROM jsonb_build_object('count', truth.count)),
           (SELECT count(*) FROM truth FULL JOIN {types} t ON t.key = event_type
            WHERE t.document IS DISTINCT FROM truth.document)"
    ));
    Statistics { event_types: found[0], wrong_counts: found[1], wrong_types: found[2] }
}
