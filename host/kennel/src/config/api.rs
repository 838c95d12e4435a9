//! The section `[api]`, and the token that a host asks for and a client shows.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::exit::{Kind, ResultExt as _};

/// The variable that holds the token.
pub const TOKEN_VARIABLE: &str = "KENNEL_TOKEN";

/// How a host and its clients know one another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// A file with the token, seen from the folder of kennel.toml; `KENNEL_TOKEN` wins over it.
    pub token_file: Option<PathBuf>,
}

impl ApiConfig {
    /// The token that was configured, if one was.
    ///
    /// # Errors
    /// If something was configured that is no token.
    pub fn token(&self) -> anyhow::Result<Option<Token>> {
        if let Some(given) = std::env::var_os(TOKEN_VARIABLE) {
            let text = given.to_string_lossy();
            let token = text.parse().map_err(|error| Kind::Config.error(format!("{TOKEN_VARIABLE} {error}")));
            return token.map(Some);
        }
        self.token_file.as_deref().map(read).transpose()
    }
}

/// A secret that gives the right to deploy. It does not show when it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Text that is not a token. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    #[error("is empty: put a token there, or unset it")]
    Empty,
    #[error(
        "has {0} characters: a token has at least {TOKEN_CHARS_MIN}, such as `openssl rand -hex 32` makes them"
    )]
    Short(usize),
    #[error(
        "holds a character that a token cannot have: use letters, digits and `-._~+/=`, such as `openssl rand -hex 32` makes \
         them"
    )]
    Character,
}

/// Fewest characters of a token: shorter ones can be guessed.
const TOKEN_CHARS_MIN: usize = 16;

impl Token {
    /// The secret itself, to be sent or hashed and never shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The characters are those that RFC 6750 allows.
impl FromStr for Token {
    type Err = InvalidToken;
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        match text.len() {
            0 => Err(InvalidToken::Empty),
            _ if !text.bytes().all(allowed) => Err(InvalidToken::Character),
            length if length < TOKEN_CHARS_MIN => Err(InvalidToken::Short(length)),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Token> {
    let path = file.display();
    let cannot = |error: std::io::Error| format!("cannot read the token file {path}: {error}");
    let text = std::fs::read_to_string(file).map_err(|error| Kind::Config.error(cannot(error)))?;
    warn_if_open(file);
    text.parse::<Token>().map_err(|error| anyhow::anyhow!("the token file {path} {error}")).kind(Kind::Config)
}

/// A secret that every user of the machine can read is hardly one. No more than a warning, since secrets that
/// orchestrators mount look like that inside their own containers.
#[cfg(unix)]
fn warn_if_open(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    const READ_BY_OTHERS: u32 = 0o004;
    if std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & READ_BY_OTHERS != 0) {
        tracing::warn!(
            file = %file.display(),
            "every user of this machine can read the token: `chmod 600` the file"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_and_does_not_show() {
        let token: Token = " 0123456789abcdef\n".parse().unwrap();
        assert_eq!((token.reveal(), format!("{token:?}").as_str()), ("0123456789abcdef", "Token(…)"));
        assert_eq!("\n".parse::<Token>(), Err(InvalidToken::Empty));
        assert_eq!("0123456789abcde".parse::<Token>(), Err(InvalidToken::Short(15)));
        for wrong in ["0123456789abcdef 0123456789", "0123456789abcdef\"", "0123456789abcdé0123456789"] {
            assert_eq!(wrong.parse::<Token>(), Err(InvalidToken::Character), "{wrong}");
        }
    }

    #[test]
    fn a_token_file_is_read_and_an_invalid_one_reported() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let error = |error: anyhow::Error| error.to_string();
        assert!(read(&file).map_err(error).unwrap_err().starts_with("cannot read the token file "));
        std::fs::write(&file, "short\n").unwrap();
        let rejected = read(&file).map_err(error).unwrap_err();
        assert!(
            rejected.ends_with(
                "token has 5 characters: a token has at least 16, such as `openssl rand -hex 32` makes them"
            ),
            "{rejected}"
        );
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        assert_eq!(read(&file).unwrap().reveal(), "0123456789abcdef");
    }
}
