//! Lists the files of the SDKs and their templates for `kennel new`, which has them inside.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Where the SDKs are, from this package.
const SDKS: &str = "../../guest-sdk";
/// The licence of those that have no file of their own.
const LICENSE: &str = "../../LICENSE";

/// What a project gets of an SDK: files, and folders with all that is in them.
const PARTS: [(&str, &[&str]); 5] = [
    ("c", &["CMakeLists.txt", "build.sh", "include", "src", "test.sh", "zig"]),
    ("go", &["go.mod", "internal", "projectiontest"]),
    ("python", &["build-requirements.txt", "componentize.py", "pyproject.toml", "src"]),
    ("rust", &["Cargo.toml", "src", "wit"]),
    ("typescript", &["package.json", "src", "tsconfig.json", "wit"]),
];
/// What every SDK has besides.
const ALL: [&str; 2] = ["README.md", "template"];

fn main() -> io::Result<()> {
    let sdks = Path::new(SDKS).canonicalize()?;
    let mut files = Vec::new();
    collect(&sdks.join("template"), &mut files)?;
    collect(&sdks.join("typescript/template-javascript"), &mut files)?;
    for (language, parts) in PARTS {
        let sdk = sdks.join(language);
        for part in parts.iter().chain(&ALL) {
            collect(&sdk.join(part), &mut files)?;
        }
    }
    // The sources of a package in Go are in its own folder.
    sources(&sdks.join("go"), "go", &mut files)?;
    let mut listed: Vec<(String, PathBuf)> = Vec::new();
    for file in files {
        let name = file.strip_prefix(&sdks).map_err(io::Error::other)?.display().to_string();
        listed.push((name, file));
    }
    for (language, _) in PARTS {
        let own = sdks.join(language).join("LICENSE");
        let license = if own.is_file() { own } else { Path::new(LICENSE).canonicalize()? };
        listed.push((format!("{language}/LICENSE"), license));
    }
    listed.sort_unstable();
    let mut list = String::from("&[\n");
    for (name, file) in &listed {
        let path = file.display().to_string();
        writeln!(list, "    ({name:?}, include_bytes!({path:?})),").map_err(io::Error::other)?;
    }
    list.push(']');
    let out = std::env::var_os("OUT_DIR").map(PathBuf::from).unwrap_or_default();
    std::fs::write(out.join("embedded.rs"), list)
}

/// Collects a file, or all files of a folder. Those that tools leave there are none of them.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        // One that is missing is seen when it appears.
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_file() {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        entries.push(entry?.path());
    }
    // Cargo looks at everything in a folder that it is to watch, so that it would see a change where Python has left
    // bytecode. Where there is such, it watches the files; one that is added is seen with the next change of any.
    if entries.iter().all(|entry| !is_left_by_tools(entry)) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    entries.iter().filter(|entry| !is_left_by_tools(entry)).try_for_each(|entry| collect(entry, files))
}

/// Collects the sources with this ending that are in a folder itself, but for tests.
fn sources(folder: &Path, ending: &str, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) && !is_left_by_tools(&path) {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Whether a file or folder is no source, or a test of the SDK that is beside its sources.
fn is_left_by_tools(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_test = name.ends_with("_test.go") && !path.iter().any(|part| part == "template");
    let folders = ["node_modules", "__pycache__", "target", "dist", ".test", ".kennel", ".pytest_cache"];
    let endings = [".wasm", ".pyc", ".o", ".egg-info", "~", ".swp"];
    is_test || folders.contains(&&*name) || endings.iter().any(|ending| name.ends_with(ending))
}
