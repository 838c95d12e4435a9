//! Logs in memory that were set back.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::{Lifecycle, Rejected};
use kennel_core::membership::Generation;
use kennel_core::partition::HashRange;
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_core::witness::{LogSetBack, Witness};

use super::{MemoryStore, State};

impl MemoryStore {
    /// Sets the log alone back: events after `last` are gone, and their positions are given out anew.
    pub fn set_log_back(&self, last: Position) {
        let mut state = self.state();
        let gone = state.events.split_off(&Position::new(last.get() + 1));
        for event in gone.into_values() {
            state.ids.remove(&event.event_id);
            let name = (event.bounded_context, event.aggregate_type, event.aggregate_id);
            if let Some(head) = state.heads.get_mut(&name) {
                *head -= 1;
            }
        }
        state.last_position = last;
        state.incarnation += 1;
    }
}

impl State {
    /// The last event at or below a position.
    pub(super) fn last_event(&self, upto: Position) -> Option<Witness> {
        self.events.range(..=upto).next_back().map(|(_, event)| event.witness())
    }

    fn is_borne_out(&self, row: &Checkpoint) -> bool {
        self.last_event(row.position) == row.witness
    }

    /// What has to be said of a read model whose checkpoints inside `range` the log does not bear out.
    pub(super) fn log_set_back(&self, read_model: ReadModelId, range: HashRange) -> Option<LogSetBack> {
        let rows = self.read_models.get(&read_model)?.checkpoints.iter();
        let in_doubt = rows.filter(|row| row.range.intersection(range).is_some() && !self.is_borne_out(row));
        let furthest = in_doubt.max_by_key(|row| row.position)?;
        let log_end = self.events.last_key_value().map_or(Position::START, |(position, _)| *position);
        // When the rows were written is nowhere in memory.
        Some(LogSetBack { handled: furthest.position, witness: furthest.witness, log_end, common: None })
    }

    pub(super) fn accept_log(&mut self, lifecycle: &Lifecycle, after: Position) -> Result<(), Rejected> {
        let log_end = self.events.last_key_value().map_or(Position::START, |(position, _)| *position);
        let mut accepted = false;
        for read_model in &lifecycle.read_models {
            if self.log_set_back(*read_model, HashRange::ALL).is_none() {
                continue;
            }
            if after > log_end {
                return Err(Rejected::BeyondLog { after, log_end });
            }
            let Some(built) = self.read_models.get(read_model) else { continue };
            let back = |row: &Checkpoint| match self.is_borne_out(row) {
                true => *row,
                false => {
                    let position = row.position.min(after);
                    let witness = self.last_event(position);
                    Checkpoint { range: row.range, position, witness, generation: Generation::NONE }
                }
            };
            let checkpoints = built.checkpoints.iter().map(back).collect();
            if let Some(built) = self.read_models.get_mut(read_model) {
                built.checkpoints = checkpoints;
            }
            accepted = true;
        }
        if accepted { Ok(()) } else { Err(Rejected::LogHolds(lifecycle.projection.clone())) }
    }
}
