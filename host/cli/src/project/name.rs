//! The name of a new project, which is that of its projection and of what languages make of it: a package, a module, a type.

use std::fmt;
use std::str::FromStr;

/// Longest name: the name of a file, of a package and of a crate.
const LENGTH_MAX: usize = 64;

/// Words that a compiler or a package manager takes for something else: keywords of Rust, Python, Go, JavaScript and C; what
/// a project has or sees already; and the modules of Python's own library, before which that of a project would go.
const TAKEN: &str = include_str!("taken-names.txt");

/// A name in lower case with `-` between its words: `order-summary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

/// A name that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` cannot be the name of a project: {reason}; {suggestion}")]
pub(crate) struct InvalidName {
    given: String,
    reason: &'static str,
    suggestion: String,
}

impl FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let Some(reason) = unfit(text) else { return Ok(Self(text.to_owned())) };
        let near = near(text);
        let suggestion = match unfit(&near) {
            None => format!("take `{near}`"),
            Some(_) if is_taken(&near) => format!("take `{near}-summary`"),
            Some(_) => "take a name such as `order-summary`".to_owned(),
        };
        let given = text.chars().take(LENGTH_MAX).collect();
        Err(InvalidName { given, reason, suggestion })
    }
}

/// Why a name cannot be used.
fn unfit(text: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some("it has to begin with a lower-case letter")
    } else if !text.chars().all(is_allowed) {
        Some("it has to be of lower-case letters, digits and `-`")
    } else if text.ends_with('-') || text.contains("--") {
        Some("each `-` has to stand between two words")
    } else if text.len() > LENGTH_MAX {
        Some("it has more than 64 characters")
    } else if is_taken(text) {
        Some("the word has a meaning of its own in some language")
    } else {
        None
    }
}

fn is_taken(name: &str) -> bool {
    let module = name.replace('-', "_");
    TAKEN.split_whitespace().any(|taken| taken == name || taken == module)
}

/// The name that was probably meant.
fn near(text: &str) -> String {
    let mut near = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            near.push('-');
        }
        near.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
        before = c;
    }
    let words: Vec<&str> = near.split('-').filter(|word| !word.is_empty()).collect();
    words
        .join("-")
        .trim_start_matches(|c: char| c == '-' || c.is_ascii_digit())
        .chars()
        .take(LENGTH_MAX)
        .collect()
}

impl Name {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A text of a template with this name in place of the placeholder, in all its forms.
    pub(crate) fn replaced(&self, text: &str) -> String {
        let upper = |word: &str| {
            let mut chars = word.chars();
            chars
                .next()
                .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
                .unwrap_or_default()
        };
        let type_name: String = self.0.split('-').map(upper).collect();
        let mut variable = type_name.clone();
        variable[..1].make_ascii_lowercase();
        text.replace("my-projection", &self.0)
            .replace("my_projection", &self.0.replace('-', "_"))
            .replace("MyProjection", &type_name)
            .replace("myProjection", &variable)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_used_comes_with_one_that_can() {
        for (given, suggested) in [
            ("Order Summary", "take `order-summary`"),
            ("OrderSummary", "take `order-summary`"),
            ("order_summary", "take `order-summary`"),
            ("2024-orders", "take `orders`"),
            ("-orders-", "take `orders`"),
            ("orders--all", "take `orders-all`"),
            ("class", "take `class-summary`"),
            ("Test", "take `test-summary`"),
            ("json", "take `json-summary`"),
            ("graphlib", "take `graphlib-summary`"),
            ("bestellübersicht", "take `bestell-bersicht`"),
            ("", "take a name such as `order-summary`"),
            ("42", "take a name such as `order-summary`"),
        ] {
            let error = given.parse::<Name>().unwrap_err().to_string();
            assert!(error.ends_with(suggested), "{error}");
        }
        assert!("a".repeat(65).parse::<Name>().is_err());
        for good in ["orders", "order-summary", "order-2", "a", "x1"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn every_form_of_the_placeholder_becomes_that_form_of_the_name() {
        let name: Name = "order-2-summary".parse().unwrap();
        assert_eq!(
            name.replaced("my-projection my_projection MyProjection myProjection"),
            "order-2-summary order_2_summary Order2Summary order2Summary"
        );
    }
}
