//! Logs that do not hold what checkpoints cover: found out, and accepted by an operator.
//!
//! A checkpoint is borne out by the log if the last event at or below its position is its witness. Every commit and
//! every claim makes sure of that in its own transaction, so that no checkpoint is ever moved over events that
//! it has not seen.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::{Lifecycle, Rejected};
use kennel_core::partition::HashRange;
use kennel_core::port::StoreError;
use kennel_core::position::Position;
use kennel_core::projection::ReadModelId;
use kennel_core::witness::{LogSetBack, Witness};

use crate::backend::Backend;
use crate::error::Doing as _;
use crate::row::{self, signed, unsigned};
use crate::session::{Arg, Row, Tx as _};
use crate::store::SqlStore;

/// A stored checkpoint, and whether the log bears it out.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) borne_out: bool,
    /// Microseconds since 1970 by the database's clock.
    moved_at: i64,
}

impl Found {
    /// From a row.
    pub(crate) fn new(row: &impl Row) -> Result<Self, StoreError> {
        let doing = "reading a checkpoint";
        let checkpoint = row::checkpoint(row)?;
        let borne_out = row.int("borne_out").doing(doing)? != 0;
        let moved_at = row.int("moved_at").doing(doing)?;
        Ok(Self { checkpoint, borne_out, moved_at })
    }
}

impl<B: Backend> SqlStore<B> {
    /// What has to be said if the log does not bear out all of these checkpoints.
    pub(crate) async fn log_set_back(
        &self,
        tx: &mut B::Tx,
        read_model: ReadModelId,
        found: &[Found],
    ) -> Result<Option<LogSetBack>, StoreError> {
        let in_doubt = found.iter().filter(|found| !found.borne_out);
        let Some(furthest) = in_doubt.max_by_key(|found| found.checkpoint.position) else { return Ok(None) };
        let handled = furthest.checkpoint.position;
        let (_, log_end) = self.last_event(tx, handled).await?;
        let common = self.common(tx, read_model, furthest).await?;
        Ok(Some(LogSetBack { handled, witness: furthest.checkpoint.witness, log_end, common }))
    }

    /// The last event at or below a position, and the highest position of the log.
    async fn last_event(
        &self,
        tx: &mut B::Tx,
        upto: Position,
    ) -> Result<(Option<Witness>, Position), StoreError> {
        let doing = "looking for the last event of a checkpoint";
        let row = tx.row(&self.sql.events_last, &[Arg::Int(signed(upto.get()))]).await.doing(doing)?;
        let row = row.ok_or(sqlx::Error::RowNotFound).doing(doing)?;
        Ok((row::witness(&row)?, Position::new(unsigned(row.int("head").doing(doing)?))))
    }

    /// The last event that was there before a checkpoint was moved, as far as that can be known.
    async fn common(
        &self,
        tx: &mut B::Tx,
        read_model: ReadModelId,
        found: &Found,
    ) -> Result<Option<Position>, StoreError> {
        let doing = "looking for the last event that the log has kept";
        let upto = found.checkpoint.position;
        self.backend.common(tx, read_model, upto, found.moved_at).await.doing(doing)
    }

    /// Sets the checkpoints of a projection that the log does not bear out back to `after`, at most: what the log holds
    /// beyond is handled next. A worker that works on them has to claim them again.
    pub(crate) async fn accept_log(
        &self,
        tx: &mut B::Tx,
        lifecycle: &Lifecycle,
        after: Position,
    ) -> Result<Result<(), Rejected>, StoreError> {
        let doing = "accepting a log that was set back";
        let mut accepted = false;
        for read_model in &lifecycle.read_models {
            let id = Arg::Int(read_model.get());
            // Claims are serialized by this lock: one that waited for a row that is replaced here would not see the new
            // one.
            tx.row(&self.sql.read_model_lock, &[id]).await.doing(doing)?;
            let all = [id, Arg::Int(0), Arg::Int(signed(HashRange::ALL.end()))];
            let rows = tx.rows(&self.sql.checkpoints_overlapping, &all).await.doing(doing)?;
            for row in &rows {
                let Found { checkpoint, borne_out, .. } = Found::new(row)?;
                if borne_out {
                    continue;
                }
                let position = checkpoint.position.min(after);
                let (witness, log_end) = self.last_event(tx, position).await?;
                if after > log_end {
                    return Ok(Err(Rejected::BeyondLog { after, log_end }));
                }
                let start = Arg::Int(signed(checkpoint.range.start()));
                tx.execute(&self.sql.checkpoint_delete, &[id, start]).await.doing(doing)?;
                let back = Checkpoint { position, witness, range: checkpoint.range, ..Checkpoint::INITIAL };
                self.insert_checkpoint(tx, *read_model, &back).await.doing(doing)?;
                accepted = true;
            }
        }
        Ok(if accepted { Ok(()) } else { Err(Rejected::LogHolds(lifecycle.projection.clone())) })
    }
}
