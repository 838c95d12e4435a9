//! The guests of the SDKs: where they are, and which are missing.

use std::path::{Path, PathBuf};
use std::sync::Once;

use crate::binary::repository;

/// The languages that have an SDK, in the order in which the swaps go through them. `make test` builds their guests with
/// `kennel build`, those of Rust with `make guests`.
const LANGUAGES: [(&str, &str); 5] = [
    ("rust", "target/guests"),
    ("typescript", "target/guests/typescript"),
    ("python", "target/guests/python"),
    ("go", "target/guests/go"),
    ("c", "target/guests/c"),
];

/// A language whose guests are there.
#[derive(Clone, Debug)]
pub struct Language {
    /// As `kennel new --lang` names it.
    pub name: &'static str,
    /// The guest that plays `guest-sdk/conformance`.
    pub conformance: PathBuf,
    /// The example that every SDK has.
    pub order_summary: PathBuf,
}

impl Language {
    /// The conformance guest as an argument.
    #[must_use]
    pub fn conformance(&self) -> &str {
        text(&self.conformance)
    }

    /// The example as an argument.
    #[must_use]
    pub fn order_summary(&self) -> &str {
        text(&self.order_summary)
    }

    /// Whether it is the first of all.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.name == LANGUAGES[0].0
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// The languages whose guests are there, Rust first. The others are reported, and in CI the test fails.
///
/// # Panics
///
/// When those of Rust are missing, or any in CI.
#[must_use]
#[expect(clippy::print_stderr, reason = "a language that is not tested has to be named")]
pub fn languages() -> Vec<Language> {
    static ONCE: Once = Once::new();
    let (present, missing): (Vec<_>, Vec<_>) = LANGUAGES.iter().map(language).partition(Result::is_ok);
    let missing: Vec<String> = missing.into_iter().filter_map(Result::err).collect();
    if !missing.is_empty() {
        let missing = missing.join("\n");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        ONCE.call_once(|| eprintln!("{missing}"));
    }
    let present: Vec<Language> = present.into_iter().filter_map(Result::ok).collect();
    assert!(present.first().is_some_and(Language::is_rust), "`make guests` builds the guests of Rust");
    present
}

/// The example in languages that use the SDK of C, as far as it is there.
///
/// # Panics
///
/// When one is missing in CI.
#[must_use]
#[expect(clippy::print_stderr, reason = "a language that is not tested has to be named")]
pub fn examples_with_the_sdk_of_c() -> Vec<String> {
    let examples = ["order-summary-cpp", "order-summary-zig"];
    let files = examples.map(|name| repository().join(format!("target/guests/c/{name}.wasm")));
    let (present, missing): (Vec<_>, Vec<_>) =
        files.iter().map(|file| text(file)).partition(|file| Path::new(file).exists());
    for file in missing {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{}", not_run(file));
        eprintln!("{}", not_run(file));
    }
    present.into_iter().map(str::to_owned).collect()
}

fn not_run(file: &str) -> String {
    format!("NOT RUN: {file} is missing: `make test` builds it")
}

fn language((name, folder): &(&'static str, &str)) -> Result<Language, String> {
    let folder = repository().join(folder);
    let [conformance, order_summary] =
        ["conformance", "order-summary"].map(|guest| folder.join(format!("{guest}.wasm")));
    for guest in [&conformance, &order_summary] {
        if !guest.exists() {
            return Err(format!(
                "NOT RUN: {name}, because {} is missing: `make test` builds it",
                text(guest)
            ));
        }
    }
    Ok(Language { name, conformance, order_summary })
}
