//! Python: a script of the SDK has componentize-py put the interpreter and the modules into a component. It fetches
//! componentize-py itself, at the version that its bindings fit, into the folder that it is given.

use std::path::PathBuf;

use super::Build;
use crate::exit::ExitKind;
use crate::project::find::Project;
use crate::project::process;
use crate::project::tools::{Need, pin};
use crate::project::version::Version;

const PYTHON_MIN: Version = Version(3, 11, 0);
const PYTHONS: &[&str] = &["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];

const NEED: Need = Need {
    title: "Python 3.11 or later",
    remedies: &[
        "https://www.python.org/downloads (macOS: brew install python; Debian: apt-get install python3 python3-pip)",
    ],
};

/// What it is that the SDK calls, with its version and the hashes of its files.
const TOOLS: &str = "build-requirements.txt";

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let (project, tools) = (build.project, build.tools);
    let module = module(project)?;
    let sdk = project.sdk(&["componentize.py", TOOLS]).ok_or_else(|| {
        ExitKind::Missing.error(format!(
            "{} has no SDK: copy guest-sdk/python of Kennel's sources to its folder `sdk`, or begin with `kennel new`",
            project.folder.display()
        ))
    })?;
    let python = tools.installed(PYTHONS, "--version", |found| found >= PYTHON_MIN).await;
    let python = python.map_err(|unfit| NEED.missing(unfit, None))?;
    let componentize_py = std::fs::read_to_string(sdk.join(TOOLS)).unwrap_or_default();
    let componentize_py = componentize_py.split_whitespace().find(|word| word.contains("==")).unwrap_or("");
    let tool = build.begin(format!("{}, python {}", componentize_py.replace("==", " "), python.version));
    let mut command = process::command(&python.program, &project.folder);
    command.arg(sdk.join("componentize.py")).args(["--module", &module, "--project"]).arg(&project.folder);
    command.arg("--output").arg(build.out).env("PYTHONDONTWRITEBYTECODE", "1");
    build.keep_files_of(&mut command);
    let cache = pin::cache();
    if tools.offline {
        command.env("PIP_NO_INDEX", "1");
    }
    // Without the folder it takes the installed one, and says so where there is none.
    if let Some(cache) = cache.filter(|cache| !tools.offline || has_package(cache)) {
        command.arg("--tools").arg(cache);
    }
    process::run_script(&mut command).await?;
    Ok(tool)
}

/// Whether componentize-py has been fetched into this folder.
fn has_package(cache: &std::path::Path) -> bool {
    let mut entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with("componentize-py-"))
}

/// The module that has the projection: a file, or a package, which is a folder.
fn module(project: &Project) -> anyhow::Result<String> {
    let name = project.name.replace('-', "_");
    let folders: [PathBuf; 2] = [project.folder.clone(), project.folder.join("src")];
    if folders.iter().any(|folder| folder.join(&name).join("__init__.py").is_file()) {
        return Ok(name);
    }
    let entry = project.entry(&project.sources(&["py"]))?;
    Ok(entry.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or(name))
}
