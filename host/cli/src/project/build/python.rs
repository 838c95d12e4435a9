//! Python: componentize-py puts the interpreter and the modules into a component.

use std::path::{Path, PathBuf};

use super::Build;
use crate::exit::ExitKind;
use crate::project::find::Project;
use crate::project::process;
use crate::project::tools::{Need, on_path, pin};
use crate::project::version::Version;

/// The bindings that the SDK has were made by this version, and another minor one may make others.
const COMPONENTIZE_PY: Version = Version(0, 25, 1);

const NEED: Need = Need {
    title: "componentize-py 0.25 (from 0.25.1 on)",
    remedies: &["pip install componentize-py==0.25.1"],
};

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let project = build.project;
    let (folder, module) = module(project)?;
    let sdk = project.sdk(&["src/kennel_projection/__init__.py"]);
    let accepted = |found: Version| {
        found >= COMPONENTIZE_PY && (found.0, found.1) == (COMPONENTIZE_PY.0, COMPONENTIZE_PY.1)
    };
    let installed = build.tools.installed(&["componentize-py"], "--version", accepted).await;
    let (tool, mut command) = match installed {
        Ok(found) => {
            (format!("componentize-py {}", found.version), process::command(found.program, &project.folder))
        }
        Err(unfit) => {
            let package = build.tools.pinned(&pin::COMPONENTIZE_PY, &NEED, unfit).await?;
            // The first line of its script names the Python that installed it, which may be gone.
            let Some(python) = on_path("python3").into_iter().next() else {
                return Err(
                    NEED.missing(unfit, Some("Python 3 (Debian: apt-get install python3)".to_owned()))
                );
            };
            let mut command = process::command(python, &project.folder);
            command.arg(package.join("bin/componentize-py")).env("PYTHONPATH", &package);
            (pin::COMPONENTIZE_PY.specification().replace("==", " "), command)
        }
    };
    let tool = build.begin(tool);
    command.args(["--quiet", "--world", "projection", "componentize", &module, "--python-path"]).arg(folder);
    if let Some(sdk) = sdk {
        command.arg("--python-path").arg(sdk.join("src"));
    }
    command.arg("--output").arg(build.out).env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(&mut command).await?;
    Ok(tool)
}

/// The module that has the projection, and the folder that it is in.
fn module(project: &Project) -> anyhow::Result<(PathBuf, String)> {
    let name = project.name.replace('-', "_");
    // A package is a folder.
    for folder in [project.folder.clone(), project.folder.join("src")] {
        if folder.join(&name).join("__init__.py").is_file() {
            return Ok((folder, name));
        }
    }
    let entry = project.entry(&project.sources(&["py"]))?;
    let stem = entry.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    if !stem.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err(ExitKind::Input.error(format!(
            "{} cannot be imported: a module of Python is called by letters, digits and `_`",
            entry.display()
        )));
    }
    Ok((entry.parent().unwrap_or(Path::new(".")).to_owned(), stem))
}
