//! `kennel diff`: how a read model that was built differs from the one that serves.

use std::process::ExitCode;

use clap::Args;
use kennel_core::name::ProjectionName;

use super::control::ControlArgs;
use super::output;
use crate::config::Config;
use crate::exit::ExitKind;
use kennel::control::view::{DiffVerdict, DiffView, Sample};

/// Compares the read model that serves with the one that is being built, or with the one that served before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kennel diff order-summary
  kennel diff order-summary --samples 100 --json

The one that is behind gets a few seconds to catch up. Documents written or removed by events that only one of \
the two has handled yet are in motion, and not counted as different. Exit code 8 means that they differ, or that it \
is too early to decide.")]
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
        Ok(match diff.verdict {
            DiffVerdict::Identical => ExitCode::SUCCESS,
            DiffVerdict::Different | DiffVerdict::Undecided => ExitCode::from(ExitKind::Halted.code()),
        })
    }
}

fn print(diff: &DiffView) -> anyhow::Result<()> {
    let (serving, other) = (&diff.serving, &diff.other);
    output::line(format!(
        "{}: deployment {} serves, at position {}; the other is deployment {}, at position {}",
        diff.projection,
        serving.deployment,
        output::thousands(serving.position),
        other.deployment,
        output::thousands(other.position)
    ))?;
    let rows = diff.collections.iter().map(|one| {
        let counts = [
            one.serving_documents,
            one.other_documents,
            one.equal,
            one.only_serving,
            one.only_other,
            one.different,
            one.in_motion,
        ];
        std::iter::once(one.collection.clone()).chain(counts.map(output::thousands)).collect()
    });
    let header =
        ["COLLECTION", "SERVING", "OTHER", "EQUAL", "ONLY SERVING", "ONLY OTHER", "DIFFERENT", "IN MOTION"];
    output::table(&header, rows.collect())?;
    for collection in &diff.collections {
        for sample in &collection.samples {
            show(&collection.collection, sample)?;
        }
    }
    output::line(verdict(diff))
}

fn verdict(diff: &DiffView) -> String {
    let behind = diff.serving.position.abs_diff(diff.other.position);
    let in_motion: u64 = diff.collections.iter().map(|one| one.in_motion).sum();
    match (diff.verdict, in_motion) {
        (DiffVerdict::Identical, 0) => "no difference".to_owned(),
        (DiffVerdict::Identical, _) => {
            format!("no difference but in documents in motion: {}", output::thousands(in_motion))
        }
        (DiffVerdict::Different, _) => "they differ".to_owned(),
        (DiffVerdict::Undecided, _) => format!(
            "too early to decide: one is {} positions behind the other, and {} documents are in motion. Ask again once it \
             has caught up",
            output::thousands(behind),
            output::thousands(in_motion)
        ),
    }
}

fn show(collection: &str, sample: &Sample) -> anyhow::Result<()> {
    output::line(format!("\n{collection} {}", sample.key))?;
    for (side, document) in [("serving", &sample.serving), ("other", &sample.other)] {
        let document = document.as_ref().map_or_else(|| "missing".to_owned(), ToString::to_string);
        output::line(format!("  {side}: {document}"))?;
    }
    Ok(())
}
