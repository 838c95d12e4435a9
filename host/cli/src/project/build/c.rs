//! C, C++ and Zig: the script of the SDK finds a compiler and calls it, so that flags are in one place. Where it finds none,
//! it is given a Zig that Kennel keeps, which compiles all three.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::{Build, Profile};
use crate::exit::ExitKind;
use crate::project::find::{CPP, Project};
use crate::project::language::Language;
use crate::project::process::{self, TOOLS_ARE_MISSING};
use crate::project::tools::pin::{self, Absent};

/// Headers and libraries of this machine, which are none for WebAssembly.
const PATHS: [&str; 4] = ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH"];

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let project = build.project;
    let sdk = project.sdk(&["build.sh", "include/kennel.h"]).ok_or_else(|| {
        ExitKind::Missing.error(format!(
            "{} has no SDK: copy guest-sdk/c of Kennel's sources to its folder `sdk`, or begin with `kennel new`",
            project.folder.display()
        ))
    })?;
    let mut sources = [project.sources(&["c"]), project.sources(CPP)].concat();
    if project.language == Language::Zig {
        sources.push(zig_root(project)?);
    }
    let script = Script { build, file: sdk.join("build.sh"), sources };
    let (tool, zig) = script.compiler().await?;
    let tool = build.begin(tool);
    let mut command = script.command(build.out, zig.as_deref());
    if build.profile == Profile::Debug {
        let mut flags = std::env::var_os("CFLAGS").unwrap_or_default();
        flags.push(" -g");
        command.env("CFLAGS", flags);
    }
    process::run_script(&mut command).await?;
    Ok(tool)
}

/// The source in Zig that has the others imported.
fn zig_root(project: &Project) -> anyhow::Result<PathBuf> {
    let sources = project.sources(&["zig"]);
    let entry = project.entry(&sources);
    let usual = |name: &str| sources.iter().find(|source| source.ends_with(name)).cloned();
    entry.or_else(|error| usual("main.zig").or_else(|| usual("root.zig")).ok_or(error))
}

/// The script of the SDK, and what it is to compile.
struct Script<'a> {
    build: &'a Build<'a>,
    file: PathBuf,
    sources: Vec<PathBuf>,
}

impl Script<'_> {
    fn command(&self, first: &Path, zig: Option<&Path>) -> Command {
        let folder = &self.build.project.folder;
        let mut command = process::command("/bin/sh", folder);
        command.arg(&self.file);
        PATHS.iter().for_each(|path| {
            command.env_remove(path);
        });
        self.build.keep_files_of(&mut command);
        // Below the folder of the project, so that what the compiler says is short.
        let sources = self.sources.iter().map(|source| source.strip_prefix(folder).unwrap_or(source));
        command.arg(first).args(sources);
        if let Some(zig) = zig {
            command.env("ZIG", zig);
            // Its own cache belongs with it, unless there is one.
            let cache = pin::cache().filter(|_| std::env::var_os("ZIG_GLOBAL_CACHE_DIR").is_none());
            if let Some(cache) = cache {
                command.env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig-cache"));
            }
        }
        command
    }

    /// What it would compile with, and the Zig that it has to be given for that.
    async fn compiler(&self) -> anyhow::Result<(String, Option<PathBuf>)> {
        let missing = match self.ask(None).await? {
            Ok(tool) => return Ok((tool, None)),
            Err(missing) => missing,
        };
        match pin::ZIG.folder(self.build.tools).await {
            Ok(package) => {
                let zig = package.join("ziglang/zig");
                match self.ask(Some(&zig)).await? {
                    Ok(tool) => Ok((tool, Some(zig))),
                    Err(missing) => Err(ExitKind::Missing.error(missing)),
                }
            }
            Err(Absent::Remedy(remedy)) => Err(ExitKind::Missing.error(format!("{missing}\nor: {remedy}"))),
            Err(Absent::Failed(error)) => Err(ExitKind::Missing.of(error.context(missing))),
        }
    }

    /// Asks the script; the inner error is what it says where tools are missing.
    async fn ask(&self, zig: Option<&Path>) -> anyhow::Result<Result<String, String>> {
        let mut command = self.command("--tools".as_ref(), zig);
        let output = process::outcome(&mut command).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.code() {
            // The name and the version; the path of the compiler follows.
            Some(0) => {
                let printed = text(&output.stdout);
                Ok(Ok(printed.split(" (").next().unwrap_or_default().to_owned()))
            }
            Some(TOOLS_ARE_MISSING) => Ok(Err(text(&output.stderr))),
            _ => Err(ExitKind::Input.error(format!(
                "{} cannot say which compiler there is ({}): {}",
                self.file.display(),
                output.status,
                text(&output.stderr)
            ))),
        }
    }
}
