//! How a runner comes by its checkpoints, and what it does while the log does not hold what they cover.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::Stage;
use kennel_core::port::{Claimed, StoreError};
use kennel_core::witness::LogSetBack;

use super::{HELD_LOOK_MAX, Runner};
use crate::metrics::Standing;

impl Runner {
    /// Claims this runner's range, and tells in which incarnation of the log; nothing if its generation is no longer
    /// current. A read model that is held is waited for, and so is an operator's decision about a log that was set back,
    /// until this runner is to stop.
    pub(super) async fn claim(
        &mut self,
        standing: &Standing,
    ) -> Result<Option<(Vec<Checkpoint>, u64)>, StoreError> {
        let mut pause = self.options.poll_min;
        let mut told = None;
        // What is claimed before anybody has seen the log could be of another log than the first that is seen.
        tokio::select! {
            biased;
            () = self.stop.requested() => return Ok(Some((Vec::new(), 0))),
            () = self.horizon.looked() => {}
        }
        loop {
            // Looked at before the claim: if the log is set back after it, this is another number by then.
            let incarnation = self.horizon.incarnation();
            let (replica_set, read_model) = (&self.options.replica_set, self.loaded.deployment.read_model);
            let claim = self.ports.coordination.claim(replica_set, self.generation, read_model, self.range);
            let look_max = match claim.await? {
                Claimed::Owned(owned) => {
                    self.report_log(standing, &mut told, None);
                    return Ok(Some((owned, incarnation)));
                }
                Claimed::Superseded => return Ok(None),
                Claimed::Held => HELD_LOOK_MAX,
                Claimed::LogSetBack(set_back) => {
                    self.report_log(standing, &mut told, Some(set_back));
                    self.options.poll_max
                }
            };
            if self.sleep(pause).await {
                return Ok(Some((Vec::new(), incarnation)));
            }
            pause = (pause * 2).min(look_max);
        }
    }

    /// Tells everybody that the log does not hold what was handled, or that this is no longer so. Stores say it of
    /// themselves.
    fn report_log(&self, standing: &Standing, told: &mut Option<LogSetBack>, now: Option<LogSetBack>) {
        if *told == now {
            return;
        }
        let projection = &self.loaded.deployment.projection;
        match &now {
            Some(set_back) => {
                let message = set_back.message(projection);
                tracing::error!(%projection, stage = self.loaded.stage.as_str(), "halted: {message}");
                // Readers of the old read model need not know that a new one cannot be built.
                if self.loaded.stage == Stage::Live {
                    self.status.block(&self.part(), message);
                }
            }
            None => {
                tracing::info!(%projection, "the log bears out what was handled; going on");
                self.status.clear(&self.part());
            }
        }
        standing.halted(now.is_some());
        *told = now;
    }
}
