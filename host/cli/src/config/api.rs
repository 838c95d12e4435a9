//! The section `[api]`, and the token that a host asks for and a client shows.

use std::path::{Path, PathBuf};

use kennel_server::token::Token;
use serde::Deserialize;

use crate::exit::{ExitKind, ResultExt as _};

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
            let token =
                text.parse().map_err(|error| ExitKind::Config.error(format!("{TOKEN_VARIABLE} {error}")));
            return token.map(Some);
        }
        self.token_file.as_deref().map(read).transpose()
    }
}

fn read(file: &Path) -> anyhow::Result<Token> {
    let path = file.display();
    let cannot = |error: std::io::Error| format!("cannot read the token file {path}: {error}");
    let text = std::fs::read_to_string(file).map_err(|error| ExitKind::Config.error(cannot(error)))?;
    warn_if_open(file);
    text.parse::<Token>()
        .map_err(|error| anyhow::anyhow!("the token file {path} {error}"))
        .kind(ExitKind::Config)
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
