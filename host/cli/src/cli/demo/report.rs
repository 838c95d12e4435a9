//! What the demo prints at its end.

use std::path::Path;
use std::time::Duration;

use kennel_core::projection::Deployment;
use serde::Serialize;

use super::{Outcome, output};
use crate::wire::Store;

#[derive(Serialize)]
struct Json {
    events: u64,
    handled_once: u64,
    missed: u64,
    doubled: u64,
    out_of_order: u64,
    /// Events of the log per second, while two projections handled each of them.
    events_per_second: u64,
    handler_calls: u64,
    handler_p50_microseconds: f64,
    handler_p99_microseconds: f64,
}

impl Outcome {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for people"
    )]
    fn events_per_second(&self) -> u64 {
        (self.check.events as f64 / self.took.as_secs_f64()) as u64
    }

    /// The duration that `percent` of the calls did not exceed.
    fn percentile(&self, percent: usize) -> Duration {
        let mut calls = self.calls.clone();
        if calls.is_empty() {
            return Duration::ZERO;
        }
        let index = (calls.len() * percent / 100).min(calls.len() - 1);
        *calls.select_nth_unstable(index).1
    }
}

fn microseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

pub(super) fn print_json(outcome: &Outcome) -> anyhow::Result<()> {
    let check = outcome.check;
    output::json(&Json {
        events: check.events,
        handled_once: check.handled_once,
        missed: check.missed,
        doubled: check.doubled,
        out_of_order: check.out_of_order,
        events_per_second: outcome.events_per_second(),
        handler_calls: outcome.calls.len() as u64,
        handler_p50_microseconds: microseconds(outcome.percentile(50)),
        handler_p99_microseconds: microseconds(outcome.percentile(99)),
    })
}

pub(super) async fn print(
    store: &Store,
    summary: &Deployment,
    outcome: &Outcome,
    kept: Option<&Path>,
) -> anyhow::Result<()> {
    let check = outcome.check;
    output::line("\norder-summary, a few of its documents:")?;
    for collection in ["orders", "customers"] {
        for row in store.scan(summary.read_model, collection, None, "", 2).await? {
            let name = format!("{collection}/{}", row.key);
            output::line(format!("  {name:24} {}", row.stored.document))?;
        }
    }
    output::line("\nEvery event against the read model of audit-log:")?;
    output::line(format!(
        "  {} events: handled once {}, missed {}, doubled {}, out of order {}",
        output::thousands(check.events),
        output::thousands(check.handled_once),
        check.missed,
        check.doubled,
        check.out_of_order
    ))?;
    output::line(format!(
        "  {} events/s through two sandboxed projections, in {:.2} s; a handler call took {} µs (p50), {} µs (p99)",
        output::thousands(outcome.events_per_second()),
        outcome.took.as_secs_f64(),
        microseconds(outcome.percentile(50)),
        microseconds(outcome.percentile(99)),
    ))?;
    output::line("\nWhere to look next:")?;
    output::line("  examples/order-summary/src/lib.rs   the projection that made these documents")?;
    output::line("  guest-sdk/rust/README.md            write, test, build and deploy your own")?;
    match kept {
        Some(file) => output::line(format!("  kennel status --store sqlite:{}", file.display())),
        None => output::line("  kennel demo --keep demo.db          keeps the store, to look into it"),
    }
}
