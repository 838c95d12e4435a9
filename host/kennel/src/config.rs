//! `kennel.toml`: defaults for the command line. Flags win over `KENNEL_*` variables, which win over the
//! file. A key that nobody reads is an error, since it is most likely a key misspelt.

mod projections;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::exit::Kind;
pub use projections::ProjectionConfig;
pub use run::RunConfig;

/// The file that is read when it is there.
pub const DEFAULT_FILE: &str = "kennel.toml";
/// The store that is used when nothing names one.
pub const DEFAULT_STORE: &str = "sqlite:kennel.db";

/// The configuration file. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The store's URL.
    pub store: Option<String>,
    pub run: RunConfig,
    /// Settings by the projection's name, for `kennel deploy`.
    pub projections: BTreeMap<String, ProjectionConfig>,
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if there is one.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let path = match file {
            Some(path) => path,
            None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            None => return Ok(Self::default()),
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Kind::Config.error(format!("cannot read {}: {error}", path.display())))?;
        Self::parse(&text).map_err(|message| Kind::Config.error(format!("{}: {message}", path.display())))
    }

    /// Parses the text of a configuration file.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| explain(text, &error))
    }
}

/// An error of the TOML parser in one line, with a suggestion for a misspelt key.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = error.message();
    match misspelt(message) {
        Some((given, known)) => {
            let suggestion =
                nearest(given, &known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("{at}unknown key `{given}`{suggestion} Known keys here: {}", known.join(", "))
                .replace("` Known", "`. Known")
        }
        None => format!("{at}{}", message.replace('\n', " ")),
    }
}

/// Takes apart serde's "unknown field `x`, expected one of `a`, `b`".
fn misspelt(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (given, expected) = rest.split_once('`')?;
    Some((given, expected.split('`').skip(1).step_by(2).collect()))
}

/// The known word that is most like the given one, if any is alike at all.
#[must_use]
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(given, word), *word));
    scored.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}
