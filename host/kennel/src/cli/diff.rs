//! `kennel diff`: how a read model that was built differs from the one that serves.

use std::process::ExitCode;

use clap::Args;
use kennel_core::name::ProjectionName;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;
use crate::control::view::{DiffView, Sample};
use crate::exit::Kind;

/// Compares the read model that serves with the one that is being built, or with the one that served before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel diff order-summary
  kennel diff order-summary --samples 100 --json

Documents written by events that only one of the two has handled yet are in motion, and not counted as different.
Exit code 8 means that they differ.")]
pub(super) struct Diff {
    #[command(flatten)]
    control: ControlArgs,
    /// The projection
    name: ProjectionName,
    /// Documents to show of each collection that are not the same
    #[arg(long, value_name = "N", default_value_t = 5)]
    samples: usize,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) async fn execute(self, config: &Config) -> anyhow::Result<ExitCode> {
        let control = self.control.open(config).await?;
        let bar = output::progress("comparing", None);
        let diff = control.diff(&self.name, self.samples).await;
        bar.finish_and_clear();
        let diff = diff?;
        if self.json {
            output::json(&diff)?;
        } else {
            print(&diff)?;
        }
        Ok(if diff.identical { ExitCode::SUCCESS } else { ExitCode::from(Kind::Halted.code()) })
    }
}

fn print(diff: &DiffView) -> anyhow::Result<()> {
    let (old, new) = (&diff.old, &diff.new);
    output::line(format!(
        "{}: deployment {} at position {} serves; deployment {} is at position {}",
        diff.projection, old.deployment, old.position, new.deployment, new.position
    ))?;
    let rows = diff.collections.iter().map(|one| {
        let counts = [
            one.old_documents,
            one.new_documents,
            one.equal,
            one.only_old,
            one.only_new,
            one.different,
            one.in_motion,
        ];
        std::iter::once(one.collection.clone()).chain(counts.map(output::thousands)).collect()
    });
    let header = ["COLLECTION", "OLD", "NEW", "EQUAL", "ONLY OLD", "ONLY NEW", "DIFFERENT", "IN MOTION"];
    output::table(&header, rows.collect())?;
    for collection in &diff.collections {
        for sample in &collection.samples {
            show(&collection.collection, sample)?;
        }
    }
    output::line(if diff.identical { "no difference" } else { "they differ" })
}

fn show(collection: &str, sample: &Sample) -> anyhow::Result<()> {
    output::line(format!("\n{collection} {}", sample.key))?;
    for (side, document) in [("old", &sample.old), ("new", &sample.new)] {
        let document = document.as_ref().map_or_else(|| "missing".to_owned(), ToString::to_string);
        output::line(format!("  {side}: {document}"))?;
    }
    Ok(())
}
