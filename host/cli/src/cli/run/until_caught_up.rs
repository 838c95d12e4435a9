//! Waits until every projection has handled the whole log, showing how far each is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::ProgressBar;
use kennel_core::checkpoint::Checkpoint;
use kennel_core::condition::ConditionReason;
use kennel_core::lifecycle::{Activity, Promotion, Role};
use kennel_core::limits;
use kennel_core::membership::Assignment;
use kennel_core::name::{ProjectionName, ReplicaSet};
use kennel_core::port::{ProjectionProgress, ProjectionState};
use kennel_core::position::Position;
use kennel_engine::{Part, Shutdown, Status};
use tokio::time::Instant;

use super::super::output;
use crate::wire::Store;
use kennel::control::partitions;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A projection that the store calls halted may have been halted by an earlier run and be under way again:
/// unless this process says so too, it has to make no progress for so long. An event's first try fits in.
const HALT_BELIEVED_AFTER: Duration = Duration::from_secs(10);

/// Waits; `true` if a projection is halted. Ends early when a stop is asked for.
pub(super) async fn wait(
    store: &Store,
    replica_set: &ReplicaSet,
    status: &Status,
    mut stop: Shutdown,
) -> anyhow::Result<bool> {
    let mut shown: BTreeMap<String, Shown> = BTreeMap::new();
    let mut conditions: BTreeMap<ProjectionName, String> = BTreeMap::new();
    loop {
        let high_water_mark = store.high_water_mark().await?;
        let blocked: BTreeSet<Part> = status.blocked().into_keys().collect();
        let mut done = high_water_mark.position == high_water_mark.head;
        let mut halted = false;
        // Which workers are alive is of no interest here.
        let assignment = store.view(replica_set, limits::STALE_AFTER).await?.assignment;
        for progress in store.progress().await? {
            // A paused projection makes no progress by intent.
            if progress.deployment.replica_set != *replica_set || progress.activity != Activity::Running {
                continue;
            }
            let projection = &progress.deployment.projection;
            if let Some(set_back) = progress.condition(ConditionReason::LogSetBack) {
                conditions.insert(projection.clone(), set_back.message.clone());
            }
            let mut name = projection.to_string();
            if progress.role == Role::Candidate {
                name.push_str(" (candidate)");
                // It is not through before it serves, unless the operator decides on that.
                done &= progress.promotion == Promotion::Manual;
            }
            let shown = shown.entry(name).or_insert_with_key(|name| Shown::new(name, high_water_mark.head));
            shown.update(&progress, high_water_mark.head);
            if shown.is_halted(&progress, &blocked, &assignment, high_water_mark.head) {
                halted = true;
                shown.bar.set_message("halted");
            } else if shown.position < high_water_mark.head {
                done = false;
            }
        }
        if done || stop.is_requested() {
            shown.values().for_each(|shown| shown.bar.abandon());
            for (projection, message) in &conditions {
                output::note(format!("{projection} is halted: {message}"));
            }
            if halted {
                output::note("a projection is halted: `kennel status` says why");
            }
            return Ok(halted);
        }
        tokio::select! {
            () = stop.requested() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// The progress of one projection, as shown.
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

    /// Whether nothing more will happen: a partition is halted, and those that are not are through with the log.
    fn is_halted(
        &self,
        progress: &ProjectionProgress,
        blocked: &BTreeSet<Part>,
        assignment: &Assignment,
        head: Position,
    ) -> bool {
        if progress.condition(ConditionReason::LogSetBack).is_some() {
            return true;
        }
        let projection = &progress.deployment.projection;
        if progress.role == Role::Candidate {
            // Nothing in this process says that it is halted: the old one serves.
            return progress.state == ProjectionState::Halted && self.moved.elapsed() >= HALT_BELIEVED_AFTER;
        }
        if blocked.contains(&Part::Projection(projection.clone())) {
            return true;
        }
        if progress.state != ProjectionState::Halted {
            return false;
        }
        let behind = partitions::of(progress, assignment, head).into_iter().filter(|part| part.lag > 0);
        let runner = |from| Part::Runner { role: Role::Serving, projection: projection.clone(), from };
        let mut behind = behind.map(|part| runner(part.range.start())).peekable();
        let all_blocked = behind.peek().is_some() && behind.all(|part| blocked.contains(&part));
        all_blocked || self.moved.elapsed() >= HALT_BELIEVED_AFTER
    }
}
