//! The repository's own rules: what no compiler checks and every reader relies on.
//!
//! A rule is a function from the repository's files to complaints, so that each can be tried on a made-up
//! repository that breaks it. Nothing here looks at behaviour, and nothing but std is used.

mod broken;
mod circles;
mod house;
mod prose;
mod rust;
mod vocabulary;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use circles::imports_have_no_circles;
use house::{House, has_extension, numbered};
use vocabulary::words_are_those_of_the_field;

/// The complaints about a repository: each names a location and says what to do.
type Rule = fn(&House) -> Vec<String>;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const PORT_METHODS_MAX: usize = 9;

/// The crates, and which of ours each may see. Imports go down only; siblings meet through core's ports.
const FLOORS: [(&str, &[&str]); 9] = [
    ("host/core", &[]),
    ("host/engine", &["kennel-core", SUPPORT]),
    ("host/store", &["kennel-core", SUPPORT]),
    ("host/runtime", &["kennel-core"]),
    ("host/kennel", &["kennel-core", "kennel-engine", "kennel-store", "kennel-runtime", SUPPORT]),
    ("host/server", &["kennel", "kennel-core", "kennel-engine"]),
    (
        "host/cli",
        &["kennel", "kennel-core", "kennel-engine", "kennel-runtime", "kennel-server", "kennel-store"],
    ),
    ("guest-sdk/rust", &[]),
    ("tests/support", &["kennel-core"]),
];
/// What the tests of all crates share. It is a dependency of tests alone.
const SUPPORT: &str = "kennel-test-support";
const OUR_CRATES: [&str; 10] = [
    "kennel",
    "kennel-cli",
    "kennel-core",
    "kennel-engine",
    "kennel-guest",
    "kennel-runtime",
    "kennel-server",
    "kennel-store",
    "kennel-tests",
    SUPPORT,
];

/// Heavy dependencies, and the crates that keep them behind their door.
const DOORS: [(&str, &[&str]); 12] = [
    ("sqlx", &["host/store"]),
    ("wasmtime", &["host/runtime"]),
    ("wasmtime-wasi", &["host/runtime"]),
    ("wasmparser", &["host/runtime"]),
    ("wit-component", &["host/runtime"]),
    ("prometheus", &["host/engine", "host/kennel", "host/server", "host/cli"]),
    ("axum", &["host/server"]),
    ("clap", &["host/cli"]),
    ("indicatif", &["host/cli"]),
    ("oci-client", &["host/cli"]),
    ("reqwest", &["host/cli"]),
    ("tokio", &["host/engine", "host/store", "host/runtime", "host/kennel", "host/server", "host/cli"]),
];

/// Where the ports are, and the operations on projections.
const PORTS: [&str; 3] = ["host/core/src/port", "host/engine/src/ports.rs", "host/kennel/src/control.rs"];

/// The top level is fixed: what belongs nowhere here belongs in one of these.
const TOP_LEVEL: [&str; 9] =
    [".cargo", ".ci", "docs", "examples", "guest-sdk", "host", "tests", "wit", "target"];

/// These files name what they forbid.
const TIDY: &str = "tests/tests/tidy";

// --- the rules -------------------------------------------------------------------------------------

fn imports_go_down(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (manifest, text) in house.under("").filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        let Some(visible) = may_see(folder) else {
            if folder.starts_with("host/") {
                complaints.push(format!(
                    "{manifest}: a crate that this test does not know; give the reason in docs/adr/, then \
                     add it to FLOORS in {TIDY}/main.rs"
                ));
            }
            continue;
        };
        let dependencies = rust::dependencies(text);
        for name in OUR_CRATES.iter().filter(|name| dependencies.contains(**name) && !visible.contains(name))
        {
            complaints.push(format!(
                "{manifest}: depends on {name}, which it must not see; imports go down only and siblings meet \
                 through a port in host/core/src/port"
            ));
        }
        let inside = |path: &str| path.starts_with(&format!("{folder}/")) && path.ends_with(".rs");
        for (path, source) in house.written().filter(|(path, _)| inside(path)) {
            for name in OUR_CRATES.iter().filter(|name| !visible.contains(name) && !is_own(folder, name)) {
                for line in rust::lines_that_import(source, &name.replace('-', "_")) {
                    complaints.push(format!("{path}:{line}: uses {name}, which {folder} must not see"));
                }
            }
        }
    }
    complaints
}

fn support_is_for_tests_alone(house: &House) -> Vec<String> {
    let manifests = house.under("host/").filter(|(path, _)| path.ends_with("/Cargo.toml"));
    let uses = |text: &str| {
        let product = text.split("[dev-dependencies").next().unwrap_or_default();
        rust::dependencies(product).contains(SUPPORT)
    };
    let complaint =
        |path| format!("{path}: the product uses {SUPPORT}; put it under [dev-dependencies], the last");
    manifests.filter(|(_, text)| uses(text)).map(|(path, _)| complaint(path)).collect()
}

fn heavy_dependencies_stay_behind_their_door(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (manifest, text) in house.under("host/").filter(|(path, _)| path.ends_with("/Cargo.toml")) {
        let dependencies = rust::dependencies(text);
        for (heavy, doors) in DOORS.iter().filter(|(heavy, _)| dependencies.contains(*heavy)) {
            if !doors.iter().any(|door| manifest == format!("{door}/Cargo.toml")) {
                complaints.push(format!(
                    "{manifest}: depends on {heavy}, which only {} may; put what you need behind a port",
                    doors.join(" and ")
                ));
            }
        }
    }
    complaints
}

fn migrations_are_twins(house: &House) -> Vec<String> {
    let names = |dialect: &str| -> BTreeSet<String> {
        let folder = format!("host/store/migrations/{dialect}/");
        house.under(&folder).map(|(path, _)| path[folder.len()..].to_owned()).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let lonely = sqlite.symmetric_difference(&postgres).map(|name| {
        let missing = if sqlite.contains(name) { "postgres" } else { "sqlite" };
        format!("host/store/migrations/{missing}/{name} is missing: migrations are twins, write this one too")
    });
    lonely.collect()
}

fn files_are_short(house: &House) -> Vec<String> {
    let sources = house.written().filter(|(path, _)| has_extension(path, &["rs", "sql", "sh"]));
    let long = sources.filter(|(_, text)| text.lines().count() > FILE_LINES_MAX);
    long.map(|(path, text)| {
        let lines = text.lines().count();
        format!("{path}: {lines} lines, at most {FILE_LINES_MAX} are allowed; find the seam and split it")
    })
    .collect()
}

fn functions_are_short(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in house.written().filter(|(path, _)| has_extension(path, &["rs"])) {
        for (line, name, length) in rust::functions(text).filter(|(.., length)| *length > FUNCTION_LINES_MAX)
        {
            complaints.push(format!(
                "{path}:{line}: `{name}` has {length} lines of code, at most {FUNCTION_LINES_MAX} are allowed; \
                 branch here and move the leaves out"
            ));
        }
    }
    complaints
}

fn ports_are_narrow(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in PORTS.iter().flat_map(|ports| house.under(ports)) {
        for (line, name, methods) in rust::traits(text).filter(|(.., methods)| *methods > PORT_METHODS_MAX) {
            complaints.push(format!(
                "{path}:{line}: `{name}` has {methods} methods, at most {PORT_METHODS_MAX} are allowed; split the \
                 port by the parts that use it"
            ));
        }
    }
    complaints
}

fn files_say_their_duty(house: &House) -> Vec<String> {
    let silent = house.rust().filter(|(_, text)| !text.starts_with("//! "));
    silent
        .map(|(path, _)| {
            format!("{path}:1: open with `//!` and the file's one duty, and what it deliberately does not do")
        })
        .collect()
}

fn modules_are_where_cargo_looks(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in house.rust().filter(|(path, _)| !path.starts_with(TIDY)) {
        for (number, _) in numbered(text).filter(|(_, line)| line.trim_start().starts_with("#[path")) {
            complaints.push(format!(
                "{path}:{number}: a module from elsewhere; a suite of several files is a folder with a main.rs, and \
                 what the tests of several crates share is in tests/support"
            ));
        }
    }
    complaints
}

fn nothing_is_left_undone(house: &House) -> Vec<String> {
    let left = ["todo!(", "unimplemented!(", "dbg!(", "#[ignore"];
    // A test that another one starts as a process of its own is run, only not by the test runner.
    let started_by_another = "#[ignore = \"a part of ";
    let mut complaints = Vec::new();
    for (path, text) in house.rust().filter(|(path, _)| !path.starts_with(TIDY)) {
        for (number, line) in numbered(text).filter(|(_, line)| !line.contains(started_by_another)) {
            for word in left.iter().filter(|word| line.contains(**word)) {
                complaints.push(format!("{path}:{number}: `{word}` is left; finish it or take it out"));
            }
        }
    }
    complaints
}

fn no_path_of_one_machine(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (path, text) in house.under("").filter(|(path, _)| !path.starts_with(TIDY)) {
        for (number, line) in numbered(text) {
            for folder in ["/root/", "/home/"] {
                let starts_there = |at: usize| {
                    let before = line[..at].chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-}/~".contains(c))
                };
                if line.match_indices(folder).any(|(at, _)| starts_there(at)) {
                    complaints.push(format!(
                        "{path}:{number}: a path below {folder} exists on one machine only; use one from the \
                         repository's root"
                    ));
                }
            }
        }
    }
    complaints
}

fn paths_in_docs_exist(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    let docs = house.under("").filter(|(path, _)| *path == "README.md" || path.starts_with("docs/"));
    for (path, text) in docs.filter(|(path, _)| has_extension(path, &["md"])) {
        for (number, named) in prose::paths_named(path, text) {
            if !named.is_empty() && !house.has(&named) {
                complaints
                    .push(format!("{path}:{number}: names `{named}`, which does not exist; correct it"));
            }
        }
    }
    complaints
}

fn the_changelog_has_an_unreleased_section(house: &House) -> Vec<String> {
    let Some(text) = house.0.get("CHANGELOG.md") else {
        return vec!["CHANGELOG.md is missing: write what changes for users there".to_owned()];
    };
    if text.lines().any(|line| line.starts_with("## ") && line.contains("Unreleased")) {
        return Vec::new();
    }
    vec!["CHANGELOG.md: has no section `## Unreleased`; add it at the top".to_owned()]
}

fn scripts_stop_at_the_first_failure(house: &House) -> Vec<String> {
    let scripts = house.under("").filter(|(path, text)| {
        has_extension(path, &["sh"]) || text.lines().next().is_some_and(|first| first.ends_with("bash"))
    });
    // A shell of POSIX has no `pipefail`.
    let wanted = |text: &str| if text.starts_with("#!/bin/sh\n") { "set -eu" } else { "set -euo pipefail" };
    let careless = scripts.filter(|(_, text)| !text.lines().any(|line| line == wanted(text)));
    careless.map(|(path, text)| format!("{path}: begin with `{}`", wanted(text))).collect()
}

/// A package of an SDK carries the contract that it was made from.
fn copies_of_the_contract_are_the_same(house: &House) -> Vec<String> {
    const CONTRACT: &str = "wit/world.wit";
    let text_of = |wanted: &str| house.under(wanted).find(|(path, _)| *path == wanted).map(|(_, text)| text);
    let copies = house.under("guest-sdk/").filter(|(path, _)| path.ends_with(CONTRACT));
    let stale = copies.filter(|(_, text)| Some(*text) != text_of(CONTRACT));
    stale
        .map(|(path, _)| format!("{path}: differs from {CONTRACT}; make it again with generate.sh"))
        .collect()
}

fn the_top_level_is_fixed(house: &House) -> Vec<String> {
    let folders: BTreeSet<&str> =
        house.under("").filter_map(|(path, _)| path.split_once('/')).map(|p| p.0).collect();
    let strange = folders.into_iter().filter(|folder| !TOP_LEVEL.contains(folder) && *folder != ".github");
    strange
        .map(|folder| format!("{folder}/: the top level is fixed; put it into one of {TOP_LEVEL:?}"))
        .collect()
}

/// Which of our crates the crate in `folder` may see; `None` where the rule does not reach.
fn may_see(folder: &str) -> Option<&'static [&'static str]> {
    // Programs of users who embed Kennel; their tests use what all tests share.
    if folder == "examples/embedding" {
        return Some(&["kennel", "kennel-server", "kennel-tests"]);
    }
    if folder.starts_with("examples/") {
        return Some(&["kennel-guest"]);
    }
    FLOORS.iter().find(|(floor, _)| *floor == folder).map(|(_, visible)| *visible)
}

/// Whether `name` is the crate in `folder` itself: its binary and its tests import it by name.
fn is_own(folder: &str, name: &str) -> bool {
    match folder {
        "host/kennel" => name == "kennel",
        "guest-sdk/rust" => name == "kennel-guest",
        _ => folder.strip_prefix("host/").is_some_and(|folder| name.strip_prefix("kennel-") == Some(folder)),
    }
}

// --- the rules hold --------------------------------------------------------------------------------

/// Checks the repository against one rule.
fn enforce(rule: Rule) {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("tests"), PathBuf::from);
    let complaints = rule(&House::read(&root.join("..")));
    let mut message = String::new();
    for complaint in &complaints {
        writeln!(message, "  {complaint}").expect("a string takes any text");
    }
    assert!(complaints.is_empty(), "this rule is broken ({}):\n{message}", complaints.len());
}

macro_rules! rules {
    ($($rule:ident),* $(,)?) => {
        mod the_repository_follows {
            $(#[test] fn $rule() { super::enforce(super::$rule); })*
        }
    };
}

rules!(
    imports_go_down,
    imports_have_no_circles,
    support_is_for_tests_alone,
    heavy_dependencies_stay_behind_their_door,
    migrations_are_twins,
    files_are_short,
    functions_are_short,
    ports_are_narrow,
    files_say_their_duty,
    modules_are_where_cargo_looks,
    nothing_is_left_undone,
    no_path_of_one_machine,
    paths_in_docs_exist,
    the_changelog_has_an_unreleased_section,
    scripts_stop_at_the_first_failure,
    copies_of_the_contract_are_the_same,
    words_are_those_of_the_field,
    the_top_level_is_fixed,
);
