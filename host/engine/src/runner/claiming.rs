//! How a runner comes by its checkpoints, and what it does while the log does not hold what they cover.

use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::Role;
use kennel_core::port::{ClaimOutcome, StoreError};
use kennel_core::retry::Backoff;
use kennel_core::witness::LogSetBack;

use super::{FENCED_LOOK_MAX, Runner};
use crate::metrics::ProgressGauge;

impl Runner {
    /// Claims this runner's range, and returns the incarnation of the log as well; nothing if its generation is no
    /// longer current. A fenced read model is waited for, and so is an operator's decision about a log that was set
    /// back, until this runner is to stop.
    pub(super) async fn claim(
        &mut self,
        progress_gauge: &ProgressGauge,
    ) -> Result<Option<(Vec<Checkpoint>, u64)>, StoreError> {
        let mut backoff = Backoff::new(self.options.poll_min, self.options.poll_max);
        let mut reported = None;
        // A claim before the first look at the log could be of another log than the first that is seen.
        tokio::select! {
            biased;
            () = self.stop.requested() => return Ok(Some((Vec::new(), 0))),
            () = self.high_water_mark.looked() => {}
        }
        loop {
            // Looked at before the claim: if the log is set back after it, this is another number by then.
            let incarnation = self.high_water_mark.incarnation();
            let (replica_set, read_model) = (&self.options.replica_set, self.loaded.deployment.read_model);
            let claim = self.ports.coordination.claim(replica_set, self.generation, read_model, self.range);
            let look_max = match claim.await? {
                ClaimOutcome::Owned(owned) => {
                    self.report_log(progress_gauge, &mut reported, None);
                    return Ok(Some((owned, incarnation)));
                }
                ClaimOutcome::Superseded => return Ok(None),
                ClaimOutcome::Fenced => FENCED_LOOK_MAX,
                ClaimOutcome::LogSetBack(set_back) => {
                    self.report_log(progress_gauge, &mut reported, Some(set_back));
                    self.options.poll_max
                }
            };
            if self.sleep(backoff.next_pause().min(look_max)).await {
                return Ok(Some((Vec::new(), incarnation)));
            }
        }
    }

    /// Reports that the log does not hold what was handled, or that this is no longer so. Stores report it by
    /// themselves.
    fn report_log(
        &self,
        progress_gauge: &ProgressGauge,
        reported: &mut Option<LogSetBack>,
        now: Option<LogSetBack>,
    ) {
        if *reported == now {
            return;
        }
        let projection = &self.loaded.deployment.projection;
        match &now {
            Some(set_back) => {
                let message = set_back.message(projection);
                tracing::error!(%projection, role = self.loaded.role.as_str(), "halted: {message}");
                // Clients of the serving read model need not know that a candidate cannot be built.
                if self.loaded.role == Role::Serving {
                    self.status.block(self.part(), message);
                }
            }
            None => {
                tracing::info!(%projection, "the log bears out what was handled; going on");
                self.status.clear(&self.part());
            }
        }
        progress_gauge.halted(now.is_some());
        *reported = now;
    }
}
