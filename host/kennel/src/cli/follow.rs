//! Waits for what is being built, and says when there is nothing to wait for. Ending the wait leaves the build
//! going on.

use std::time::Duration;

use kennel_core::lifecycle::{Activity, Outcome, Switch};
use kennel_core::limits;
use kennel_core::name::ProjectionName;
use kennel_core::port::ProjectionState;
use tokio::time::Instant;

use super::output;
use crate::control::view::{BuildView, ChangeView, ProjectionView};
use crate::control::{Control, ControlError};
use crate::exit::Kind;

/// How often a build is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long workers may take to appear before a build is left to itself.
const WORKERS_MAY_COME: Duration = Duration::from_secs(5);
/// How long the store or the host may be away: long enough for it to be started anew.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How long a build that is nearly level, and that is not to be switched by itself, gets to become so.
const NEARLY_LEVEL_FOR: Duration = Duration::from_secs(2);

/// Shows how a deployment is being built until it serves, or, if somebody has to say so, until it could.
pub(super) async fn follow(
    control: &dyn Control,
    name: &ProjectionName,
    change: ChangeView,
) -> anyhow::Result<ProjectionView> {
    let Some(number) = change.deployment else { return Ok(change.projection) };
    let bar = output::progress(name.as_str(), Some(0));
    let mut watch = Watch { name, number, began: Instant::now(), nearly_level: None, obstacle: None };
    let mut view = change.projection;
    while !watch.is_over(&view, &bar)? {
        tokio::time::sleep(LOOK_EVERY).await;
        view = watch.look(control, &bar).await?;
    }
    bar.finish_and_clear();
    Ok(view)
}

/// What is being waited for.
struct Watch<'a> {
    name: &'a ProjectionName,
    number: u32,
    began: Instant,
    /// Since when.
    nearly_level: Option<Instant>,
    /// What was told to be in its way.
    obstacle: Option<String>,
}

impl Watch<'_> {
    /// Looks once more, whether or not whoever answers has been away for a while.
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
            let is_away = matches!(&error, ControlError::Host { status: 500..=504, .. })
                || matches!(error.status(), 503);
            if !is_away || began.elapsed() > AWAY_MAX {
                bar.finish_and_clear();
                output::note(format!(
                    "deployment {number} of `{name}` was accepted, and nobody waits for it any more: `kennel deployments \
                     {name}` tells what becomes of it"
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
        let build = view.building.as_ref().filter(|build| build.deployment == number);
        match (outcome, build) {
            (Some(Outcome::Building), Some(build)) => {
                show(bar, build);
                if build.obstacle != self.obstacle {
                    self.obstacle.clone_from(&build.obstacle);
                    if let Some(obstacle) = &build.obstacle {
                        bar.suspend(|| output::note(format!("deployment {number} of `{name}` is held up: {obstacle}")));
                    }
                }
                if build.state == ProjectionState::Halted.as_str() {
                    let reason = build.last_error.clone().unwrap_or_default();
                    return Err(Kind::Halted.error(format!(
                        "deployment {number} of `{name}` cannot be built: it stands still at {reason}\nThe one before it keeps \
                         serving. `kennel cancel {name}` gives this one up; `kennel deploy {name} FILE --mode rebuild` puts \
                         another in its place"
                    )));
                }
                Ok(self.is_left_alone(view, bar) || self.waits_for_an_order(build))
            }
            // It has just taken its place: the next look shows it.
            (Some(Outcome::Building), None) => Ok(false),
            (Some(Outcome::Cancelled), _) => Err(Kind::Taken.error(format!(
                "deployment {number} of `{name}` was given up before it served: `kennel orders {name}` tells who did it"
            ))),
            _ => Ok(true),
        }
    }

    /// Whether nobody builds it now.
    fn is_left_alone(&self, view: &ProjectionView, bar: &indicatif::ProgressBar) -> bool {
        let name = self.name;
        let told = if view.activity == Activity::Paused {
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
        output::note(told);
        true
    }

    /// Whether it is level and somebody has to say that it may serve.
    fn waits_for_an_order(&mut self, build: &BuildView) -> bool {
        if build.switch == Switch::Auto || build.remaining > limits::SWITCH_SLACK_POSITIONS {
            self.nearly_level = None;
            return false;
        }
        // While events come in there is always something left.
        let since = *self.nearly_level.get_or_insert_with(Instant::now);
        build.remaining == 0 || since.elapsed() > NEARLY_LEVEL_FOR
    }
}

fn show(bar: &indicatif::ProgressBar, build: &BuildView) {
    bar.set_length(build.position + build.remaining);
    bar.set_position(build.position);
    bar.set_message(build.seconds_left.map(left).unwrap_or_default());
}

/// An estimate in words.
pub(super) fn left(seconds: f64) -> String {
    // Far more than anybody waits for; the cast cannot overflow.
    let seconds = seconds.clamp(0.0, 1e9) as u64;
    match seconds {
        0..100 => format!("about {seconds} s left"),
        100..6000 => format!("about {} min left", (seconds + 30) / 60),
        _ => format!("about {} h left", (seconds + 1800) / 3600),
    }
}
