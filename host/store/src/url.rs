//! Store URLs. Parsing only: whether the store exists is not asked here.

mod postgres;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use postgres::PostgresUri;
pub(crate) use postgres::ServerUri;

/// Where a store is: `sqlite:PATH` or `postgres://...`.
///
/// Displayed without its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server, as a PostgreSQL connection URI.
    Postgres(PostgresUri),
}

impl StoreUrl {
    /// The whole URL, for those who connect with it. Not to be shown.
    #[must_use]
    pub fn with_password(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(uri) => uri.with_password().to_owned(),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(uri) => uri.fmt(f),
        }
    }
}

/// Text that is not a store URL, or one that asks for what cannot be done. It repeats no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("`{given}` is not a store URL: use `sqlite:PATH` or `postgres://USER@HOST/DATABASE`{hint}")]
    NotAUrl { given: String, hint: &'static str },
    #[error("the store's URL {store} asks for what Kennel cannot do: {reason}")]
    Parameter { store: String, reason: String },
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let invalid = |hint| InvalidUrl::NotAUrl { given: shown(text), hint };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return PostgresUri::parse(text).map(Self::Postgres);
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            let looks_like_path = !text.is_empty() && !text.contains([':', '=', '@']);
            return Err(invalid(if looks_like_path {
                "; a file needs `sqlite:` in front of it"
            } else {
                ""
            }));
        };
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(invalid("; the path is missing")),
            ":memory:" => Err(invalid("; a database in memory would be gone with the command")),
            path => Ok(Self::Sqlite(PathBuf::from(path))),
        }
    }
}

/// What may be repeated of a URL that was not understood: unless it looks like a path, it can hold a password.
fn shown(text: &str) -> String {
    let is_scheme = |scheme: &str| scheme.chars().all(|c| c.is_ascii_alphanumeric());
    match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) && rest.starts_with("//") => format!("{scheme}://…"),
        _ if text.contains([':', '=', '@']) => "…".to_owned(),
        _ => kennel_core::limits::excerpt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files_and_servers_and_never_show_a_password() {
        for (text, expected) in [
            ("sqlite:kennel.db", Some("sqlite:kennel.db")),
            ("sqlite:///tmp/a b.db", Some("sqlite:/tmp/a b.db")),
            ("postgres://me:secret@db:5432/events?sslmode=require", Some("postgres://me@db:5432/events")),
            ("postgresql://db/events?password=secret", Some("postgresql://db/events")),
            ("sqlite:", None),
            ("sqlite::memory:", None),
            ("kennel.db", None),
            ("postgres://me:secret@a:1,b:2/events", Some("postgres://me@a:1,b:2/events")),
            ("postgres://db/e?sslkey=secret&sslpass=secret", Some("postgres://db/e")),
            ("postgres://me:p%2Fsecret@db/e", Some("postgres://me@db/e")),
            // Characters that should have been escaped must not have the rest of the password shown.
            ("postgres://me:p?secret@db/e", None),
            ("postgres://me:p#secret@db/e", None),
            ("postgres://me:p/secret@db/e", None),
            ("postgres://me:1/secret@db/e", None),
            ("postgres://me:1?secret@db/e", None),
            ("postgres://me:1#secret@db/e", None),
            ("postgres://me:1?secret=1@db/e", None),
            ("postgres://me:p@secret@db/e", Some("postgres://me@db/e")),
            ("mysql://me:secret@db", None),
            ("postgres:me:secret@db", None),
            ("host=db password=secret", None),
            ("me:secret@db", None),
            ("", None),
        ] {
            let parsed = text.parse::<StoreUrl>();
            let shown = parsed.as_ref().map_or_else(ToString::to_string, ToString::to_string);
            assert_eq!(parsed.ok().map(|url| url.to_string()).as_deref(), expected, "{text}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
