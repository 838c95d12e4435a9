//! Every law on made-up repositories that break it: a law that cannot fail holds nothing.

use super::*;

/// Tries a law on a made-up repository: one complaint for each of `expected`, in order, that contains it.
fn check(law: Law, files: &[(&str, &str)], expected: &[&str]) {
    let owned = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let complaints = law(&House(owned.collect()));
    assert_eq!(complaints.len(), expected.len(), "{files:?}: {complaints:#?}");
    for (complaint, expected) in complaints.iter().zip(expected) {
        assert!(complaint.contains(expected), "`{complaint}` does not say `{expected}`");
    }
}

#[test]
fn an_import_that_goes_up_or_sideways_is_caught() {
    let law = imports_go_down;
    check(law, &[("host/engine/Cargo.toml", "[dependencies]\nkennel-core.workspace = true\n")], &[]);
    check(
        law,
        &[("host/core/Cargo.toml", "[dependencies]\nkennel-engine.workspace = true\n")],
        &["kennel-engine"],
    );
    check(
        law,
        &[("host/store/Cargo.toml", "[dev-dependencies.kennel-engine]\npath = \"../engine\"\n")],
        &["kennel-engine"],
    );
    check(
        law,
        &[("host/store/Cargo.toml", "[dependencies]\nhidden = { package = \"kennel-runtime\" }\n")],
        &["kennel-runtime"],
    );
    check(
        law,
        &[("guest-sdk/rust/Cargo.toml", "[target.'cfg(unix)'.dependencies]\nkennel-core = \"1\"\n")],
        &["kennel-core"],
    );
    check(
        law,
        &[("examples/a/Cargo.toml", "[dependencies]\nkennel-guest = \"1\"\nkennel = \"1\"\n")],
        &["on kennel,"],
    );
    check(law, &[("host/attic/Cargo.toml", "[package]\n")], &["docs/adr/"]);
    let manifest = ("host/engine/Cargo.toml", "[package]\nname = \"kennel-engine\"\n");
    let sources = "use kennel_core::plan;\n// use kennel_store::Store;\nlet a = kennel_store::open();\n";
    check(
        law,
        &[manifest, ("host/engine/src/a.rs", sources)],
        &["host/engine/src/a.rs:3: uses kennel-store"],
    );
}

#[test]
fn a_heavy_dependency_in_the_wrong_crate_is_caught() {
    let law = heavy_dependencies_stay_behind_their_door;
    let sqlx = "[dependencies]\nsqlx = { version = \"1\" }\n";
    check(law, &[("host/store/Cargo.toml", sqlx)], &[]);
    check(law, &[("host/engine/Cargo.toml", sqlx)], &["host/engine/Cargo.toml: depends on sqlx"]);
    check(law, &[("host/core/Cargo.toml", "[dev-dependencies]\ntokio.workspace = true\n")], &["tokio"]);
    check(law, &[("host/kennel/Cargo.toml", "[dependencies]\n\"wasmtime\" = \"1\"\n")], &["wasmtime"]);
}

#[test]
fn a_migration_without_its_twin_is_caught() {
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
fn long_files_and_functions_are_caught() {
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
fn a_file_that_does_not_say_its_duty_is_caught() {
    check(files_say_their_duty, &[("host/core/src/a.rs", "//! Words.\nuse b;\n")], &[]);
    check(files_say_their_duty, &[("host/core/src/a.rs", "use b;\n//! Words.\n")], &["host/core/src/a.rs:1"]);
}

#[test]
fn what_is_left_undone_is_caught() {
    check(nothing_is_left_undone, &[("a.rs", "let todo = 1;\n#[ignore = \"a part of b\"]\n")], &[]);
    check(nothing_is_left_undone, &[("a.rs", "\n    todo!(\"later\")\n")], &["a.rs:2: `todo!(`"]);
    check(
        nothing_is_left_undone,
        &[("a.rs", "#[ignore = \"slow\"]\nfn f() { dbg!(1); }\n")],
        &["#[ignore", "dbg!("],
    );
}

#[test]
fn a_path_of_one_machine_is_caught() {
    let law = no_path_of_one_machine;
    check(law, &[("a.md", "target/home/x https://a.org/home/ $HOME/src/ ~/src/")], &[]);
    check(law, &[("a.md", "cd /home/x"), ("b.sh", "\nx=/root/y")], &["a.md:1", "b.sh:2"]);
}

#[test]
fn a_path_in_docs_that_does_not_exist_is_caught() {
    let law = paths_in_docs_exist;
    let code = ("host/store/src/lib.rs", "");
    let good = "`host/store/src/lib.rs:12`, `host/store/`, `host/*/src/lib.rs`, `bash host/store/src/lib.rs`, \
                [a](../host/store/src/lib.rs#L3) [b](https://a.org/x) [c](#d) `kennel.toml` `host/{store,store/src}`\n\
                ```\n`host/nowhere`\n```\n";
    check(law, &[code, ("docs/a.md", good)], &[]);
    check(
        law,
        &[code, ("docs/a.md", "\nSee `host/store/src/main.rs`.")],
        &["docs/a.md:2: names `host/store/src/main.rs`"],
    );
    check(
        law,
        &[code, ("README.md", "[a](docs/b.md) and `host/{store,attic}`")],
        &["host/attic", "docs/b.md"],
    );
    check(law, &[("notes.md", "`host/nowhere`")], &[]);
}

#[test]
fn a_changelog_without_room_for_news_is_caught() {
    let law = the_changelog_has_an_unreleased_section;
    check(law, &[("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")], &[]);
    check(law, &[("CHANGELOG.md", "# Changelog\nUnreleased\n")], &["no section"]);
    check(law, &[], &["missing"]);
}

#[test]
fn a_careless_script_or_a_new_top_level_folder_is_caught() {
    let law = scripts_stop_at_the_first_failure;
    check(
        law,
        &[("a.sh", "#!/bin/bash\nset -euo pipefail\n"), ("run", "#!/usr/bin/env bash\n")],
        &["run: begin"],
    );
    check(law, &[("a.sh", "set -e\n")], &["a.sh: begin"]);
    check(
        the_top_level_is_fixed,
        &[("a.md", ""), ("host/a", ""), ("scripts/a", "")],
        &["scripts/: the top level"],
    );
}
