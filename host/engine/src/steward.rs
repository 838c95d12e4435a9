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
use kennel_core::projection::{Deployment, DeploymentId};
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
/// How long the old one is held at most, and how long it is left alone after that: longer each time, up to the
/// maximum, since holding it costs those whom it serves.
const HELD_MAX: Duration = Duration::from_secs(5);
const LEFT_ALONE: Duration = Duration::from_secs(5);
const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);
/// Who says what is in the way of a switch: whichever steward has tried last.
const SWITCHING: &str = "switch";
/// How often to look for read models to remove when nothing changes.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// What a steward remembers from look to look.
struct Memory {
    /// Deployments that could not take their place.
    left_alone: BTreeMap<DeploymentId, Rest>,
    /// Since when the read model is held whose place each is to take, as far as was seen.
    held: BTreeMap<DeploymentId, Instant>,
    sweep_due: Instant,
    troubles: Troubles,
}

/// Until when nobody here tries to put a deployment in its place again, and how long that is.
struct Rest {
    until: Instant,
    long: Duration,
}

/// What fails, and why, by what it was done for.
#[derive(Default)]
struct Troubles(BTreeMap<String, String>);

/// What came of an attempt to put a read model in its place.
enum Attempt {
    /// It was done.
    Over,
    /// The new one has fallen behind meanwhile and will be due again.
    Behind,
    /// It was not done here, and is left alone for a while: somebody was quicker.
    InVain,
    /// The same, because of somebody who is in the way. Nothing was held.
    Hindered(&'static str),
    /// The old one was held in vain, for this reason, and let go: it is to get on.
    LetGo(String),
}

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
        let mut memory = Memory {
            left_alone: BTreeMap::new(),
            held: BTreeMap::new(),
            sweep_due: Instant::now(),
            troubles: Troubles::default(),
        };
        loop {
            let building = catalog
                .borrow_and_update()
                .as_ref()
                .is_some_and(|catalog| catalog.iter().any(|loaded| loaded.stage == Stage::Building));
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.look(&mut memory, building) => {}
            }
            let next = if building { Instant::now() + LOOK_EVERY } else { memory.sweep_due };
            tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = catalog.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // What has changed may have left something behind.
                    memory.sweep_due = Instant::now();
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Does what is due. Whatever fails keeps nothing else from being done.
    async fn look(&self, memory: &mut Memory, building: bool) {
        let sweep = Instant::now() >= memory.sweep_due;
        // Whoever held a read model for a switch may have died over it, and what was being built may be of no use
        // here: so everybody looks from time to time.
        if building || sweep {
            self.switch_all(memory).await;
        }
        if sweep {
            let swept = self.registry.sweep().await;
            memory.sweep_due = Instant::now() + if swept.is_ok() { SWEEP_EVERY } else { LEFT_ALONE };
            memory.troubles.heed("removing what nobody needs", swept);
        }
    }

    async fn switch_all(&self, memory: &mut Memory) {
        let progress = self.registry.progress().await;
        let Some(progress) = memory.troubles.heed("reading how far projections are", progress) else {
            return;
        };
        let candidates = || progress.iter().filter(|one| one.stage == Stage::Building);
        memory.left_alone.retain(|id, _| candidates().any(|one| one.deployment.id == *id));
        memory.held.retain(|id, _| candidates().any(|one| one.deployment.id == *id));
        for candidate in candidates() {
            let live = progress.iter().find(|one| {
                one.stage == Stage::Live && one.deployment.projection == candidate.deployment.projection
            });
            let Some(live) = live else { continue };
            if self.is_to_be_tried(memory, candidate, live) {
                self.try_to_switch(memory, &candidate.deployment, live.frozen).await;
            }
        }
    }

    /// What others hold is switched or let go by everybody, also if it is no longer due: they may have died. Who rests
    /// leaves it to them for longer than anybody holds it.
    fn is_to_be_tried(
        &self,
        memory: &mut Memory,
        candidate: &ProjectionProgress,
        live: &ProjectionProgress,
    ) -> bool {
        let (id, now) = (candidate.deployment.id, Instant::now());
        if !live.frozen {
            memory.held.remove(&id);
        }
        let held = live.frozen.then(|| now - *memory.held.entry(id).or_insert(now));
        match memory.left_alone.get(&id) {
            Some(rest) if now < rest.until => held.is_some_and(|long| long > HELD_MAX * 2),
            _ => held.is_some() || self.is_due(candidate, live),
        }
    }

    async fn try_to_switch(&self, memory: &mut Memory, candidate: &Deployment, held: bool) {
        let Deployment { id, projection, number, .. } = candidate;
        let doing = format!("putting deployment {number} of {projection} in its place");
        let obstacle = match self.switch(projection, held).await {
            Ok(Attempt::Behind) => return,
            Ok(Attempt::Over) => return memory.troubles.end(&doing),
            // Whoever was quicker tells what is in the way, if anything is.
            Ok(Attempt::InVain) => None,
            Ok(Attempt::Hindered(reason)) => Some(reason.to_owned()),
            Ok(Attempt::LetGo(reason)) => Some(reason),
            Err(error) => Some(crate::chain(&error)),
        };
        let before = memory.left_alone.get(id).map_or(Duration::ZERO, |rest| rest.long);
        let long = (before * 2).clamp(LEFT_ALONE, LEFT_ALONE_MAX);
        memory.left_alone.insert(*id, Rest { until: Instant::now() + long, long });
        if let Some(reason) = obstacle {
            let told = format!("it cannot take its place: {reason}");
            if let Err(error) = self.registry.hinder(*id, SWITCHING, Some(&told)).await {
                tracing::debug!(reason = crate::chain(&error), "an obstacle was not recorded");
            }
            memory.troubles.tell(&doing, reason);
        }
    }

    /// Whether what is being built is near enough to the end of the log, and to what serves. The old one is not
    /// held for something that stands still.
    fn is_due(&self, candidate: &ProjectionProgress, live: &ProjectionProgress) -> bool {
        let behind = checkpoint::behind(&candidate.checkpoints, &live.checkpoints);
        let near = |behind: u64| behind <= limits::SWITCH_SLACK_POSITIONS;
        candidate.switch == Switch::Auto
            && candidate.activity == Activity::Running
            && (candidate.state != ProjectionState::Halted || behind == 0)
            // While nobody has looked where the log ends, everything would seem to be near.
            && self.horizon.seen().is_some_and(|end| near(end.distance_from(candidate.position())))
            && near(behind)
    }

    /// Holds the old read model, waits for the new one to draw level, and puts it in place; or lets the old one go
    /// again. `held`: it was held before this began.
    async fn switch(&self, projection: &ProjectionName, held: bool) -> Result<Attempt, StoreError> {
        // Another process may be at it, or may have died over it: then the old one is held already.
        match self.registry.begin_switch(projection, limits::SWITCH_SLACK_POSITIONS).await? {
            Switched::Behind(_) => return Ok(Attempt::Behind),
            Switched::Busy if !held => {
                return Ok(Attempt::Hindered("the old one cannot be held: somebody is in the way"));
            }
            Switched::Busy | Switched::Done | Switched::Nothing => {}
        }
        let until = Instant::now() + HELD_MAX;
        let mut reason = "somebody keeps reading the old one".to_owned();
        while Instant::now() < until {
            let pause = match self.registry.finish_switch(projection).await {
                Ok(Switched::Done) => {
                    tracing::info!(%projection, "the read model that was built has taken its place");
                    self.metrics.count_deployment(DeploymentOutcome::Switched);
                    return Ok(Attempt::Over);
                }
                // Done, or let go, by somebody else: who lets go wants the old one to get on for a while.
                Ok(Switched::Nothing) => {
                    tracing::debug!(%projection, "there is nothing to switch any more; leaving it alone");
                    return Ok(Attempt::InVain);
                }
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
                    // Only what is away comes back: anything else fails however often it is tried.
                    if !matches!(error, StoreError::Unavailable { .. }) {
                        break;
                    }
                    TRY_BUSY_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
        self.registry.abandon_switch(projection).await?;
        Ok(Attempt::LetGo(reason))
    }
}

impl Troubles {
    /// What an attempt has brought, if it has worked; if not, that is told.
    fn heed<T>(&mut self, doing: &str, outcome: Result<T, StoreError>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.end(doing);
                Some(value)
            }
            Err(error) => {
                self.tell(doing, crate::chain(&error));
                None
            }
        }
    }

    /// Warns, unless the same was told already: some of this is tried several times a second.
    fn tell(&mut self, doing: &str, reason: String) {
        if self.is_news(doing, &reason) {
            tracing::warn!(reason, "{doing} failed; trying again");
            self.0.insert(doing.to_owned(), reason);
        }
    }

    fn end(&mut self, doing: &str) {
        self.0.remove(doing);
    }

    fn is_news(&self, doing: &str, reason: &str) -> bool {
        self.0.get(doing).is_none_or(|known| known != reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_until_it_changes_or_is_over() {
        let mut troubles = Troubles::default();
        let failure = |why: &str| {
            let source = why.to_owned().into();
            Err::<(), _>(StoreError::Failed { doing: "sweeping".to_owned(), source })
        };
        let why = |why: &str| crate::chain(&failure(why).unwrap_err());
        assert!(troubles.is_news("a", &why("no disk")));
        assert_eq!(troubles.heed("a", failure("no disk")), None);
        assert!(!troubles.is_news("a", &why("no disk")));
        assert!(troubles.is_news("a", &why("no table")) && troubles.is_news("b", &why("no disk")));
        assert_eq!(troubles.heed("a", Ok(())), Some(()));
        assert!(troubles.is_news("a", &why("no disk")), "it had worked meanwhile");
    }
}
