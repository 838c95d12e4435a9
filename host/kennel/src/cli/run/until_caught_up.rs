//! Waits until every projection has handled the whole log, showing how far each is.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::ProgressBar;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::lifecycle::{Activity, Stage, Switch};
use kennel_core::limits;
use kennel_core::membership::Assignment;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{
    Coordination as _, EventSource as _, ProjectionProgress, ProjectionState, Registry as _,
};
use kennel_core::position::Position;
use kennel_engine::{Shutdown, Status};
use tokio::time::Instant;

use super::super::output;
use crate::control::partitions;
use crate::wire::Store;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A projection that the store calls halted may have been halted by an earlier run and be under way again:
/// unless this process says so too, it has to stand still for so long. An event's first try fits in.
const HALT_BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// Waits; `true` if a projection stands still. Ends early when a stop is asked for.
pub(super) async fn wait(
    store: &Store,
    replica_set: &ReplicaSet,
    status: &Status,
    mut stop: Shutdown,
) -> anyhow::Result<bool> {
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    let mut conditions: BTreeMap<ProjectionName, String> = BTreeMap::new();
    loop {
        let horizon = store.horizon().await?;
        let blocked: Vec<String> = status.blocked().into_keys().collect();
        let mut done = horizon.position == horizon.head;
        let mut halted = false;
        // Who is alive is of no interest here.
        let assignment = store.view(replica_set, limits::STALE_AFTER).await?.assignment;
        for progress in store.progress().await? {
            // A paused projection is meant to stand still.
            if progress.deployment.replica_set != *replica_set || progress.activity != Activity::Running {
                continue;
            }
            let projection = &progress.deployment.projection;
            if let Some(set_back) = &progress.log_set_back {
                conditions.insert(projection.clone(), set_back.message(projection));
            }
            let mut name = projection.to_string();
            if progress.stage == Stage::Building {
                name.push_str(" (new)");
                // It is not through before it serves, unless that is somebody's decision.
                done &= progress.switch == Switch::Manual;
            }
            let shown = shown.entry(name).or_insert_with_key(|name| Shown::new(name, horizon.head));
            shown.update(&progress, horizon.head);
            if shown.stands_still(&progress, &blocked, &assignment, horizon.head) {
                halted = true;
                shown.bar.set_message("stands still");
            } else if shown.position < horizon.head {
                done = false;
            }
        }
        if done || stop.is_requested() {
            shown.values().for_each(|shown| shown.bar.abandon());
            for (projection, message) in &conditions {
                output::note(format!("{projection} is halted: {message}"));
            }
            if halted {
                output::note("a projection stands still: `kennel status` says why");
            }
            return Ok(halted);
        }
        tokio::select! {
            () = stop.requested() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// What is shown of one projection.
struct Shown {
    bar: ProgressBar,
    position: Position,
    checkpoints: Vec<Checkpoint>,
    /// When any checkpoint moved last.
    moved: Instant,
}

impl Shown {
    fn new(name: &str, head: Position) -> Self {
        let bar = output::progress(name, Some(head.get()));
        Self { bar, position: Position::START, checkpoints: Vec::new(), moved: Instant::now() }
    }

    fn update(&mut self, progress: &ProjectionProgress, head: Position) {
        self.position = progress.position();
        if progress.checkpoints != self.checkpoints {
            self.checkpoints.clone_from(&progress.checkpoints);
            self.moved = Instant::now();
        }
        self.bar.set_length(head.get());
        self.bar.set_position(self.position.get());
    }

    /// Whether nothing more will happen: a partition stands still, and those that do not are through with the
    /// log.
    fn stands_still(
        &self,
        progress: &ProjectionProgress,
        blocked: &[String],
        assignment: &Assignment,
        head: Position,
    ) -> bool {
        if progress.log_set_back.is_some() {
            return true;
        }
        // What cannot even be loaded bears the projection's name alone, its partitions add their range.
        let name = format!("projection {}", progress.deployment.projection);
        if progress.stage == Stage::Building {
            // Nothing in this process says that it stands still: the old one serves.
            return progress.state == ProjectionState::Halted && self.moved.elapsed() >= HALT_BELIEVED_AFTER;
        }
        if blocked.contains(&name) {
            return true;
        }
        if progress.state != ProjectionState::Halted {
            return false;
        }
        let behind = partitions::of(progress, assignment, head).into_iter().filter(|part| part.lag > 0);
        let mut behind = behind.map(|part| format!("{name} from {:08x}", part.range.start())).peekable();
        let all_blocked = behind.peek().is_some() && behind.all(|part| blocked.contains(&part));
        all_blocked || self.moved.elapsed() >= HALT_BELIEVED_AFTER
    }
}
