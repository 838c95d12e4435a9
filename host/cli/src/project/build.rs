//! Makes the component of a project with the tools of its language. Whether the host can run it is not looked at here.
//!
//! Each language has a file here, which says which tools it takes and calls them. Flags of a compiler that an SDK has in a
//! script of its own are there alone.

mod c;
mod go;
mod python;
mod rust;
mod typescript;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;
use tokio::time::Instant;

use super::find::Project;
use super::language::Language;
use super::tools::Tools;
use super::tools::pin;
use crate::exit::ExitKind;

/// What has been built.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) component: Vec<u8>,
    /// The compiler with its version: `go 1.27.3`.
    pub(crate) tool: String,
    pub(crate) took: Duration,
}

/// How to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Small and fast.
    Release,
    /// With what debuggers read, where the language has it.
    Debug,
}

/// A build of a project under way, as the files of the languages see it.
struct Build<'a> {
    project: &'a Project,
    tools: &'a Tools<'a>,
    profile: Profile,
    /// Where to leave the component, or the core module that the host makes one of.
    out: &'a Path,
}

impl Build<'_> {
    /// Shows which compiler is at work, and returns its name with the version.
    fn begin(&self, tool: impl std::fmt::Display) -> String {
        self.tools.note(&format!("building {} with {tool}", self.project.name));
        tool.to_string()
    }

    /// Has a tool put its own files where they are removed with the build: one that is killed cannot do so.
    fn keep_files_of(&self, tool: &mut Command) {
        if let Some(scratch) = self.out.parent().filter(|scratch| scratch.is_dir()) {
            tool.env("TMPDIR", scratch);
        }
    }
}

/// Builds a project. A second build of the same project waits for the first.
pub(crate) async fn build(project: &Project, tools: &Tools<'_>, profile: Profile) -> anyhow::Result<Built> {
    let began = Instant::now();
    let _lock = lock(&project.folder).await?;
    let scratch = tempfile::Builder::new().prefix("kennel-build-").tempdir().with_context(|| {
        format!("cannot make a folder in {}; name another one with TMPDIR", std::env::temp_dir().display())
    })?;
    let out = scratch.path().join("component.wasm");
    let build = Build { project, tools, profile, out: &out };
    let tool = match project.language {
        Language::Rust => rust::build(&build).await?,
        Language::TypeScript | Language::JavaScript => typescript::build(&build).await?,
        Language::Python => python::build(&build).await?,
        Language::Go => go::build(&build).await?,
        Language::C | Language::Cpp | Language::Zig => c::build(&build).await?,
    };
    let component = std::fs::read(&out).map_err(|error| {
        ExitKind::Input.error(format!("{tool} left no component of {}: {error}", project.folder.display()))
    })?;
    Ok(Built { component, tool, took: began.elapsed() })
}

/// Holds a folder against other builds.
async fn lock(folder: &Path) -> anyhow::Result<std::fs::File> {
    pin::lock(folder).await.map_err(|error| {
        ExitKind::Input.error(format!("cannot lock {} for the build: {error}", folder.display()))
    })
}
