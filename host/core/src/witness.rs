//! The witness of a checkpoint: the last event that it covers. What was handled is known to be part of the log
//! for as long as the log holds it, and holds nothing between it and the checkpoint.
//!
//! A log that was set back, by a restore or a failover, gives out positions anew. A checkpoint that only knew its
//! position would be taken for true by any log that has grown beyond it, and what was written anew below it
//! would never be handled.

use uuid::Uuid;

use crate::condition::{Condition, ConditionReason};
use crate::name::ProjectionName;
use crate::position::Position;

/// An event of the log, by its position and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness {
    pub position: Position,
    pub event_id: Uuid,
}

/// A log that does not hold what a checkpoint covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSetBack {
    /// Events up to here were handled.
    pub handled: Position,
    /// The last of them.
    pub witness: Option<Witness>,
    /// The highest position in the log.
    pub log_end: Position,
    /// The last event of the log, not beyond `handled`, that was created before the checkpoint was moved. A proposal:
    /// writers may set that time as they like. Nothing if there is none.
    pub common: Option<Position>,
}

impl LogSetBack {
    /// The condition of a deployment of this projection.
    #[must_use]
    pub fn condition(&self, projection: &ProjectionName) -> Condition {
        Condition { reason: ConditionReason::LogSetBack, message: self.message(projection) }
    }

    /// The finding, and the ways on.
    #[must_use]
    pub fn message(&self, projection: &ProjectionName) -> String {
        let (handled, log_end) = (self.handled, self.log_end);
        let finding = match self.witness {
            Some(Witness { position, event_id }) if log_end >= handled => format!(
                "event {event_id} at position {position} was handled, and the log does not hold it there any more: it was \
                 set back and has been written anew"
            ),
            _ if log_end < handled => {
                format!("the log ends at {log_end}, but events up to {handled} were handled: it was set back")
            }
            _ => format!(
                "the log holds events at or below {handled} that were not there when everything up to {handled} was handled"
            ),
        };
        let (after, basis) = match self.common {
            Some(after) => (
                after.to_string(),
                format!(
                    " By the time at which it was created, the event at {after} is the last that was there before: make \
                     sure of it, for what lies at or below is not handled again."
                ),
            ),
            None => (
                "POSITION".to_owned(),
                " POSITION is that of the last event that was there before.".to_owned(),
            ),
        };
        format!(
            "{finding}. Nothing more is handled until an operator decides: `kennel rebuild {projection}` builds the read model \
             anew; `kennel accept-log {projection} --after {after}` keeps it and goes on with the log as it is.{basis}"
        )
    }
}
