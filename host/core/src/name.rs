//! Names that are checked once, when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A name that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a valid {what}: {rule}")]
pub struct InvalidName {
    what: &'static str,
    given: String,
    rule: &'static str,
}

const IDENTIFIER_RULE: &str = "use 1 to 48 lower-case letters, digits, `-` or `_`, starting with a letter";

fn is_identifier(text: &str) -> bool {
    text.len() <= limits::NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if is_identifier(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { what: $what, given: limits::excerpt(text), rule: IDENTIFIER_RULE })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

identifier!(
    /// The name that a projection is deployed under.
    ProjectionName,
    "projection name"
);
identifier!(
    /// The name of a group of projections that scale together.
    ReplicaSet,
    "replica set name"
);

/// `main`: the replica set of projections that are deployed without naming one.
impl Default for ReplicaSet {
    fn default() -> Self {
        Self("main".to_owned())
    }
}

/// Checks a collection's name: any text of 1 to 200 bytes without NUL.
pub fn check_collection(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > limits::COLLECTION_BYTES_MAX || text.contains('\0') {
        return Err(InvalidName {
            what: "collection name",
            given: limits::excerpt(text),
            rule: "use 1 to 200 bytes of text without NUL",
        });
    }
    Ok(())
}

/// Checks a document's key: any text of 1 to 1,024 bytes without NUL.
pub fn check_key(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > limits::KEY_BYTES_MAX || text.contains('\0') {
        return Err(InvalidName {
            what: "document key",
            given: limits::excerpt(text),
            rule: "use 1 to 1,024 bytes of text without NUL",
        });
    }
    Ok(())
}

/// Names that every table of documents has for columns of its own, or that a database has for those of every table.
pub const RESERVED_COLUMNS: [&str; 11] =
    ["key", "document", "revision", "rowid", "oid", "ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// Checks a column's name: 1 to 48 lower-case letters, digits or `_`, starting with a letter, and none of
/// [`RESERVED_COLUMNS`].
pub fn check_column(text: &str) -> Result<(), InvalidName> {
    let rule = if !is_identifier(text) || text.contains('-') {
        "use 1 to 48 lower-case letters, digits or `_`, starting with a letter"
    } else if RESERVED_COLUMNS.contains(&text) {
        "tables have a column of this name already, so use another one"
    } else {
        return Ok(());
    };
    Err(InvalidName { what: "column name", given: limits::excerpt(text), rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "order-summary", "audit_log2"] {
            assert!(good.parse::<ProjectionName>().is_ok(), "{good}");
        }
        let long = "a".repeat(49);
        for bad in ["", "1a", "-a", "Order", "a b", "a/b", "ä", long.as_str()] {
            assert!(bad.parse::<ProjectionName>().is_err(), "{bad}");
        }
    }
}
