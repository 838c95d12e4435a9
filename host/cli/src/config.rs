//! `kennel.toml`: defaults for the command line. Flags win over `KENNEL_*` variables, which win over the
//! file. An unknown key is an error, since it is most likely a key misspelt.

mod api;
mod events;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use kennel_core::name::ProjectionName;
use serde::Deserialize;

use crate::exit::ExitKind;
use crate::nearest::nearest;
pub use api::{ApiConfig, TOKEN_VARIABLE};
pub use events::EventsConfig;
pub use kennel::settings::ProjectionConfig;
pub use run::RunConfig;
pub(crate) use run::{address, connections};

/// The file that is read when it is there.
pub const DEFAULT_FILE: &str = "kennel.toml";
pub use kennel::wire::DEFAULT_STORE;

/// The configuration file. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The store's URL.
    pub store: Option<String>,
    /// Which tables hold the event log.
    pub events: EventsConfig,
    pub run: RunConfig,
    /// The token of the HTTP API.
    pub api: ApiConfig,
    /// Settings by the projection's name, for `kennel deploy`.
    pub projections: BTreeMap<ProjectionName, ProjectionConfig>,
}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if there is one.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                let path = path.display();
                return Err(
                    ExitKind::Config.error(format!("cannot read the configuration file {path}: {error}"))
                );
            }
        };
        let mut config = Self::parse(&text)
            .map_err(|message| ExitKind::Config.error(format!("{}, {message}", path.display())))?;
        // Wherever the command is started, the same file is meant.
        let folder = path.parent().unwrap_or(Path::new(""));
        config.api.token_file = config.api.token_file.map(|file| folder.join(file));
        Ok(config)
    }

    /// Parses the text of a configuration file. The error begins with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| explain(text, &error))
    }
}

/// An error of the TOML parser in one line: where, which key, and what it takes. Values of the file are
/// not repeated unless they have the wrong type, since a store's URL may hold a password.
fn explain(text: &str, error: &toml::de::Error) -> String {
    let start = error.span().map_or(0, |span| text.floor_char_boundary(span.start));
    let line = text[..start].matches('\n').count() + 1;
    let before = text[..start].rsplit('\n').next().unwrap_or_default();
    let key = before.trim_end().strip_suffix('=').map(|before| {
        let before = before.trim_end();
        before.rsplit([' ', '\t', '{', ',', '.']).next().unwrap_or(before)
    });
    let message = error.message().replace('\n', " ");
    let problem = match (misspelt(&message), key) {
        (Some((given, known)), _) => match nearest(given, &known) {
            Some(near) => format!("unknown key `{given}`; did you mean `{near}`?"),
            None => format!("unknown key `{given}`; known keys here: {}", known.join(", ")),
        },
        (None, Some(key)) => match mismatch(&message) {
            Some((found, expected)) => format!("`{key}` takes {}, not {found}", rendered(expected)),
            None => format!("`{key}`: {message}"),
        },
        (None, None) => match mismatch(&message) {
            Some((found, expected)) => format!("{} is needed here, not {found}", rendered(expected)),
            None => message,
        },
    };
    format!("line {line}: {problem}")
}

/// Takes apart serde's "unknown field `x`, expected one of `a`, `b`".
fn misspelt(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (given, expected) = rest.split_once('`')?;
    Some((given, expected.split('`').skip(1).step_by(2).collect()))
}

/// Takes apart serde's "invalid type: integer `5`, expected a string" and its likes.
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let found = ["invalid type: ", "invalid value: ", "unknown variant "];
    let rest = found.iter().find_map(|start| message.strip_prefix(start))?;
    rest.split_once(", expected ")
}

/// What serde expects, without the names of Rust's types.
fn rendered(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number",
        "a nonzero usize" | "a nonzero u32" => "a whole number of at least 1",
        "a string" => "text in quotes",
        "a map" => "a table",
        "a sequence" => "a list",
        name if name.starts_with("struct ") => "a table",
        other => other,
    }
}
