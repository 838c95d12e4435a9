//! A replica set as text, for `kennel workers` and `kennel status`.

use kennel_core::partition::HashRange;

use super::output;
use kennel::control::replica_set::ReplicaSetView;

/// Prints it as text.
pub(super) fn print(view: &ReplicaSetView) -> anyhow::Result<()> {
    let plural = if view.partitions == 1 { "" } else { "s" };
    output::line(format!(
        "replica set {}: generation {}, {} partition{plural}",
        view.replica_set, view.generation, view.partitions
    ))?;
    if view.workers.is_empty() {
        return output::line("no workers: `kennel run` adds some");
    }
    let rows = view.workers.iter().map(|worker| {
        vec![
            worker.id.clone(),
            worker.host.clone(),
            worker.pid.to_string(),
            worker.state.clone(),
            if worker.alive { "yes" } else { "no" }.to_owned(),
            format!("{:.1} s ago", worker.heartbeat_age_seconds),
            worker.partition.map(|index| index.to_string()).unwrap_or_default(),
            worker.range.map(shown).unwrap_or_default(),
        ]
    });
    output::table(
        &["WORKER", "HOST", "PID", "STATE", "ALIVE", "HEARTBEAT", "PARTITION", "RANGE"],
        rows.collect(),
    )
}

/// A range by its first and its last point.
pub(super) fn shown(range: HashRange) -> String {
    format!("{:08x}-{:08x}", range.start(), range.end() - 1)
}
