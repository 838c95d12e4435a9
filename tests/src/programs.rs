//! Where the programs of others are that tests start: servers that are unpacked rather than installed.

use std::path::PathBuf;

/// The folder that has all these programs: the one that the environment's `variable` names, or one on PATH.
///
/// `None` where they are missing and that is no fault; then it has said what to install.
///
/// # Panics
///
/// When they are missing in CI, where every test must run.
#[must_use]
#[expect(clippy::print_stderr, reason = "a test that cannot run has to say so")]
pub fn folder_of(programs: &[&str], variable: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|folder| !folder.is_empty());
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().map(PathBuf::from).chain(std::env::split_paths(&on_path));
    let has_all = |folder: &PathBuf| programs.iter().all(|name| folder.join(name).is_file());
    let found = folders.into_iter().find(has_all);
    if found.is_none() {
        let names = programs.join(" and ");
        let missing = format!(
            "this test needs {names}: `make test` fetches missing programs; or have it on PATH, or name its folder in {variable}"
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("NOT RUN: {missing}");
    }
    found
}
