//! Store URLs. Parsing only: whether the store exists is not asked here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

/// A PostgreSQL connection URI. Its `Debug` and `Display` leave the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUri(String);

impl PostgresUri {
    pub(crate) fn with_password(&self) -> &str {
        &self.0
    }

    /// The same server and user, another database. The parameter `dbname` would win over the path, so it
    /// is left out.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        let (base, parameters) = self.0.split_once('?').unwrap_or((self.0.as_str(), ""));
        let kept = parameters
            .split('&')
            .filter(|parameter| !parameter.is_empty() && parameter.split('=').next() != Some("dbname"));
        let parameters: Vec<&str> = kept.collect();
        let authority = base.find("://").map_or(0, |at| at + 3);
        let server = base[authority..].find('/').map_or(base, |at| &base[..authority + at]);
        if parameters.is_empty() {
            return Self(format!("{server}/{name}"));
        }
        Self(format!("{server}/{name}?{}", parameters.join("&")))
    }
}

impl fmt::Display for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str("postgres://…") };
        // A password may also be given as a query parameter, so nothing after `?` is shown.
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((user, host)) => {
                write!(f, "{scheme}://{}@{host}", user.split(':').next().unwrap_or_default())
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for PostgresUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

/// Text that is not a store URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a store URL: use `sqlite:PATH` or `postgres://USER@HOST/DATABASE`{hint}")]
pub struct InvalidUrl {
    given: String,
    hint: &'static str,
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let invalid = |hint| InvalidUrl { given: shown(text), hint };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(PostgresUri(text.to_owned())));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            let looks_like_path = !text.is_empty() && !text.contains(':');
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

/// What may be repeated of a URL that was not understood: it can hold a password all the same.
fn shown(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => format!("{scheme}://…"),
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
            ("mysql://me:secret@db", None),
            ("", None),
        ] {
            let parsed = text.parse::<StoreUrl>();
            let shown = parsed.as_ref().map_or_else(ToString::to_string, ToString::to_string);
            assert_eq!(parsed.ok().map(|url| url.to_string()).as_deref(), expected, "{text}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn another_database_of_the_same_server_has_the_same_url_but_for_its_name() {
        for (given, expected) in [
            ("postgres://me:secret@db:5432/events", "postgres://me:secret@db:5432/other"),
            ("postgres://db/events?sslmode=require", "postgres://db/other?sslmode=require"),
            ("postgres://db", "postgres://db/other"),
            ("postgres://db?dbname=events", "postgres://db/other"),
            (
                "postgres://db/?sslmode=require&dbname=events&user=me",
                "postgres://db/other?sslmode=require&user=me",
            ),
            ("postgres:///events?host=/run/db", "postgres:///other?host=/run/db"),
        ] {
            let uri = PostgresUri(given.to_owned()).with_database("other");
            assert_eq!(uri.with_password(), expected);
        }
    }
}
