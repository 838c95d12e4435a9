//! `kennel build`: makes the component of a project and sees whether this host can run it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::signals::Signals;
use super::{inspect, output};
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
Kennel's cache (KENNEL_CACHE). If that is not possible either, the message says which command gets what is missing.

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
        let Built { component, tool, took } = build(&project, &tools, profile).await?;
        let file = self.output.clone().unwrap_or_else(|| project.component());
        write(&file, &component)?;
        let bytes = component.len();
        let checked = inspect::report(component, &*wire::runtime()?).await;
        let report = checked.map_err(|error| super::control::rendered(error, &file.display()))?;
        if let Some(problems) = report.problems() {
            return Err(ExitKind::Input.error(format!("{} is built, but {problems}", file.display())));
        }
        if self.json {
            output::json(&Report {
                file: &file,
                name: &project.name,
                language: project.language,
                tool: &tool,
                bytes,
                digest: report.digest(),
                seconds: took.as_secs_f64(),
            })?;
        } else {
            output::line(summary(&file, bytes, took))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A component that was built, in a line.
pub(super) fn summary(file: &Path, bytes: usize, took: Duration) -> String {
    let size = output::thousands(bytes as u64);
    format!("{}: {size} bytes, built in {:.1} s", short(file), took.as_secs_f64())
}

/// A path, from the folder in which the command runs if it is there.
fn short(file: &Path) -> String {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| file.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| file.to_owned()).display().to_string()
}

/// Writes a component. Those who read it see the old one or the new one, and no half of either.
pub(super) fn write(file: &Path, component: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |error: std::io::Error| {
        ExitKind::Input.error(format!("cannot write {}: {error}; -o names another file", file.display()))
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::fs::Permissions::from_mode(0o644);
    let mut written = tempfile::Builder::new()
        .prefix(".kennel-")
        .permissions(permissions)
        .tempfile_in(folder)
        .map_err(cannot)?;
    written.write_all(component).map_err(cannot)?;
    written.persist(file).map_err(|error| cannot(error.error))?;
    Ok(())
}
