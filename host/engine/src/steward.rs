//! Takes the steps in the lives of projections that no person takes: puts a read model that was built in the
//! place of the old one, and removes those that nobody needs any more.
//!
//! Every process has a steward, and any of them may take any step: the store lets each take effect once, and
//! whoever dies halfway leaves a state from which the next one goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::checkpoint;
use kennel_core::lifecycle::{Activity, Stage, Switch};
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::{ProjectionProgress, ProjectionState, Registry, StoreError, Switched};
use kennel_core::projection::DeploymentId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::horizon;
use crate::metrics::{DeploymentOutcome, ReplicaSetMetrics};
use crate::shutdown::Shutdown;

/// How often a read model that is being built is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often to try to put it in place once the old one is held.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How often to try while others read and cannot be interrupted.
const TRY_BUSY_EVERY: Duration = Duration::from_millis(100);
/// How long the old one is held at most, and how long it is left alone after that.
const HELD_MAX: Duration = Duration::from_secs(5);
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// How often to look for read models to remove when nothing changes.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Deployments that could not take their place, and until when nobody here tries again.
type LeftAlone = BTreeMap<DeploymentId, Instant>;

/// Looks after the projections of a replica set.
pub struct Steward {
    pub registry: Arc<dyn Registry>,
    pub horizon: horizon::Feed,
    pub metrics: ReplicaSetMetrics,
}

impl std::fmt::Debug for Steward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steward").finish_non_exhaustive()
    }
}

impl Steward {
    /// Serves until a stop is asked for.
    pub async fn serve(self, mut catalog: watch::Receiver<Option<Catalog>>, mut stop: Shutdown) {
        let mut sweep_due = Instant::now();
        let mut left_alone = LeftAlone::new();
        loop {
            let building = catalog
                .borrow_and_update()
                .as_ref()
                .is_some_and(|catalog| catalog.iter().any(|loaded| loaded.stage == Stage::Building));
            let work = async {
                // Whoever held a read model for a switch may have died over it, and what was being built may be
                // of no use here: so everybody looks from time to time.
                if building || Instant::now() >= sweep_due {
                    self.switch_all(&mut left_alone).await?;
                }
                if Instant::now() >= sweep_due {
                    self.registry.sweep().await?;
                    sweep_due = Instant::now() + SWEEP_EVERY;
                }
                Ok::<(), StoreError>(())
            };
            let worked = tokio::select! {
                biased;
                () = stop.requested() => return,
                worked = work => worked,
            };
            if let Err(error) = worked {
                tracing::debug!(
                    reason = crate::chain(&error),
                    "looking after projections failed; trying again"
                );
            }
            let wait = if building { LOOK_EVERY } else { SWEEP_EVERY };
            tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = catalog.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // What has changed may have left something behind.
                    sweep_due = Instant::now();
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn switch_all(&self, left_alone: &mut LeftAlone) -> Result<(), StoreError> {
        left_alone.retain(|_, until| Instant::now() < *until);
        let progress = self.registry.progress().await?;
        for candidate in progress.iter().filter(|one| one.stage == Stage::Building) {
            let projection = &candidate.deployment.projection;
            let live = progress
                .iter()
                .find(|one| one.stage == Stage::Live && one.deployment.projection == *projection);
            let Some(live) = live else { continue };
            let due = self.is_due(candidate, live) && !left_alone.contains_key(&candidate.deployment.id);
            // What somebody else holds is switched or let go, also if it is no longer due: they may have died.
            if !due && !live.frozen {
                continue;
            }
            if !self.switch(projection).await? {
                left_alone.insert(candidate.deployment.id, Instant::now() + LEFT_ALONE);
            }
        }
        Ok(())
    }

    /// Whether what is being built is near enough to the end of the log, and to what serves. The old one is not
    /// held for something that stands still.
    fn is_due(&self, candidate: &ProjectionProgress, live: &ProjectionProgress) -> bool {
        let behind = checkpoint::behind(&candidate.checkpoints, &live.checkpoints);
        let near = |behind: u64| behind <= limits::SWITCH_SLACK_POSITIONS;
        candidate.switch == Switch::Auto
            && candidate.activity == Activity::Running
            && (candidate.state != ProjectionState::Halted || behind == 0)
            && near(self.horizon.position().distance_from(candidate.position()))
            && near(behind)
    }

    /// Holds the old read model, waits for the new one to draw level, and puts it in place; `false` if that was
    /// not done here, whether or not somebody else has done it.
    async fn switch(&self, projection: &ProjectionName) -> Result<bool, StoreError> {
        // Another process may be at it, or may have died over it: then the old one is held already.
        if let Switched::Behind(_) =
            self.registry.begin_switch(projection, limits::SWITCH_SLACK_POSITIONS).await?
        {
            return Ok(true);
        }
        let until = Instant::now() + HELD_MAX;
        let mut reason = "somebody keeps reading the old one".to_owned();
        while Instant::now() < until {
            let pause = match self.registry.finish_switch(projection).await {
                Ok(Switched::Done) => {
                    tracing::info!(%projection, "the read model that was built has taken its place");
                    self.metrics.count_deployment(DeploymentOutcome::Switched);
                    return Ok(true);
                }
                // Done, or let go, by somebody else: who lets go wants the old one to get on for a while.
                Ok(Switched::Nothing) => return Ok(false),
                Ok(Switched::Behind(behind)) => {
                    reason = format!("it is {behind} positions behind and does not draw level");
                    TRY_EVERY
                }
                Ok(Switched::Busy) => {
                    "somebody keeps reading the old one".clone_into(&mut reason);
                    TRY_BUSY_EVERY
                }
                Err(error) => {
                    reason = crate::chain(&error);
                    TRY_BUSY_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
        self.registry.abandon_switch(projection).await?;
        tracing::warn!(
            %projection,
            reason,
            "the read model that was built could not take its place within {} s; trying again",
            HELD_MAX.as_secs()
        );
        Ok(false)
    }
}
