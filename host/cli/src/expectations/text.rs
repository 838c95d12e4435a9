//! JSON as text. Nothing here reads a number or a string: each stays as it is written. The text has been found to be
//! JSON before.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// Longest line that a value stands on if it has parts.
const LINE_CHARS_MAX: usize = 110;
const INDENT: usize = 2;

/// The text without white space between its tokens.
#[must_use]
pub fn compact(text: &str) -> String {
    rewritten(text, |_| "")
}

/// The text on one line, with a space after each colon and comma.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    rewritten(text, |token| if matches!(token, ':' | ',') { " " } else { "" })
}

/// The text without white space between its tokens, and with something after each that is punctuation.
fn rewritten(text: &str, after: impl Fn(char) -> &'static str) -> String {
    let mut written = String::with_capacity(text.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            written.push(c);
            in_string = is_escaped || c != '"';
            is_escaped = !is_escaped && c == '\\';
        } else if !matches!(c, ' ' | '\t' | '\n' | '\r') {
            written.push(c);
            written.push_str(after(c));
            in_string = c == '"';
        }
    }
    written
}

/// The text laid out: what fits stands on one line, everything else has a line for each part. It begins in `column` of
/// a line that is indented by `indent`.
#[must_use]
pub fn laid_out(text: &str, indent: usize, column: usize) -> String {
    let mut written = String::with_capacity(text.len() * 2);
    lay_out(&compact(text), indent, column, &mut written);
    written
}

fn lay_out(text: &str, indent: usize, column: usize, written: &mut String) {
    let line = on_one_line(text);
    let parts = Parts::of(text);
    if column + line.chars().count() <= LINE_CHARS_MAX || parts.is_empty() {
        written.push_str(&line);
        return;
    }
    let inner = indent + INDENT;
    let (open, close) = if matches!(parts, Parts::Fields(_)) { ('{', '}') } else { ('[', ']') };
    written.push(open);
    let lines: Vec<(String, &str)> = match parts {
        Parts::Fields(fields) => {
            fields.into_iter().map(|(name, value)| (format!("{}: ", quoted(&name)), value)).collect()
        }
        Parts::Elements(elements) => elements.into_iter().map(|value| (String::new(), value)).collect(),
        Parts::None => Vec::new(),
    };
    for (number, (name, value)) in lines.into_iter().enumerate() {
        written.push_str(if number == 0 { "\n" } else { ",\n" });
        written.extend(std::iter::repeat_n(' ', inner));
        written.push_str(&name);
        lay_out(value, inner, inner + name.chars().count(), written);
    }
    written.push('\n');
    written.extend(std::iter::repeat_n(' ', indent));
    written.push(close);
}

/// A text as a string of JSON.
#[must_use]
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of a value of JSON, without white space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(pub String);

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(compact(raw.get())))
    }
}

/// What a value consists of, each part as its text.
#[derive(Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// The fields of an object, in their order.
    Fields(Vec<(String, &'a str)>),
    /// The elements of an array.
    Elements(Vec<&'a str>),
    /// It has no parts.
    None,
}

impl<'a> Parts<'a> {
    /// The parts of the value with this text.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        serde_json::from_str(text).unwrap_or(Self::None)
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Fields(fields) => fields.is_empty(),
            Self::Elements(elements) => elements.is_empty(),
            Self::None => true,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Parts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Parts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    fields.push((name, value.get()));
                }
                Ok(Parts::Fields(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Parts<'de>, A::Error> {
                let mut elements = Vec::new();
                while let Some(value) = sequence.next_element::<&RawValue>()? {
                    elements.push(value.get());
                }
                Ok(Parts::Elements(elements))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
