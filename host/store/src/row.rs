//! Rows of Kennel's own tables to core types and back. Event rows are decoded by the backends, whose
//! column types differ.

use std::str::FromStr;

use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::{Condition, ReportedCondition};
use kennel_core::digest::Digest;
use kennel_core::failure::{EventFailure, FailureKind};
use kennel_core::lifecycle::Attribution;
use kennel_core::membership::{Generation, WorkerId};
use kennel_core::name::ProjectionName;
use kennel_core::partition::HashRange;
use kennel_core::port::{DeadLetter, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, DeploymentId, ReadModelId};
use kennel_core::witness::Witness;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Doing, corrupt};
use crate::session::Row;

/// A number that databases hold with a sign and core without.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number that core holds without a sign and databases with one.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A deployment.
pub(crate) fn deployment(row: &impl Row) -> Result<Deployment, StoreError> {
    let doing = "reading a deployment";
    Ok(Deployment {
        id: DeploymentId::new(row.int("id").doing(doing)?),
        projection: projection(row.text("projection").doing(doing)?)?,
        replica_set: parsed(row.text("replica_set").doing(doing)?, "a replica set's name")?,
        number: number(row, "number")?,
        digest: digest(&row.text("digest").doing(doing)?)?,
        descriptor: from_json(&row.text("descriptor").doing(doing)?, "a descriptor")?,
        settings: from_json(&row.text("settings").doing(doing)?, "settings")?,
        read_model: ReadModelId::new(row.int("read_model").doing(doing)?),
    })
}

/// A position in a column.
pub(crate) fn position(row: &impl Row, column: &str) -> Result<Position, sqlx::Error> {
    row.int(column).map(|position| Position::new(unsigned(position)))
}

/// The number of a deployment in a column.
pub(crate) fn number(row: &impl Row, column: &str) -> Result<u32, StoreError> {
    row.int(column).doing("reading a deployment").map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// The number in a column that may have none.
pub(crate) fn number_or_null(row: &impl Row, column: &str) -> Result<Option<u32>, StoreError> {
    let doing = "reading a number";
    let found = row.int_or_null(column).doing(doing)?;
    found.map(|_| number(row, column)).transpose()
}

/// An actor and a reason.
pub(crate) fn attribution(row: &impl Row) -> Result<Attribution, StoreError> {
    let doing = "reading the actor and the reason";
    Ok(Attribution {
        actor: row.text("actor").doing(doing)?,
        reason: row.text_or_null("reason").doing(doing)?,
    })
}

/// A condition as a source has reported it; nothing for a reason that only later versions know.
pub(crate) fn condition(row: &impl Row) -> Result<Option<ReportedCondition>, StoreError> {
    let doing = "reading a condition of a deployment";
    let Ok(reason) = row.text("reason").doing(doing)?.parse() else { return Ok(None) };
    Ok(Some(ReportedCondition {
        source: row.text("source").doing(doing)?,
        condition: Condition { reason, message: row.text("message").doing(doing)? },
        since: Some(unsigned(row.int("since").doing(doing)?)),
    }))
}

/// A component's digest from its text.
pub(crate) fn digest(text: &str) -> Result<Digest, StoreError> {
    text.parse().map_err(|_| corrupt("a component digest", text))
}

/// A projection's name from its text.
pub(crate) fn projection(text: String) -> Result<ProjectionName, StoreError> {
    parsed(text, "a projection's name")
}

/// One of a few known values in a column.
pub(crate) fn word<T: FromStr>(row: &impl Row, column: &str) -> Result<T, StoreError> {
    let word = row.text(column).doing("reading one of a few known values")?;
    word.parse().map_err(|_| corrupt(&format!("the value of `{column}`"), &word))
}

/// A checkpoint.
pub(crate) fn checkpoint(row: &impl Row) -> Result<Checkpoint, StoreError> {
    let column = |name| row.int(name).doing("reading a checkpoint").map(unsigned);
    let (start, end) = (column("range_start")?, column("range_end")?);
    let range = HashRange::new(start, end)
        .ok_or_else(|| corrupt("a checkpoint's range", &format!("{start}..{end}")))?;
    let position = Position::new(column("position")?);
    let generation = Generation::new(column("generation")?);
    Ok(Checkpoint { range, position, generation, witness: witness(row)? })
}

/// A witness from the columns that bear its name.
pub(crate) fn witness(row: &impl Row) -> Result<Option<Witness>, StoreError> {
    witness_of(row, "witness_position", "witness_id")
}

/// A witness from two columns: a position, 0 if there is none, and an event's id.
pub(crate) fn witness_of(row: &impl Row, position: &str, id: &str) -> Result<Option<Witness>, StoreError> {
    let doing = "reading the last event of a checkpoint";
    let position = Position::new(unsigned(row.int(position).doing(doing)?));
    if position == Position::START {
        return Ok(None);
    }
    let id = row.text(id).doing(doing)?;
    let event_id = Uuid::parse_str(&id).map_err(|_| corrupt("an event's id", &id))?;
    Ok(Some(Witness { position, event_id }))
}

/// A witness as two arguments.
pub(crate) fn witness_args(witness: Option<Witness>) -> (i64, String) {
    witness.map_or((0, String::new()), |Witness { position, event_id }| {
        (signed(position.get()), event_id.to_string())
    })
}

/// The owners of a generation from their JSON.
pub(crate) fn owners(text: &str) -> Result<Vec<WorkerId>, StoreError> {
    from_json(text, "the owners of a generation")
}

/// A worker's id from its text.
pub(crate) fn worker(text: &str) -> Result<WorkerId, StoreError> {
    Uuid::parse_str(text).map(WorkerId).map_err(|_| corrupt("a worker's id", text))
}

/// A checked value from its text.
pub(crate) fn parsed<T: TryFrom<String>>(text: String, what: &str) -> Result<T, StoreError> {
    T::try_from(text.clone()).map_err(|_| corrupt(what, &text))
}

/// A value that is stored as JSON.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| corrupt(what, text))
}

/// A value as the JSON to store.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed {
        doing: "writing a value as JSON".to_owned(),
        source: error.into(),
    })
}

/// How a failure is stored. Core's type has no serde, so that the names of its fields are chosen here alone.
#[derive(Serialize, Deserialize)]
struct StoredFailure {
    position: u64,
    event_id: Option<Uuid>,
    event_type: String,
    aggregate_id: String,
    digest: String,
    kind: FailureKind,
    message: String,
    attempts: u32,
}

/// A failure as the JSON to store. In JSON text NUL is an escape, so both databases can hold it.
pub(crate) fn failure_to_json(failure: &EventFailure) -> Result<String, StoreError> {
    let stored = StoredFailure {
        position: failure.position.get(),
        event_id: failure.event_id,
        event_type: failure.event_type.clone(),
        aggregate_id: failure.aggregate_id.clone(),
        digest: failure.digest.to_string(),
        kind: failure.kind,
        message: failure.message.clone(),
        attempts: failure.attempts,
    };
    to_json(&stored)
}

/// A failure from its stored JSON.
pub(crate) fn failure_from_json(text: &str) -> Result<EventFailure, StoreError> {
    let stored: StoredFailure = from_json(text, "a failure")?;
    let digest = digest(&stored.digest)?;
    Ok(EventFailure {
        position: Position::new(stored.position),
        event_id: stored.event_id,
        event_type: stored.event_type,
        aggregate_id: stored.aggregate_id,
        digest,
        kind: stored.kind,
        message: stored.message,
        attempts: stored.attempts,
    })
}

/// A dead letter from its stored JSON.
pub(crate) fn dead_letter(text: &str) -> Result<DeadLetter, StoreError> {
    failure_from_json(text).map(|failure| DeadLetter { failure })
}
