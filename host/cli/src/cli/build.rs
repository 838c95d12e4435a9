//! `kennel build`: makes the component of a project and sees whether this host can run it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use kennel_core::digest::Digest;
use serde::Serialize;

use super::signals::Signals;
use super::{file, inspect, output};
use crate::exit::ExitKind;
use crate::project::build::{Built, Profile, build};
use crate::project::find::Project;
use crate::project::language::Language;
use crate::project::tools::Tools;
use crate::wire;

const EXAMPLES: &str = "\
Examples:
  kennel build
  kennel build shop/order-summary -o target/order-summary.wasm
  kennel build --offline --json

The language follows from the files in the folder: Cargo.toml (Rust), package.json (TypeScript, JavaScript), go.mod (Go), \
pyproject.toml or *.py (Python), *.c (C), *.cpp (C++), *.zig (Zig). The tools of the language are those on PATH, if they \
are new enough; else Go, Node.js, componentize-py, and Zig for C, are fetched once, at pinned versions, into the folder `tools` of \
Kennel's cache (KENNEL_CACHE). If that is not possible either, the message names the command that gets the missing tool.

Exit code 4 means that the compiler found errors or that this host cannot run the component, 7 that a tool is missing.";

/// Builds the component of a project with the tools of its language.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// The folder of the project
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where to write the component [default: NAME.wasm in the folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Build small and fast: this is the default
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build with what debuggers read, where the language has it
    #[arg(long)]
    debug: bool,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// The outcome, as JSON.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a Path,
    name: &'a str,
    language: Language,
    tool: &'a str,
    bytes: usize,
    digest: &'a str,
    seconds: f64,
}

impl Build {
    pub(super) async fn execute(self) -> anyhow::Result<ExitCode> {
        let mut signals = Signals::listen()?;
        tokio::select! {
            biased;
            // The tools end when they are dropped.
            () = signals.next() => Ok(ExitCode::from(super::signals::FORCED)),
            built = self.build() => built,
        }
    }

    async fn build(&self) -> anyhow::Result<ExitCode> {
        let project = Project::find(&self.folder)?;
        let note = |text: &str| output::note(text);
        let tools = Tools::new(self.offline, &note);
        let profile = if self.debug { Profile::Debug } else { Profile::Release };
        let built = checked(&project, &tools, profile, self.output.as_deref()).await?;
        if self.json {
            output::json(&Report {
                file: &built.file,
                name: &project.name,
                language: project.language,
                tool: &built.tool,
                bytes: built.component.len(),
                digest: &Digest::of(&built.component).to_string(),
                seconds: built.took.as_secs_f64(),
            })?;
        } else {
            output::line(built.summary())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A component that was built, written, and can run here.
pub(super) struct Checked {
    pub(super) component: Vec<u8>,
    file: PathBuf,
    tool: String,
    took: Duration,
}

/// Builds a project, writes its component, and sees whether this host can run it.
pub(super) async fn checked(
    project: &Project,
    tools: &Tools<'_>,
    profile: Profile,
    output: Option<&Path>,
) -> anyhow::Result<Checked> {
    let Built { component, tool, took } = build(project, tools, profile).await?;
    let file = output.map_or_else(|| project.component(), Path::to_owned);
    file::replace(&file, &component).map_err(|error| {
        let file = file.display();
        ExitKind::Input.error(format!("cannot write {file}: {error}; -o names another file"))
    })?;
    let report = inspect::report(component.clone(), &*wire::runtime()?).await;
    let report = report.map_err(|error| super::control::rendered(error, &file.display()))?;
    match report.problems() {
        None => Ok(Checked { component, file, tool, took }),
        Some(problems) => Err(ExitKind::Input.error(format!("{} is built, but {problems}", file.display()))),
    }
}

impl Checked {
    /// It, in a line.
    pub(super) fn summary(&self) -> String {
        let size = output::thousands(self.component.len() as u64);
        format!("{}: {size} bytes, built in {:.1} s", short(&self.file), self.took.as_secs_f64())
    }
}

/// A path, from the folder in which the command runs if it is there.
fn short(file: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| file.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| file.to_owned()).display().to_string()
}
