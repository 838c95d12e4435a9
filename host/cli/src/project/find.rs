//! Language, name and SDK of a project folder, by the files that are in it. Nothing is run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::language::Language;
use crate::exit::ExitKind;

/// A folder with the sources of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    /// Its whole path.
    pub(crate) folder: PathBuf,
    pub(crate) language: Language,
    /// The name of the project, and of the component that is made of it.
    pub(crate) name: String,
}

const RECOGNIZED: &str = "Cargo.toml (Rust), package.json or tsconfig.json (TypeScript, JavaScript), go.mod or *.go (Go), \
                          pyproject.toml or *.py (Python), *.c (C), *.cpp (C++), *.zig (Zig)";

impl Project {
    /// The project in a folder.
    pub(crate) fn find(given: &Path) -> anyhow::Result<Self> {
        let cannot = |error| ExitKind::Input.error(format!("cannot read {}: {error}", given.display()));
        let folder = given.canonicalize().map_err(cannot)?;
        if !folder.is_dir() {
            let hint = "the folder of a project is expected";
            return Err(ExitKind::Input.error(format!("{} is a file: {hint}", given.display())));
        }
        let language = language(&folder).ok_or_else(|| no_project(given, &folder))?;
        let of_folder = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = declared_name(&folder, language)?.or(of_folder).unwrap_or_else(|| "projection".to_owned());
        Ok(Self { folder, language, name })
    }

    /// The component that is built of it, unless another file is named.
    pub(crate) fn component(&self) -> PathBuf {
        self.folder.join(format!("{}.wasm", self.name))
    }

    /// The folder of the SDK, which has these files: `sdk` in the project, or one of the folders that the project is in.
    pub(crate) fn sdk(&self, files: &[&str]) -> Option<PathBuf> {
        let own = self.folder.join("sdk");
        let mut folders = std::iter::once(own.as_path()).chain(self.folder.ancestors());
        let found = folders.find(|folder| files.iter().all(|file| folder.join(file).is_file()));
        found.map(Path::to_owned)
    }

    /// The sources with these endings, in the folder itself and in `src`, but for tests.
    pub(crate) fn sources(&self, extensions: &[&str]) -> Vec<PathBuf> {
        let mut found = files(&self.folder, extensions);
        found.extend(files(&self.folder.join("src"), extensions));
        found
    }

    /// The one of these files whose name without ending is that of the project, with `-` as it is or as `_`; else the only
    /// one.
    pub(crate) fn entry(&self, sources: &[PathBuf]) -> anyhow::Result<PathBuf> {
        let module = self.name.replace('-', "_");
        let named = [self.name.as_str(), &module].into_iter().find_map(|name| {
            sources.iter().find(|source| source.file_stem().is_some_and(|stem| stem == OsStr::new(name)))
        });
        let only = (sources.len() == 1).then(|| &sources[0]);
        named.or(only).cloned().ok_or_else(|| {
            let found: Vec<_> = sources.iter().map(|source| self.shown(source)).collect();
            let found = if found.is_empty() { "there is no source".to_owned() } else { found.join(", ") };
            ExitKind::Input.error(format!(
                "cannot see which file of {} is the projection ({found}): give it the name of the project, `{}`",
                self.folder.display(),
                self.name
            ))
        })
    }

    /// A path as people of this project know it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }
}

/// The error for a folder without a project in it. One above it may be meant.
fn no_project(given: &Path, folder: &Path) -> anyhow::Error {
    let is_project = |folder: &Path| folder.join("sdk").is_dir() && language(folder).is_some();
    let around = folder.ancestors().skip(1).find(|around| is_project(around));
    let hint = match around {
        Some(around) => format!("{} is one", around.display()),
        None => "`kennel new NAME --lang LANGUAGE` makes one".to_owned(),
    };
    let given = given.display();
    ExitKind::Input.error(format!("{given} is no project: it has none of {RECOGNIZED}. {hint}"))
}

/// The language of the project in a folder. What declares a project goes before mere sources.
fn language(folder: &Path) -> Option<Language> {
    let has = |name: &str| folder.join(name).is_file();
    let has_source = |extensions: &[&str]| {
        !files(folder, extensions).is_empty() || !files(&folder.join("src"), extensions).is_empty()
    };
    if has("Cargo.toml") {
        Some(Language::Rust)
    } else if has("package.json") || has("tsconfig.json") {
        let typed = has("tsconfig.json") || has_source(TYPESCRIPT);
        Some(if typed { Language::TypeScript } else { Language::JavaScript })
    } else if has("go.mod") || !files(folder, &["go"]).is_empty() {
        Some(Language::Go)
    } else if has("pyproject.toml") || has_source(&["py"]) {
        Some(Language::Python)
    } else if has_source(&["zig"]) {
        Some(Language::Zig)
    } else if has_source(CPP) {
        Some(Language::Cpp)
    } else if has_source(&["c"]) {
        Some(Language::C)
    } else {
        None
    }
}

const TYPESCRIPT: &[&str] = &["ts", "mts"];
/// The endings of sources in C++.
pub(crate) const CPP: &[&str] = &["cpp", "cc", "cxx"];

/// The name that a project's own files give it.
fn declared_name(folder: &Path, language: Language) -> anyhow::Result<Option<String>> {
    let read = |name: &str| -> anyhow::Result<Option<(String, String)>> {
        let file = folder.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(Some((text, file.display().to_string()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExitKind::Input.error(format!("cannot read {}: {error}", file.display()))),
        }
    };
    let toml = |name: &str, table: &str| -> anyhow::Result<Option<String>> {
        let Some((text, file)) = read(name)? else { return Ok(None) };
        let parsed: toml::Table = toml::from_str(&text)
            .map_err(|error| ExitKind::Input.error(format!("{file} is not valid: {}", error.message())))?;
        Ok(parsed.get(table).and_then(|table| table.get("name")?.as_str()).map(str::to_owned))
    };
    match language {
        Language::Rust => match toml("Cargo.toml", "package")? {
            None => Err(ExitKind::Input.error(format!(
                "{} has no [package]: name the folder of the projection's own package",
                folder.join("Cargo.toml").display()
            ))),
            name => Ok(name),
        },
        Language::TypeScript | Language::JavaScript => {
            let Some((text, file)) = read("package.json")? else { return Ok(None) };
            let parsed: serde_json::Value = serde_json::from_str(&text)
                .map_err(|error| ExitKind::Input.error(format!("{file} is not valid: {error}")))?;
            // A package of an organization is called @ORGANIZATION/NAME.
            let name = parsed["name"].as_str().and_then(|name| name.rsplit('/').next());
            Ok(name.filter(|name| !name.is_empty()).map(str::to_owned))
        }
        Language::Go => {
            let Some((text, _)) = read("go.mod")? else { return Ok(None) };
            Ok(go_module(&text))
        }
        Language::Python => toml("pyproject.toml", "project"),
        // Nothing declares it, and a folder may be called anything once it is checked out: the only source has the name.
        Language::C => Ok(only_source(folder, &["c"])),
        Language::Cpp => Ok(only_source(folder, CPP)),
        Language::Zig => Ok(only_source(folder, &["zig"])),
    }
}

/// The name of the only source of a folder, written as names of projects are.
fn only_source(folder: &Path, extensions: &[&str]) -> Option<String> {
    let own = files(folder, extensions);
    let sources = if own.is_empty() { files(&folder.join("src"), extensions) } else { own };
    let [source] = &sources[..] else { return None };
    let stem = source.file_stem()?.to_string_lossy().replace('_', "-");
    (!["main", "root"].contains(&&*stem)).then_some(stem)
}

/// The last part of the path of a Go module, but for a major version: `shop` of `example.com/shop/v2`.
fn go_module(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.trim().strip_prefix("module "))?;
    let path = path.split("//").next()?.trim().trim_matches('"');
    let is_version = |part: &&str| {
        part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    path.rsplit('/').find(|part| !is_version(part)).filter(|part| !part.is_empty()).map(str::to_owned)
}

/// The files of a folder with one of these endings, in order, but for tests and what only declares types or builds.
fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| {
            path.extension().is_some_and(|extension| extensions.iter().any(|one| extension == *one))
        })
        .filter(|path| path.is_file() && !is_apart(path))
        .collect();
    found.sort_unstable();
    found
}

/// Whether a source is no part of the component: a test, declarations, or a script of the build.
fn is_apart(path: &Path) -> bool {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let is_test =
        stem.starts_with("test_") || ["_test", ".test", ".spec"].iter().any(|end| stem.ends_with(end));
    is_test
        || stem.ends_with(".d")
        || stem.starts_with('.')
        || ["conftest", "setup", "build"].contains(&&*stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder called `shop-orders` with these files.
    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("shop-orders");
        for (name, content) in files {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        let folder = folder.canonicalize().unwrap();
        (parent, folder)
    }

    #[test]
    fn language_and_name_follow_from_the_files() {
        for (files, language, name) in [
            (&[("Cargo.toml", "[package]\nname = \"orders\"")][..], Language::Rust, "orders"),
            (
                &[("package.json", r#"{"name":"@shop/orders"}"#), ("src/orders.ts", "")],
                Language::TypeScript,
                "orders",
            ),
            (
                &[("package.json", r#"{"name":"orders"}"#), ("src/orders.js", "")],
                Language::JavaScript,
                "orders",
            ),
            (&[("tsconfig.json", "{}"), ("src/a.ts", "")], Language::TypeScript, "shop-orders"),
            (&[("package.json", "{}"), ("src/a.js", "")], Language::JavaScript, "shop-orders"),
            (&[("go.mod", "// x\nmodule example.com/shop/v2\n")], Language::Go, "shop"),
            (&[("go.mod", "module orders // the first\n"), ("x.py", "")], Language::Go, "orders"),
            (&[("main.go", "package main")], Language::Go, "shop-orders"),
            (&[("pyproject.toml", "[project]\nname = \"orders\"")], Language::Python, "orders"),
            (&[("orders.py", "")], Language::Python, "shop-orders"),
            (&[("shop.c", ""), ("shop_test.c", "")], Language::C, "shop"),
            (&[("src/paid_orders.c", "")], Language::C, "paid-orders"),
            (&[("shop.c", ""), ("json.c", "")], Language::C, "shop-orders"),
            (&[("main.c", "")], Language::C, "shop-orders"),
            (&[("shop.cpp", ""), ("json.c", "")], Language::Cpp, "shop"),
            (&[("shop.zig", ""), ("build.zig", ""), ("json.c", "")], Language::Zig, "shop"),
        ] {
            let (_parent, folder) = folder(files);
            let found = Project::find(&folder).unwrap();
            assert_eq!((found.language, found.name.as_str()), (language, name), "{files:?}");
        }
    }

    #[test]
    fn a_folder_that_is_no_project_is_an_error_that_says_what_to_do() {
        for (files, expected) in [
            (&[("readme.md", "")][..], "`kennel new NAME --lang LANGUAGE` makes one"),
            (&[("shop_test.c", "")], "is no project"),
            (&[("Cargo.toml", "[workspace]")], "has no [package]"),
            (&[("Cargo.toml", "[package")], "is not valid"),
            (&[("package.json", "{")], "is not valid"),
        ] {
            let (_parent, folder) = folder(files);
            let error = Project::find(&folder).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let (_parent, around) = folder(&[("shop.c", ""), ("sdk/kennel.h", ""), ("notes/a.txt", "")]);
        let error = Project::find(&around.join("notes")).unwrap_err().to_string();
        assert!(error.ends_with(&format!(". {} is one", around.display())), "{error}");
        let error = Project::find(Path::new("/nowhere/at/all")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nowhere/at/all"), "{error}");
    }

    #[test]
    fn the_entry_has_the_name_of_the_project_or_is_the_only_source() {
        for (files, expected) in [
            (&["src/shop-orders.ts", "src/other.ts"][..], Some("src/shop-orders.ts")),
            (&["shop_orders.ts", "other.ts"], Some("shop_orders.ts")),
            (&["src/main.ts", "src/main.test.ts", "src/types.d.ts"], Some("src/main.ts")),
            (&["src/one.ts", "src/two.ts"], None),
            (&[], None),
        ] {
            let files: Vec<_> = files.iter().map(|file| (*file, "")).chain([("tsconfig.json", "")]).collect();
            let (_parent, folder) = folder(&files);
            let project = Project::find(&folder).unwrap();
            let entry = project.entry(&project.sources(TYPESCRIPT)).map(|entry| project.shown(&entry));
            assert_eq!(entry.as_deref().ok(), expected, "{files:?}");
        }
    }

    #[test]
    fn the_sdk_is_the_projects_own_or_around_it() {
        let (_parent, folder) =
            folder(&[("build.sh", ""), ("include/kennel.h", ""), ("a/b/x.c", ""), ("c/y.c", "")]);
        let files = &["build.sh", "include/kennel.h"];
        let project = Project::find(&folder.join("a/b")).unwrap();
        assert_eq!(project.sdk(files), Some(folder.clone()));
        let own = folder.join("c/sdk");
        std::fs::create_dir_all(own.join("include")).unwrap();
        let project = Project::find(&folder.join("c")).unwrap();
        assert_eq!(project.sdk(files), Some(folder), "half of one is none");
        std::fs::write(own.join("build.sh"), "").unwrap();
        std::fs::write(own.join("include/kennel.h"), "").unwrap();
        assert_eq!(project.sdk(files), Some(own));
        assert_eq!(project.sdk(&["no.such"]), None);
    }
}
