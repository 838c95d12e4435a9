//! `kennel inspect`: what a component is, and whether this host can run it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kennel_core::collection::{Collection, Column};
use kennel_core::port::{ComponentError, Fault, Runtime};
use kennel_core::projection::Descriptor;
use kennel_core::text::escaped;
use serde::Serialize;

use super::control::rendered;
use super::{output, source};
use crate::exit::ExitKind;
use crate::wire;
use crate::wire::inspect::{FileKind, Inspection, inspect};
use kennel::control::ControlError;

/// Shows what a component exports, imports and needs, and whether this host can run it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  kennel inspect order-summary.wasm\n  kennel inspect order-summary.wasm --json\n\nExit code 4 means that this host cannot run it."
)]
pub(super) struct Inspect {
    /// The component
    file: PathBuf,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let bytes = source::read_component(&self.file)?;
        let report = report(bytes, &*wire::runtime()?).await;
        let report = report.map_err(|error| rendered(error, &self.file.display()))?;
        if self.json {
            output::json(&report)?;
        } else {
            report.print()?;
        }
        let code = if report.inspection.runnable { 0 } else { ExitKind::Input.code() };
        Ok(ExitCode::from(code))
    }
}

/// Looks at a component, and whether it compiles and can describe itself, which shows only when it does. An error means
/// that this is not known.
pub(super) async fn report(bytes: Vec<u8>, runtime: &dyn Runtime) -> Result<Report, ControlError> {
    let mut inspection = inspect(&bytes);
    let mut descriptor = None;
    if inspection.runnable {
        match runtime.prepare(bytes.into()).await {
            Ok(component) => descriptor = Some(component.descriptor().clone()),
            Err(error @ ComponentError { fault: Fault::Host, .. }) => {
                return Err(ControlError::Unsupported(error));
            }
            Err(error) => {
                inspection.runnable = false;
                inspection.problems.push(error.to_string());
            }
        }
    }
    Ok(Report { inspection, descriptor })
}

/// What has been found out about a component.
#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    inspection: Inspection,
    /// What the component says of itself, if it can run here.
    descriptor: Option<Descriptor>,
}

impl Report {
    /// Why this host cannot run it, in a sentence; nothing if it can.
    pub(super) fn problems(&self) -> Option<String> {
        let Inspection { runnable, problems, .. } = &self.inspection;
        (!runnable).then(|| format!("this host cannot run it:\n  - {}", problems.join("\n  - ")))
    }

    fn print(&self) -> anyhow::Result<()> {
        let inspection = &self.inspection;
        let kind = match inspection.kind {
            FileKind::Component => "component",
            FileKind::CoreModule => "core module, wrapped into a component when it is deployed",
            FileKind::Other => "not a WebAssembly component",
        };
        let field = |name: &str, value: &str| output::line(format!("{name:<11} {value}"));
        field("kind", kind)?;
        field("size", &format!("{} bytes", output::thousands(inspection.bytes as u64)))?;
        field("digest", &inspection.digest)?;
        for (name, list) in
            [("exports", &inspection.exports), ("imports", &inspection.imports), ("wasi", &inspection.wasi)]
        {
            for (index, entry) in list.iter().enumerate() {
                field(if index == 0 { name } else { "" }, entry)?;
            }
        }
        for (index, needed) in inspection.grants.iter().enumerate() {
            let name = if index == 0 { "grants" } else { "" };
            field(name, &format!("{}, for {}", needed.grant, needed.import))?;
        }
        if let Some(world) = &inspection.world {
            field("world", world)?;
        }
        if let Some(descriptor) = &self.descriptor {
            field("projection", &format!("{} {}", descriptor.name, descriptor.version))?;
            field("scope", &scope(descriptor))?;
            for collection in &descriptor.collections {
                field("collection", &escaped(&collection.name))?;
                declared(collection).iter().try_for_each(|line| field("", &format!("  {line}")))?;
            }
        }
        if inspection.runnable {
            return field("verdict", "this host can run it");
        }
        field("verdict", "this host cannot run it:")?;
        inspection.problems.iter().try_for_each(|problem| output::line(format!("  - {problem}")))
    }
}

/// The columns and indexes of a collection, one a line.
fn declared(collection: &Collection) -> Vec<String> {
    let columns = collection.columns.iter().map(|column| {
        let Column { name, path, data_type } = column;
        format!("column {name} {data_type} at {}", escaped(path))
    });
    let indexes = collection.indexes.iter().map(|index| {
        let unique = if index.unique { "unique index" } else { "index" };
        format!("{unique} of {}", index.columns.join(", "))
    });
    columns.chain(indexes).collect()
}

/// The events that a projection wants, as text.
fn scope(descriptor: &Descriptor) -> String {
    let scope = &descriptor.scope;
    let lists = [
        ("contexts", &scope.bounded_contexts),
        ("aggregate types", &scope.aggregate_types),
        ("event types", &scope.event_types),
    ];
    let parts = lists.iter().filter(|(_, list)| !list.is_empty());
    let parts: Vec<String> = parts.map(|(name, list)| format!("{name} {}", list.join(", "))).collect();
    if parts.is_empty() { "all events".to_owned() } else { parts.join("; ") }
}
