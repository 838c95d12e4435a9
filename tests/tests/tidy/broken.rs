//! Every rule on made-up repositories that break it: a rule that cannot fail protects nothing.

use super::*;

/// Tries a rule on a made-up repository: one complaint for each of `expected`, in order, that contains it.
fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
    let owned = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let complaints = rule(&House(owned.collect()));
    assert_eq!(complaints.len(), expected.len(), "{files:?}: {complaints:#?}");
    for (complaint, expected) in complaints.iter().zip(expected) {
        assert!(complaint.contains(expected), "`{complaint}` does not say `{expected}`");
    }
}

#[test]
fn upward_and_sideways_imports_are_reported() {
    let rule = imports_go_down;
    check(rule, &[("host/engine/Cargo.toml", "[dependencies]\nkennel-core.workspace = true\n")], &[]);
    check(
        rule,
        &[("host/core/Cargo.toml", "[dependencies]\nkennel-engine.workspace = true\n")],
        &["kennel-engine"],
    );
    check(
        rule,
        &[("host/store/Cargo.toml", "[dev-dependencies.kennel-engine]\npath = \"../engine\"\n")],
        &["kennel-engine"],
    );
    check(
        rule,
        &[("host/store/Cargo.toml", "[dependencies]\nhidden = { package = \"kennel-runtime\" }\n")],
        &["kennel-runtime"],
    );
    check(
        rule,
        &[("guest-sdk/rust/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nkennel-core = \"1\"\n")],
        &["kennel-core"],
    );
    check(
        rule,
        &[("examples/a/Cargo.toml", "[dependencies]\nkennel-guest = \"1\"\nkennel = \"1\"\n")],
        &["on kennel,"],
    );
    check(rule, &[("host/attic/Cargo.toml", "[package]\n")], &["docs/adr/"]);
    let manifest = ("host/engine/Cargo.toml", "[package]\nname = \"kennel-engine\"\n");
    let sources = "use kennel_core::plan;\n// use kennel_store::Store;\nlet a = kennel_store::open();\n";
    check(
        rule,
        &[manifest, ("host/engine/src/a.rs", sources)],
        &["host/engine/src/a.rs:3: uses kennel-store"],
    );
}

#[test]
fn support_of_tests_in_the_product_is_reported() {
    let rule = support_is_for_tests_alone;
    let manifest =
        |section| format!("[dependencies]\nserde = \"1\"\n[{section}]\n{SUPPORT}.workspace = true\n");
    check(rule, &[("host/store/Cargo.toml", &manifest("dev-dependencies"))], &[]);
    check(rule, &[("host/store/Cargo.toml", &manifest("build-dependencies"))], &["host/store/Cargo.toml"]);
    check(
        imports_go_down,
        &[("tests/support/src/a.rs", "use kennel::Control;\n"), ("tests/support/Cargo.toml", "[package]\n")],
        &["tests/support/src/a.rs:1: uses kennel,"],
    );
}

#[test]
fn heavy_dependencies_in_the_wrong_crate_are_reported() {
    let rule = heavy_dependencies_stay_behind_their_door;
    let sqlx = "[dependencies]\nsqlx = { version = \"1\" }\n";
    check(rule, &[("host/store/Cargo.toml", sqlx)], &[]);
    check(rule, &[("host/engine/Cargo.toml", sqlx)], &["host/engine/Cargo.toml: depends on sqlx"]);
    check(rule, &[("host/core/Cargo.toml", "[dev-dependencies]\ntokio.workspace = true\n")], &["tokio"]);
    check(rule, &[("host/kennel/Cargo.toml", "[dependencies]\n\"wasmtime\" = \"1\"\n")], &["wasmtime"]);
}

#[test]
fn migrations_without_a_twin_are_reported() {
    let sqlite = ("host/store/migrations/sqlite/0001_events.sql", "");
    check(migrations_are_twins, &[sqlite, ("host/store/migrations/postgres/0001_events.sql", "")], &[]);
    check(migrations_are_twins, &[sqlite], &["postgres/0001_events.sql is missing"]);
    check(
        migrations_are_twins,
        &[("host/store/migrations/postgres/2.sql", "")],
        &["sqlite/2.sql is missing"],
    );
}

#[test]
fn long_files_and_functions_are_reported() {
    let full = "-- a line\n".repeat(FILE_LINES_MAX);
    check(files_are_short, &[("a.sql", &full), ("a.json", &format!("{full}{full}"))], &[]);
    check(files_are_short, &[("a.sql", &format!("{full}\n"))], &["a.sql: 601 lines"]);

    let function = |lines: usize| {
        let body = "        work();\n\n        // Why.\n".repeat(lines - 2);
        format!(
            "impl A {{\n    fn short();\n    pub(crate) async fn long(\n        &self,\n    ) {{\n{body}    }}\n}}\n"
        )
    };
    check(functions_are_short, &[("a.rs", &function(68))], &[]);
    check(functions_are_short, &[("a.rs", &function(69))], &["a.rs:3: `long` has 71 lines"]);
}

#[test]
fn wide_ports_are_reported() {
    let methods = |count: usize| {
        let declared = "    /// fn in a comment.\n    async fn declared(\n        &self,\n    ) -> u8;\n";
        let given = "    fn given(&self) -> u8 {\n        fn inner() {}\n        1\n    }\n";
        format!(
            "pub trait Narrow: Send {{\n    fn one();\n}}\npub trait All: Wide + Narrow {{}}\n\
             pub trait Wide: Send {{\n{}{given}}}\nfn free() {{}}\n",
            declared.repeat(count - 1)
        )
    };
    let rule = ports_are_narrow;
    check(rule, &[("host/core/src/port/a.rs", &methods(9)), ("host/core/src/a.rs", &methods(10))], &[]);
    check(
        rule,
        &[("host/core/src/port/a.rs", &methods(10))],
        &["host/core/src/port/a.rs:5: `Wide` has 10 methods"],
    );
}

#[test]
fn files_that_do_not_say_their_duty_are_reported() {
    check(files_say_their_duty, &[("host/core/src/a.rs", "//! Words.\nuse b;\n")], &[]);
    check(files_say_their_duty, &[("host/core/src/a.rs", "use b;\n//! Words.\n")], &["host/core/src/a.rs:1"]);
}

#[test]
fn modules_from_elsewhere_are_reported() {
    let rule = modules_are_where_cargo_looks;
    check(rule, &[("host/store/tests/a/main.rs", "//! `#[path = \"b.rs\"]` is not needed.\nmod b;\n")], &[]);
    check(
        rule,
        &[("host/store/tests/a.rs", "//! A.\n#[path = \"a/b.rs\"]\nmod b;\n")],
        &["host/store/tests/a.rs:2: a module from elsewhere"],
    );
}

#[test]
fn unfinished_code_is_reported() {
    check(nothing_is_left_undone, &[("a.rs", "let todo = 1;\n#[ignore = \"a part of b\"]\n")], &[]);
    check(nothing_is_left_undone, &[("a.rs", "\n    todo!(\"later\")\n")], &["a.rs:2: `todo!(`"]);
    check(
        nothing_is_left_undone,
        &[("a.rs", "#[ignore = \"slow\"]\nfn f() { dbg!(1); }\n")],
        &["#[ignore", "dbg!("],
    );
}

#[test]
fn paths_of_one_machine_are_reported() {
    let rule = no_path_of_one_machine;
    check(rule, &[("a.md", "target/home/x https://a.org/home/ $HOME/src/ ~/src/")], &[]);
    check(rule, &[("a.md", "cd /home/x"), ("b.sh", "\nx=/root/y")], &["a.md:1", "b.sh:2"]);
}

#[test]
fn missing_paths_in_docs_are_reported() {
    let rule = paths_in_docs_exist;
    let code = ("host/store/src/lib.rs", "");
    let good = "`host/store/src/lib.rs:12`, `host/store/`, `host/*/src/lib.rs`, `bash host/store/src/lib.rs`, \
                [a](../host/store/src/lib.rs#L3) [b](https://a.org/x) [c](#d) `kennel.toml` `host/{store,store/src}`\n\
                ```\n`host/nowhere`\n```\n";
    check(rule, &[code, ("docs/a.md", good)], &[]);
    check(
        rule,
        &[code, ("docs/a.md", "\nSee `host/store/src/main.rs`.")],
        &["docs/a.md:2: names `host/store/src/main.rs`"],
    );
    check(
        rule,
        &[code, ("README.md", "[a](docs/b.md) and `host/{store,attic}`")],
        &["host/attic", "docs/b.md"],
    );
    check(rule, &[("notes.md", "`host/nowhere`")], &[]);
}

#[test]
fn a_changelog_without_an_unreleased_section_is_reported() {
    let rule = the_changelog_has_an_unreleased_section;
    check(rule, &[("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")], &[]);
    check(rule, &[("CHANGELOG.md", "# Changelog\nUnreleased\n")], &["no section"]);
    check(rule, &[], &["missing"]);
}

#[test]
fn careless_scripts_and_new_top_level_folders_are_reported() {
    let rule = scripts_stop_at_the_first_failure;
    check(
        rule,
        &[("a.sh", "#!/bin/bash\nset -euo pipefail\n"), ("run", "#!/usr/bin/env bash\n")],
        &["run: begin"],
    );
    check(rule, &[("a.sh", "set -e\n")], &["a.sh: begin"]);
    check(
        rule,
        &[("a.sh", "#!/bin/sh\nset -eu\n"), ("b.sh", "#!/bin/sh\n")],
        &["b.sh: begin with `set -eu`"],
    );
    check(
        copies_of_the_contract_are_the_same,
        &[("wit/world.wit", "a"), ("guest-sdk/go/wit/world.wit", "a"), ("guest-sdk/c/wit/world.wit", "b")],
        &["guest-sdk/c/wit/world.wit: differs"],
    );
    check(
        the_top_level_is_fixed,
        &[("a.md", ""), ("host/a", ""), ("scripts/a", "")],
        &["scripts/: the top level"],
    );
}

#[test]
fn old_words_are_reported_wherever_they_are() {
    let rule = words_are_those_of_the_field;
    check(
        rule,
        &[("docs/a.md", "The high-water mark. Connection refused.\nHe foretells a storytelling.\n")],
        &[],
    );
    check(
        rule,
        &[(
            "docs/a.md",
            "One horizon.\nfn what_is_refused() {}\nstruct SharedHorizon;\nIt TAKES ITS PLACE.\n",
        )],
        &[
            "a.md:1: `horizon` is now: high-water mark",
            "a.md:2: `refused`",
            "a.md:3: `horizon`",
            "a.md:4: `takes its place`",
        ],
    );
    check(rule, &[("host/core/src/steward.rs", "//! Duty.\n")], &["steward.rs: `steward` in its name"]);
}

#[test]
fn circles_of_imports_are_reported() {
    let rule = imports_have_no_circles;
    let a = ("host/core/src/a.rs", "//! A.\nuse crate::{b::B, c::{C, D}};\n");
    check(rule, &[a, ("host/core/src/b.rs", "//! B.\n// use crate::a;\n")], &[]);
    check(rule, &[a, ("host/core/src/b.rs", "//! B.\nuse super::a::A;\n")], &["a > b > a"]);
    check(
        rule,
        &[a, ("host/core/src/c.rs", "//! C.\n"), ("host/core/src/c/d.rs", "//! D.\nuse super::super::a;\n")],
        &["a > c > a"],
    );
    check(rule, &[a, ("host/core/src/c/d.rs", "//! D.\nuse super::a;\n")], &[]);
    check(rule, &[("host/core/src/a.rs", "//! A.\nuse crate::a::b;\n")], &[]);
    // Inside a folder as well, however deep; the file of the folder's name is above its modules.
    let above = ("host/cli/src/a.rs", "//! A.\nuse self::b::B;\n");
    let b = ("host/cli/src/a/b.rs", "//! B.\nuse crate::a::A;\nuse crate::a::c::C;\n");
    check(rule, &[above, b, ("host/cli/src/a/c.rs", "//! C.\nuse super::A;\n")], &[]);
    check(
        rule,
        &[above, b, ("host/cli/src/a/c.rs", "//! C.\nuse super::b::B;\n")],
        &["host/cli/src/a: its modules import each other in a circle: b > c > b"],
    );
    check(
        rule,
        &[
            b,
            ("host/cli/src/a/c.rs", "//! C.\n"),
            ("host/cli/src/a/c/d.rs", "//! D.\nuse super::super::b::B;\n"),
        ],
        &["b > c > b"],
    );
}
