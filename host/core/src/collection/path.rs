//! The path of a column: the fields that lead from the top of a document to a value.
//!
//! ```text
//! path  = field *("." field)
//! field = 1*(A-Z / a-z / 0-9 / "_" / "-")    ; the name itself
//!       / a JSON string                      ; any other name
//! ```
//!
//! Everything else is invalid, so that more can be added without a path changing its meaning.

use crate::limits;

/// Text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    #[error("its path is empty: name the field of the document, as in `customer.city`")]
    Empty,
    #[error("its path has {bytes} bytes; at most {max} are allowed", max = limits::COLUMN_PATH_BYTES_MAX)]
    TooLong { bytes: usize },
    #[error("its path `{path}` leads through more than {max} fields", max = limits::COLUMN_PATH_FIELDS_MAX)]
    TooDeep { path: String },
    #[error("its path `{path}` has an empty field before or after a dot")]
    EmptyField { path: String },
    #[error(
        "its path `{path}` has `{found}` in a field: a name of other characters than letters of ASCII, digits, `_` \
         and `-` is written as a JSON string, as in `\"unit.price\".net`"
    )]
    Character { path: String, found: String },
    #[error("its path `{path}` has a field in quotes that is not a JSON string: {reason}")]
    NotJson { path: String, reason: String },
    #[error("its path `{path}` names a field with the character NUL, which no document can have")]
    Nul { path: String },
    #[error("its path `{path}` needs a dot after a field in quotes")]
    NoDot { path: String },
}

/// The names of the fields that a path leads through, the outermost first: one to
/// [`limits::COLUMN_PATH_FIELDS_MAX`].
///
/// # Errors
///
/// The first fault of the path.
pub fn fields(path: &str) -> Result<Vec<String>, InvalidPath> {
    if path.is_empty() {
        return Err(InvalidPath::Empty);
    }
    if path.len() > limits::COLUMN_PATH_BYTES_MAX {
        return Err(InvalidPath::TooLong { bytes: path.len() });
    }
    let shown = || limits::excerpt(path);
    let mut fields = Vec::new();
    let mut rest = path;
    loop {
        let (field, after) = if rest.starts_with('"') { quoted(path, rest)? } else { bare(path, rest)? };
        fields.push(field);
        if fields.len() > limits::COLUMN_PATH_FIELDS_MAX {
            return Err(InvalidPath::TooDeep { path: shown() });
        }
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(InvalidPath::NoDot { path: shown() }),
        }
    }
}

/// A field that is written as it is, and what follows it.
fn bare<'a>(path: &str, rest: &'a str) -> Result<(String, &'a str), InvalidPath> {
    let (field, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    let shown = || limits::excerpt(path);
    if field.is_empty() {
        return Err(InvalidPath::EmptyField { path: shown() });
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match field.chars().find(|c| !is_plain(*c)) {
        None => Ok((field.to_owned(), after)),
        Some(found) => {
            Err(InvalidPath::Character { path: shown(), found: limits::excerpt(&found.to_string()) })
        }
    }
}

/// A field that is written as a JSON string, and what follows it.
fn quoted<'a>(path: &str, rest: &'a str) -> Result<(String, &'a str), InvalidPath> {
    let shown = || limits::excerpt(path);
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let field = match values.next() {
        Some(Ok(field)) => field,
        Some(Err(error)) => {
            return Err(InvalidPath::NotJson { path: shown(), reason: error.to_string() });
        }
        None => return Err(InvalidPath::Empty),
    };
    if field.contains('\0') {
        return Err(InvalidPath::Nul { path: shown() });
    }
    Ok((field, &rest[values.byte_offset()..]))
}
