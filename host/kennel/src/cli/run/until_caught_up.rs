//! Waits until every projection has handled the whole log, showing how far each is.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::ProgressBar;
use kennel_core::name::ReplicaSet;
use kennel_core::port::{EventSource as _, ProjectionState, Registry as _};
use kennel_engine::Shutdown;

use super::super::output;
use crate::wire::Store;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits; `true` if a projection stands still. Ends early when a stop is asked for.
pub(super) async fn wait(
    store: &Store,
    replica_set: &ReplicaSet,
    mut stop: Shutdown,
) -> anyhow::Result<bool> {
    let mut bars: BTreeMap<String, ProgressBar> = BTreeMap::new();
    loop {
        let horizon = store.horizon().await?;
        let mut done = horizon.position == horizon.head;
        let mut halted = false;
        for progress in store.progress().await? {
            let deployment = &progress.deployment;
            if deployment.replica_set != *replica_set {
                continue;
            }
            let position =
                progress.checkpoints.iter().map(|checkpoint| checkpoint.position).min().unwrap_or_default();
            let bar = bars
                .entry(deployment.projection.to_string())
                .or_insert_with_key(|name| output::progress(name, Some(horizon.head.get())));
            bar.set_length(horizon.head.get());
            bar.set_position(position.get());
            if progress.state == ProjectionState::Halted {
                halted = true;
                bar.set_message("stands still");
            } else if position < horizon.head {
                done = false;
            }
        }
        if done || stop.is_requested() {
            bars.values().for_each(ProgressBar::abandon);
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
