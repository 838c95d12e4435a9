//! Takes the steps in the lifecycles of projections that no operator takes: cuts over to candidates that have caught
//! up, and removes read models that are no longer needed.
//!
//! Every process has a cutover controller, and any of them may take any step: the store lets each take effect once, and
//! a controller that dies halfway leaves a state from which the next one goes on.
//!
//! What to try and what follows is decided in `decide`; this file only does it.

mod decide;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kennel_core::condition::{Condition, ConditionReason};
use kennel_core::lifecycle::Role;
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::{Cutover, StoreError};
use kennel_core::projection::Deployment;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::high_water_mark;
use crate::metrics::{DeploymentOutcome, ReplicaSetMetrics};
use crate::ports::CandidateReports;
use crate::shutdown::Shutdown;
use decide::{Attempt, Candidates, LEFT_ALONE, Step};

/// How often a candidate is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The source of the conditions of cutovers: whichever controller has tried last.
const SOURCE: &str = "cutover controller";
/// How often to look for read models to remove when nothing changes.
const COLLECT_EVERY: Duration = Duration::from_secs(30);

/// The state that a controller keeps from look to look.
struct Memory {
    candidates: Candidates,
    garbage_due: Instant,
    troubles: Troubles,
}

/// The actions that fail, and why.
#[derive(Default)]
struct Troubles(BTreeMap<String, String>);

/// Cuts over the projections of a replica set, and collects garbage.
pub struct CutoverController {
    pub cutover: Arc<dyn Cutover>,
    pub reports: Arc<dyn CandidateReports>,
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
            candidates: Candidates::default(),
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
        memory.candidates.observe(&progress, Instant::now());
        for due in memory.candidates.due(&progress, self.high_water_mark.seen(), Instant::now()) {
            self.try_cutover(memory, due.candidate, due.fenced).await;
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
        memory.candidates.leave_alone(*id, Instant::now());
        if let Some(reason) = blocked_by {
            let message = format!("the cutover is blocked: {reason}");
            let condition = Condition { reason: ConditionReason::CutoverBlocked, message };
            if let Err(error) = self.reports.report_condition(*id, SOURCE, Some(&condition)).await {
                tracing::debug!(reason = crate::chain(&error), "a condition was not recorded");
            }
            memory.troubles.report(&doing, reason);
        }
    }

    /// Fences the serving read model, waits for the candidate to catch up, and completes the cutover; or aborts it.
    /// `fenced`: the read model was fenced before this began.
    async fn cut_over(&self, projection: &ProjectionName, fenced: bool) -> Result<Attempt, StoreError> {
        // Another process may be at it, or may have died over it: then the read model is fenced already.
        let begun = self.cutover.begin_cutover(projection, limits::CUTOVER_SLACK_POSITIONS).await?;
        let (mut step, began) = (decide::after_begin(begun, fenced), Instant::now());
        loop {
            step = match step {
                Step::Complete => decide::after_try(&self.cutover.complete_cutover(projection).await),
                Step::Wait(pause, reason) => {
                    tokio::time::sleep(pause).await;
                    decide::after_wait(began.elapsed(), reason)
                }
                Step::Abort(reason) => {
                    self.cutover.abort_cutover(projection).await?;
                    return Ok(Attempt::Released(reason));
                }
                Step::End(attempt) => {
                    self.report_end(projection, &attempt);
                    return Ok(attempt);
                }
            };
        }
    }

    fn report_end(&self, projection: &ProjectionName, attempt: &Attempt) {
        match attempt {
            Attempt::Over => {
                tracing::info!(%projection, "the cutover is complete: the candidate serves");
                self.metrics.count_deployment(DeploymentOutcome::Promoted);
            }
            Attempt::InVain => {
                tracing::debug!(%projection, "there is nothing to cut over to any more; leaving it alone");
            }
            Attempt::Behind | Attempt::Blocked(_) | Attempt::Released(_) => {}
        }
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
