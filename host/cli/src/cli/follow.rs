//! Waits until a candidate is built, and says when there is nothing to wait for. Ending the wait leaves the build
//! going on.

use std::time::Duration;

use kennel_core::condition::ConditionReason;
use kennel_core::lifecycle::{Activity, Outcome, Promotion};
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::ProjectionState;
use tokio::time::Instant;

use super::output;
use crate::exit::ExitKind;
use kennel::control::Control;
use kennel::control::view::{BuildView, ChangeView, ConditionView, ProjectionView};

/// How often a build is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long workers may take to appear before a build is left to itself.
const WORKERS_MAY_COME: Duration = Duration::from_secs(5);
/// How long the store or the host may be away: long enough for it to be started anew.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long a build that has nearly caught up, and that is promoted manually, gets to catch up.
const NEARLY_CAUGHT_UP_FOR: Duration = Duration::from_secs(2);

/// Shows how a deployment is being built until it serves, or, if it is promoted manually, until it could.
pub(super) async fn follow(
    control: &dyn Control,
    name: &ProjectionName,
    change: ChangeView,
) -> anyhow::Result<ProjectionView> {
    let Some(number) = change.deployment else { return Ok(change.projection) };
    let bar = output::progress(name.as_str(), Some(0));
    let mut watch =
        Watch { name, number, began: Instant::now(), nearly_caught_up: None, conditions: Vec::new() };
    let mut view = change.projection;
    while !watch.is_over(&view, &bar)? {
        tokio::time::sleep(LOOK_EVERY).await;
        view = watch.look(control, &bar).await?;
    }
    bar.finish_and_clear();
    Ok(view)
}

/// The deployment that is being waited for.
struct Watch<'a> {
    name: &'a ProjectionName,
    number: u32,
    began: Instant,
    /// Since when.
    nearly_caught_up: Option<Instant>,
    /// The conditions that block it, as they were last printed.
    conditions: Vec<ConditionView>,
}

impl Watch<'_> {
    /// Looks once more, even if the store or the host has been away for a while.
    async fn look(
        &self,
        control: &dyn Control,
        bar: &indicatif::ProgressBar,
    ) -> anyhow::Result<ProjectionView> {
        let began = Instant::now();
        loop {
            let error = match control.projection(self.name).await {
                Ok(view) => return Ok(view),
                Err(error) => error,
            };
            let Self { name, number, .. } = self;
            if !error.may_pass() || began.elapsed() > AWAY_MAX {
                bar.finish_and_clear();
                output::note(format!(
                    "deployment {number} of `{name}` was accepted, and this command no longer waits for it: `kennel deployments \
                     {name}` shows what becomes of it"
                ));
                return Err(error.into());
            }
            bar.set_message("no answer; trying again");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether there is nothing more to wait for.
    fn is_over(&mut self, view: &ProjectionView, bar: &indicatif::ProgressBar) -> anyhow::Result<bool> {
        let Self { name, number, .. } = *self;
        let outcome = view.deployment(number).map(|deployment| deployment.outcome);
        let build = view.candidate.as_ref().filter(|build| build.deployment == number);
        match (outcome, build) {
            (Some(Outcome::Candidate), Some(build)) => {
                show(bar, build);
                if build.state == ProjectionState::Halted {
                    let halted = halted(build);
                    return Err(ExitKind::Halted.error(format!(
                        "deployment {number} of `{name}` cannot be built: it is halted{halted}\nThe one before it keeps \
                         serving. `kennel cancel {name}` cancels this one; `kennel deploy {name} FILE --mode rebuild` \
                         replaces it"
                    )));
                }
                self.report_conditions(&build.conditions, bar);
                Ok(self.is_left_alone(view, bar) || self.waits_for_promotion(build))
            }
            // It has just been promoted: the next look shows it.
            (Some(Outcome::Candidate), None) => Ok(false),
            (Some(Outcome::Cancelled), _) => Err(ExitKind::Conflict.error(format!(
                "deployment {number} of `{name}` was cancelled before it served: `kennel operations {name}` shows by whom"
            ))),
            _ => Ok(true),
        }
    }

    /// Prints the conditions that are new, or that say something else than before.
    fn report_conditions(&mut self, conditions: &[ConditionView], bar: &indicatif::ProgressBar) {
        let Self { name, number, .. } = *self;
        for condition in conditions.iter().filter(|condition| !self.conditions.contains(condition)) {
            let ConditionView { reason, message, .. } = condition;
            bar.suspend(|| {
                output::note(format!("deployment {number} of `{name}` is blocked ({reason}): {message}"));
            });
        }
        self.conditions = conditions.to_vec();
    }

    /// Whether no worker builds it now.
    fn is_left_alone(&self, view: &ProjectionView, bar: &indicatif::ProgressBar) -> bool {
        let name = self.name;
        let reported = if view.activity == Activity::Paused {
            format!("`{name}` is paused: the build goes on after `kennel resume {name}`")
        } else if view.workers == 0 && self.began.elapsed() > WORKERS_MAY_COME {
            let replica_set = &view.replica_set;
            format!(
                "no worker of the replica set {replica_set} is alive: the build begins with the next `kennel run`"
            )
        } else {
            return false;
        };
        bar.finish_and_clear();
        output::note(reported);
        true
    }

    /// Whether it has caught up and waits for the operator to promote it.
    fn waits_for_promotion(&mut self, build: &BuildView) -> bool {
        if build.promotion == Promotion::Auto || build.remaining > limits::CUTOVER_SLACK_POSITIONS {
            self.nearly_caught_up = None;
            return false;
        }
        // While events come in there is always something left.
        let since = *self.nearly_caught_up.get_or_insert_with(Instant::now);
        build.remaining == 0 || since.elapsed() > NEARLY_CAUGHT_UP_FOR
    }
}

/// Where or why a build is halted: at an event, or because of the log.
fn halted(build: &BuildView) -> String {
    let set_back = build.conditions.iter().find(|one| one.reason == ConditionReason::LogSetBack);
    match (set_back, &build.last_error) {
        (Some(condition), _) => format!(": {}", condition.message),
        (None, Some(error)) => format!(" at {error}"),
        (None, None) => String::new(),
    }
}

fn show(bar: &indicatif::ProgressBar, build: &BuildView) {
    bar.set_length(build.position + build.remaining);
    bar.set_position(build.position);
    bar.set_message(build.seconds_left.map(left).unwrap_or_default());
}

/// An estimate as text.
pub(super) fn left(seconds: f64) -> String {
    // Far more than anybody waits for; the cast cannot overflow.
    let seconds = seconds.clamp(0.0, 1e9) as u64;
    match seconds {
        0..100 => format!("about {seconds} s left"),
        100..6000 => format!("about {} min left", (seconds + 30) / 60),
        _ => format!("about {} h left", (seconds + 1800) / 3600),
    }
}
