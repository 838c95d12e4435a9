//! Which cutovers a controller tries, and what follows each step of one. Pure: what was observed in, steps out; time is
//! a parameter.

use std::collections::BTreeMap;
use std::time::Duration;

use kennel_core::checkpoint;
use kennel_core::lifecycle::{Activity, Promotion, Role};
use kennel_core::limits;
use kennel_core::port::{CutoverOutcome, ProjectionProgress, ProjectionState, StoreError};
use kennel_core::position::Position;
use kennel_core::projection::{Deployment, DeploymentId};
use kennel_core::retry::Backoff;
use tokio::time::Instant;

/// How often to try to complete the cutover once the serving read model is fenced.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How often to try while others read and cannot be interrupted.
const TRY_BUSY_EVERY: Duration = Duration::from_millis(100);
/// How long the serving read model is fenced at most, and how long it is left alone after that: longer each time, up to
/// the maximum, since a fence costs the clients of the read model.
pub(super) const FENCED_MAX: Duration = Duration::from_secs(5);
pub(super) const LEFT_ALONE: Duration = Duration::from_secs(5);
const LEFT_ALONE_MAX: Duration = Duration::from_secs(60);

const BUSY: &str = "a reader keeps the serving read model busy";

/// What was observed of candidates before, and what became of their cutovers.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Those whose cutover was aborted or blocked.
    left_alone: BTreeMap<DeploymentId, Rest>,
    /// Since when the serving read model of each is fenced, as far as was seen.
    fenced_since: BTreeMap<DeploymentId, Instant>,
}

/// Until when this process does not try a cutover again, and for how long the next time.
#[derive(Debug)]
struct Rest {
    until: Instant,
    backoff: Backoff,
}

/// A cutover to try.
#[derive(Debug, PartialEq)]
pub(super) struct Due<'a> {
    pub(super) candidate: &'a Deployment,
    /// Whether the serving read model is fenced for it already.
    pub(super) fenced: bool,
}

/// The result of an attempt to cut over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
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

/// The next step of a cutover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Try to complete it.
    Complete,
    /// Wait so long, then decide again. The reason is that of the last try.
    Wait(Duration, String),
    /// Release the serving read model, for this reason.
    Abort(String),
    /// Nothing more is to be done.
    End(Attempt),
}

impl Candidates {
    /// Observes which candidates there are, and for which of them the serving read model is fenced.
    pub(super) fn observe(&mut self, progress: &[ProjectionProgress], now: Instant) {
        let pairs: BTreeMap<DeploymentId, bool> =
            pairs(progress).map(|(candidate, serving)| (candidate.deployment.id, serving.fenced)).collect();
        self.left_alone.retain(|id, _| pairs.contains_key(id));
        self.fenced_since.retain(|id, _| pairs.get(id) == Some(&true));
        for (id, _) in pairs.into_iter().filter(|(_, fenced)| *fenced) {
            self.fenced_since.entry(id).or_insert(now);
        }
    }

    /// The cutovers to try now, where `end` is the end of the log, if that is known.
    pub(super) fn due<'a>(
        &self,
        progress: &'a [ProjectionProgress],
        end: Option<Position>,
        now: Instant,
    ) -> Vec<Due<'a>> {
        let due = pairs(progress).filter(|(candidate, serving)| self.is_due(candidate, serving, end, now));
        due.map(|(candidate, serving)| Due { candidate: &candidate.deployment, fenced: serving.fenced })
            .collect()
    }

    /// Every process completes or aborts the cutovers that others began, also if they are no longer due: the others may
    /// have died. A process that rests leaves them to the others for longer than any fence lasts.
    fn is_due(
        &self,
        candidate: &ProjectionProgress,
        serving: &ProjectionProgress,
        end: Option<Position>,
        now: Instant,
    ) -> bool {
        let id = candidate.deployment.id;
        let fenced = self.fenced_since.get(&id).map(|since| now - *since);
        match self.left_alone.get(&id) {
            Some(rest) if now < rest.until => fenced.is_some_and(|long| long > FENCED_MAX * 2),
            _ => fenced.is_some() || has_caught_up(candidate, serving, end),
        }
    }

    /// A cutover was tried in vain: it is left alone for a while.
    pub(super) fn leave_alone(&mut self, id: DeploymentId, now: Instant) {
        let fresh = || Rest { until: now, backoff: Backoff::new(LEFT_ALONE, LEFT_ALONE_MAX) };
        let rest = self.left_alone.entry(id).or_insert_with(fresh);
        rest.until = now + rest.backoff.next_pause();
    }
}

/// Every candidate with the deployment of its projection that serves.
fn pairs(
    progress: &[ProjectionProgress],
) -> impl Iterator<Item = (&ProjectionProgress, &ProjectionProgress)> {
    let candidates = progress.iter().filter(|one| one.role == Role::Candidate);
    candidates.filter_map(|candidate| {
        let ours = |one: &&ProjectionProgress| {
            one.role == Role::Serving && one.deployment.projection == candidate.deployment.projection
        };
        Some((candidate, progress.iter().find(ours)?))
    })
}

/// Whether the candidate is near enough to the end of the log, and to the serving read model. That is not fenced for a
/// candidate that is halted.
fn has_caught_up(
    candidate: &ProjectionProgress,
    serving: &ProjectionProgress,
    end: Option<Position>,
) -> bool {
    let behind = checkpoint::behind(&candidate.checkpoints, &serving.checkpoints);
    let near = |behind: u64| behind <= limits::CUTOVER_SLACK_POSITIONS;
    candidate.promotion == Promotion::Auto
        && candidate.activity == Activity::Running
        && (candidate.state != ProjectionState::Halted || behind == 0)
        // Before the first look at the end of the log, everything would seem to be near.
        && end.is_some_and(|end| near(end.distance_from(candidate.position())))
        && near(behind)
}

/// The step after the serving read model was to be fenced. `fenced`: it was before.
pub(super) fn after_begin(outcome: CutoverOutcome, fenced: bool) -> Step {
    match outcome {
        CutoverOutcome::Behind(_) => Step::End(Attempt::Behind),
        CutoverOutcome::Busy if !fenced => Step::End(Attempt::Blocked(
            "the serving read model cannot be fenced: a reader or another process blocks it",
        )),
        CutoverOutcome::Busy | CutoverOutcome::Done | CutoverOutcome::Nothing => Step::Complete,
    }
}

/// The step after an attempt to complete a cutover.
pub(super) fn after_try(outcome: &Result<CutoverOutcome, StoreError>) -> Step {
    match outcome {
        Ok(CutoverOutcome::Done) => Step::End(Attempt::Over),
        // Completed or aborted by another process: one that aborts wants the serving read model to get on for a while.
        Ok(CutoverOutcome::Nothing) => Step::End(Attempt::InVain),
        Ok(CutoverOutcome::Behind(behind)) => {
            Step::Wait(TRY_EVERY, format!("the candidate is {behind} positions behind and does not catch up"))
        }
        Ok(CutoverOutcome::Busy) => Step::Wait(TRY_BUSY_EVERY, BUSY.to_owned()),
        // Only a store that is away comes back: anything else fails however often it is tried.
        Err(error @ StoreError::Unavailable { .. }) => Step::Wait(TRY_BUSY_EVERY, crate::chain(error)),
        Err(error) => Step::Abort(crate::chain(error)),
    }
}

/// The step after a wait, when the serving read model has been fenced for so long.
pub(super) fn after_wait(fenced: Duration, reason: String) -> Step {
    if fenced < FENCED_MAX { Step::Complete } else { Step::Abort(reason) }
}

#[cfg(test)]
mod tests;
