//! Takes the steps in the lifecycles of projections that no operator takes: cuts over to candidates that have caught
//! up, and removes read models that are no longer needed.
//!
//! Every process has a cutover controller, and any of them may take any step: the store lets each take effect once, and
//! a controller that dies halfway leaves a state from which the next one goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::checkpoint;
use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::lifecycle::{Activity, Promotion, Role};
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::{
    Cutover, CutoverOutcome, ProjectionProgress, ProjectionState, StatusReports, StoreError,
};
use kennel_core::projection::{Deployment, DeploymentId};
use kennel_core::retry::Backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::high_water_mark;
use crate::metrics::{DeploymentOutcome, ReplicaSetMetrics};
use crate::shutdown::Shutdown;

/// How often a candidate is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often to try to complete the cutover once the serving read model is fenced.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How often to try while others read and cannot be interrupted.
const TRY_BUSY_EVERY: Duration = Duration::from_millis(100);
/// How long the serving read model is fenced at most, and how long it is left alone after that: longer each time, up to
/// the maximum, since a fence costs the clients of the read model.
const FENCED_MAX: Duration = Duration::from_secs(5);
const LEFT_ALONE: Duration = Duration::from_secs(5);
const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);
/// The source of the conditions of cutovers: whichever controller has tried last.
const SOURCE: &str = "cutover controller";
/// How often to look for read models to remove when nothing changes.
const COLLECT_EVERY: Duration = Duration::from_secs(30);

/// The state that a controller keeps from look to look.
struct Memory {
    /// Candidates whose cutover was aborted or blocked.
    left_alone: BTreeMap<DeploymentId, Rest>,
    /// Since when the serving read model of each candidate is fenced, as far as was seen.
    fenced_since: BTreeMap<DeploymentId, Instant>,
    garbage_due: Instant,
    troubles: Troubles,
}

/// Until when this process does not try a cutover again, and for how long the next time.
struct Rest {
    until: Instant,
    backoff: Backoff,
}

/// The actions that fail, and why.
#[derive(Default)]
struct Troubles(BTreeMap<String, String>);

/// The result of an attempt to cut over.
enum Attempt {
    /// It was done.
    Over,
    /// The candidate has fallen behind meanwhile and will be due again.
    Behind,
    /// It was not done here, and is left alone for a while: another process was quicker.
    InVain,
    /// The same, because a reader or another process blocks it. Nothing was fenced.
    Blocked(&'static str),
    /// The serving read model was fenced in vain, for this reason, and released: it is to get on.
    Released(String),
}

/// Cuts over the projections of a replica set, and collects garbage.
pub struct CutoverController {
    pub cutover: Arc<dyn Cutover>,
    pub reports: Arc<dyn StatusReports>,
    pub high_water_mark: high_water_mark::PublishedMark,
    pub metrics: ReplicaSetMetrics,
}

impl std::fmt::Debug for CutoverController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CutoverController").finish_non_exhaustive()
    }
}

impl CutoverController {
    /// Serves until a stop is asked for.
    pub async fn serve(self, mut catalog: watch::Receiver<Option<Catalog>>, mut stop: Shutdown) {
        let mut memory = Memory {
            left_alone: BTreeMap::new(),
            fenced_since: BTreeMap::new(),
            garbage_due: Instant::now(),
            troubles: Troubles::default(),
        };
        loop {
            let has_candidate = catalog
                .borrow_and_update()
                .as_ref()
                .is_some_and(|catalog| catalog.iter().any(|loaded| loaded.role == Role::Candidate));
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.look(&mut memory, has_candidate) => {}
            }
            let next = if has_candidate { Instant::now() + LOOK_EVERY } else { memory.garbage_due };
            tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = catalog.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // A change may have left a read model to remove.
                    memory.garbage_due = Instant::now();
                }
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Takes the steps that are due. A step that fails keeps no other from being taken.
    async fn look(&self, memory: &mut Memory, has_candidate: bool) {
        let garbage_is_due = Instant::now() >= memory.garbage_due;
        // The process that fenced a read model for a cutover may have died over it, and the candidate may not be run
        // here: so every process looks from time to time.
        if has_candidate || garbage_is_due {
            self.cut_over_all(memory).await;
        }
        if garbage_is_due {
            let collected = self.cutover.collect_garbage().await;
            memory.garbage_due = Instant::now() + if collected.is_ok() { COLLECT_EVERY } else { LEFT_ALONE };
            memory.troubles.log_failure("collecting garbage", collected);
        }
    }

    async fn cut_over_all(&self, memory: &mut Memory) {
        let progress = self.reports.progress().await;
        let Some(progress) = memory.troubles.log_failure("reading the progress of projections", progress)
        else {
            return;
        };
        let candidates = || progress.iter().filter(|one| one.role == Role::Candidate);
        memory.left_alone.retain(|id, _| candidates().any(|one| one.deployment.id == *id));
        memory.fenced_since.retain(|id, _| candidates().any(|one| one.deployment.id == *id));
        for candidate in candidates() {
            let serving = progress.iter().find(|one| {
                one.role == Role::Serving && one.deployment.projection == candidate.deployment.projection
            });
            let Some(serving) = serving else { continue };
            if self.is_to_be_tried(memory, candidate, serving) {
                self.try_cutover(memory, &candidate.deployment, serving.fenced).await;
            }
        }
    }

    /// Every process completes or aborts the cutovers that others began, also if they are no longer due: the others may
    /// have died. A process that rests leaves them to the others for longer than any fence lasts.
    fn is_to_be_tried(
        &self,
        memory: &mut Memory,
        candidate: &ProjectionProgress,
        serving: &ProjectionProgress,
    ) -> bool {
        let (id, now) = (candidate.deployment.id, Instant::now());
        if !serving.fenced {
            memory.fenced_since.remove(&id);
        }
        let fenced = serving.fenced.then(|| now - *memory.fenced_since.entry(id).or_insert(now));
        match memory.left_alone.get(&id) {
            Some(rest) if now < rest.until => fenced.is_some_and(|long| long > FENCED_MAX * 2),
            _ => fenced.is_some() || self.is_due(candidate, serving),
        }
    }

    async fn try_cutover(&self, memory: &mut Memory, candidate: &Deployment, fenced: bool) {
        let Deployment { id, projection, number, .. } = candidate;
        let doing = format!("the cutover to deployment {number} of {projection}");
        let blocked_by = match self.cut_over(projection, fenced).await {
            Ok(Attempt::Behind) => return,
            Ok(Attempt::Over) => return memory.troubles.end(&doing),
            // The process that was quicker reports the condition, if there is one.
            Ok(Attempt::InVain) => None,
            Ok(Attempt::Blocked(reason)) => Some(reason.to_owned()),
            Ok(Attempt::Released(reason)) => Some(reason),
            Err(error) => Some(crate::chain(&error)),
        };
        let now = Instant::now();
        let rest = memory.left_alone.entry(*id);
        let rest =
            rest.or_insert_with(|| Rest { until: now, backoff: Backoff::new(LEFT_ALONE, LEFT_ALONE_MAX) });
        rest.until = now + rest.backoff.next_pause();
        if let Some(reason) = blocked_by {
            let message = format!("the cutover is blocked: {reason}");
            let condition = Condition { reason: ConditionReason::CutoverBlocked, message };
            if let Err(error) = self.reports.report_condition(*id, SOURCE, Some(&condition)).await {
                tracing::debug!(reason = crate::chain(&error), "a condition was not recorded");
            }
            memory.troubles.report(&doing, reason);
        }
    }

    /// Whether the candidate is near enough to the end of the log, and to the serving read model. That is not fenced
    /// for a candidate that is halted.
    fn is_due(&self, candidate: &ProjectionProgress, serving: &ProjectionProgress) -> bool {
        let behind = checkpoint::behind(&candidate.checkpoints, &serving.checkpoints);
        let near = |behind: u64| behind <= limits::CUTOVER_SLACK_POSITIONS;
        candidate.promotion == Promotion::Auto
            && candidate.activity == Activity::Running
            && (candidate.state != ProjectionState::Halted || behind == 0)
            // Before the first look at the end of the log, everything would seem to be near.
            && self.high_water_mark.seen().is_some_and(|end| near(end.distance_from(candidate.position())))
            && near(behind)
    }

    /// Fences the serving read model, waits for the candidate to catch up, and completes the cutover; or aborts it.
    /// `fenced`: the read model was fenced before this began.
    async fn cut_over(&self, projection: &ProjectionName, fenced: bool) -> Result<Attempt, StoreError> {
        // Another process may be at it, or may have died over it: then the read model is fenced already.
        match self.cutover.begin_cutover(projection, limits::CUTOVER_SLACK_POSITIONS).await? {
            CutoverOutcome::Behind(_) => return Ok(Attempt::Behind),
            CutoverOutcome::Busy if !fenced => {
                return Ok(Attempt::Blocked(
                    "the serving read model cannot be fenced: a reader or another process blocks it",
                ));
            }
            CutoverOutcome::Busy | CutoverOutcome::Done | CutoverOutcome::Nothing => {}
        }
        let until = Instant::now() + FENCED_MAX;
        let mut reason = "a reader keeps the serving read model busy".to_owned();
        while Instant::now() < until {
            let pause = match self.cutover.complete_cutover(projection).await {
                Ok(CutoverOutcome::Done) => {
                    tracing::info!(%projection, "the cutover is complete: the candidate serves");
                    self.metrics.count_deployment(DeploymentOutcome::Promoted);
                    return Ok(Attempt::Over);
                }
                // Completed or aborted by another process: one that aborts wants the serving read model to get on for a
                // while.
                Ok(CutoverOutcome::Nothing) => {
                    tracing::debug!(%projection, "there is nothing to cut over to any more; leaving it alone");
                    return Ok(Attempt::InVain);
                }
                Ok(CutoverOutcome::Behind(behind)) => {
                    reason = format!("the candidate is {behind} positions behind and does not catch up");
                    TRY_EVERY
                }
                Ok(CutoverOutcome::Busy) => {
                    "a reader keeps the serving read model busy".clone_into(&mut reason);
                    TRY_BUSY_EVERY
                }
                Err(error) => {
                    reason = crate::chain(&error);
                    // Only a store that is away comes back: anything else fails however often it is tried.
                    if !matches!(error, StoreError::Unavailable { .. }) {
                        break;
                    }
                    TRY_BUSY_EVERY
                }
            };
            tokio::time::sleep(pause).await;
        }
        self.cutover.abort_cutover(projection).await?;
        Ok(Attempt::Released(reason))
    }
}

impl Troubles {
    /// The value of an action that has worked; a failure is logged.
    fn log_failure<T>(&mut self, doing: &str, outcome: Result<T, StoreError>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.end(doing);
                Some(value)
            }
            Err(error) => {
                self.report(doing, crate::chain(&error));
                None
            }
        }
    }

    /// Warns, unless the same was reported already: some of this is tried several times a second.
    fn report(&mut self, doing: &str, reason: String) {
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
    fn a_failure_is_reported_once_until_it_changes_or_is_over() {
        let mut troubles = Troubles::default();
        let failure = |why: &str| {
            let source = why.to_owned().into();
            Err::<(), _>(StoreError::Failed { doing: "collecting".to_owned(), source })
        };
        let why = |why: &str| crate::chain(&failure(why).unwrap_err());
        assert!(troubles.is_news("a", &why("no disk")));
        assert_eq!(troubles.log_failure("a", failure("no disk")), None);
        assert!(!troubles.is_news("a", &why("no disk")));
        assert!(troubles.is_news("a", &why("no table")) && troubles.is_news("b", &why("no disk")));
        assert_eq!(troubles.log_failure("a", Ok(())), Some(()));
        assert!(troubles.is_news("a", &why("no disk")), "it had worked meanwhile");
    }
}
