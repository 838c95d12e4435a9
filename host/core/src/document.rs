//! Which JSON both databases take and give back as it was meant. PostgreSQL's `jsonb` rejects some JSON that its
//! grammar allows, and writes some of what it takes out at many times its length; SQLite keeps any text. JSON that is
//! rejected here is rejected on both, when it is written, so that nothing fails later and in one place only.
//!
//! The text has been found to be JSON before: this looks only for what may be wrong beyond that.

mod number;

use std::borrow::Cow;
use std::collections::HashSet;

use crate::limits;

/// Why JSON cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("contains the character NUL (\\u0000), which databases cannot hold in JSON")]
    Nul,
    #[error("contains half of a surrogate pair (`{escape}`), which is no character")]
    Surrogate { escape: String },
    #[error(
        "contains the number `{number}`; databases hold up to 131,072 digits before and 16,383 behind the decimal point"
    )]
    Number { number: String },
    #[error("is nested more than {max} levels deep", max = limits::JSON_DEPTH_MAX)]
    Depth,
    #[error("has an object with the key `{key}` more than once, of which databases keep one")]
    Twice { key: String },
    #[error("has {bytes} bytes once its numbers are written out in digits; at most {max} are allowed")]
    Length { bytes: usize, max: usize },
}

/// Checks the text of a document.
pub fn check_document(text: &str) -> Result<(), Unfit> {
    Scan::new(text, limits::DOCUMENT_BYTES_MAX).check(true)
}

/// Checks the metadata of an event, which PostgreSQL holds in `jsonb` as well.
pub fn check_metadata(text: &str) -> Result<(), Unfit> {
    let mut scan = Scan::new(text, limits::EVENT_BYTES_MAX);
    // Other programs write the log: they may repeat keys, and the last counts.
    scan.twice = true;
    scan.check(true)
}

/// Checks a payload that is given as JSON. The log holds it as bytes, so NUL does no harm; but text that no program
/// could read back is rejected here as well.
pub fn check_payload(text: &str) -> Result<(), Unfit> {
    let mut scan = Scan::new(text, limits::EVENT_BYTES_MAX);
    scan.twice = true;
    scan.check(false)
}

/// An array or object that is open at the current offset.
enum Open<'a> {
    Array,
    Object { keys: Keys<'a>, expects_key: bool },
}

/// The keys of an object so far. Most objects have few.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

/// So many keys are compared one by one.
const FEW: usize = 16;

impl<'a> Keys<'a> {
    /// `false` if the key is there already.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.many.is_empty() && self.few.len() < FEW {
            let is_new = !self.few.contains(&key);
            self.few.push(key);
            return is_new;
        }
        if self.many.is_empty() {
            self.many.extend(self.few.drain(..));
        }
        self.many.insert(key)
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    open: Vec<Open<'a>>,
    /// Bytes of the text with its numbers written out.
    bytes: usize,
    bytes_max: usize,
    /// Whether keys may be repeated.
    twice: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, bytes_max: usize) -> Self {
        Self { text, at: 0, open: Vec::new(), bytes: text.len(), bytes_max, twice: false }
    }

    fn check(mut self, reject_nul: bool) -> Result<(), Unfit> {
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'{' => self.begin(Open::Object { keys: Keys::default(), expects_key: true })?,
                b'[' => self.begin(Open::Array)?,
                b'}' | b']' => {
                    self.open.pop();
                    self.at += 1;
                }
                b',' => {
                    if let Some(Open::Object { expects_key, .. }) = self.open.last_mut() {
                        *expects_key = true;
                    }
                    self.at += 1;
                }
                b'"' => self.string(reject_nul)?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.at += 1,
            }
        }
        if self.bytes > self.bytes_max {
            return Err(Unfit::Length { bytes: self.bytes, max: self.bytes_max });
        }
        Ok(())
    }

    fn begin(&mut self, open: Open<'a>) -> Result<(), Unfit> {
        if self.open.len() == limits::JSON_DEPTH_MAX {
            return Err(Unfit::Depth);
        }
        self.open.push(open);
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Unfit> {
        let rest = &self.text[self.at..];
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(is_part).count();
        let number = &rest[..length];
        // Most are short, and as long written out as they are.
        if length > number::PLAIN_BYTES_MAX || number.contains(['e', 'E']) {
            let written = number::written_bytes(number)
                .ok_or_else(|| Unfit::Number { number: limits::excerpt(number) })?;
            self.bytes = self.bytes.saturating_sub(length).saturating_add(written);
        }
        self.at += length.max(1);
        Ok(())
    }

    fn string(&mut self, reject_nul: bool) -> Result<(), Unfit> {
        let begins = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = begins;
        let mut escaped = false;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += if bytes.get(at + 1) == Some(&b'u') { self.unicode(at, reject_nul)? } else { 2 };
                }
                _ => at += 1,
            }
        }
        let text = self.text;
        let Some(content) = text.get(begins..at) else {
            self.at = text.len();
            return Ok(());
        };
        self.at = at + 1;
        let twice = self.twice;
        if let Some(Open::Object { keys, expects_key }) = self.open.last_mut()
            && std::mem::take(expects_key)
            && !twice
        {
            let key = if escaped { Cow::Owned(unescaped(content)) } else { Cow::Borrowed(content) };
            if !keys.insert(key) {
                return Err(Unfit::Twice { key: limits::excerpt(content) });
            }
        }
        Ok(())
    }

    /// How long the escape at `at` is, which may be a pair.
    fn unicode(&self, at: usize, reject_nul: bool) -> Result<usize, Unfit> {
        let lone = || Unfit::Surrogate { escape: self.text.get(at..at + 6).unwrap_or_default().to_owned() };
        match self.code_unit(at) {
            Some(0) if reject_nul => Err(Unfit::Nul),
            Some(0xd800..=0xdbff) => match self.code_unit(at + 6) {
                Some(0xdc00..=0xdfff) => Ok(12),
                _ => Err(lone()),
            },
            Some(0xdc00..=0xdfff) => Err(lone()),
            _ => Ok(6),
        }
    }

    /// The number of the escape `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    }
}

/// What a key with escapes means.
fn unescaped(content: &str) -> String {
    serde_json::from_str(&format!("\"{content}\"")).unwrap_or_else(|_| content.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(text: &str) -> Option<String> {
        assert!(crate::event::is_json(text), "{}", limits::excerpt(text));
        check_document(text).err().map(|unfit| unfit.to_string())
    }

    #[test]
    fn json_that_both_databases_keep_is_accepted() {
        let deep = format!("{}{}", "[".repeat(limits::JSON_DEPTH_MAX), "]".repeat(limits::JSON_DEPTH_MAX));
        for text in [
            "null",
            "\"\"",
            "{}",
            "[]",
            "-0.0",
            "1e131071",
            "1e-16383",
            "0e400000",
            "1.5E+10",
            &deep,
            r#"{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}],"":0}"#,
            r#""C:\\u0000""#,
            r#""\\\\u0000""#,
            r#"{"\\u0000":1}"#,
            r#""\ud83d\udc36""#,
            r#""\"[{\",""#,
            "\"\u{1f436}\"",
        ] {
            assert_eq!(rejected(text), None, "{text}");
        }
        let many: Vec<String> = (0..1000).map(|key| format!("\"{key}\":{key}")).collect();
        assert_eq!(rejected(&format!("{{{}}}", many.join(","))), None);
    }

    #[test]
    fn json_that_a_database_cannot_keep_is_rejected_with_the_reason() {
        let nul = "contains the character NUL (\\u0000), which databases cannot hold in JSON";
        let deep = format!("{}{}", "[".repeat(1001), "]".repeat(1001));
        let half =
            |escape: &str| format!("contains half of a surrogate pair (`{escape}`), which is no character");
        let number = |number: &str| {
            format!(
                "contains the number `{number}`; databases hold up to 131,072 digits before and 16,383 behind the decimal point"
            )
        };
        let twice = "has an object with the key `a` more than once, of which databases keep one".to_owned();
        for (text, expected) in [
            (r#"{"a":"\u0000"}"#, nul.to_owned()),
            (r#"{"\u0000":1}"#, nul.to_owned()),
            (r#""\\\u0000""#, nul.to_owned()),
            (r#""\ud800""#, half("\\ud800")),
            (r#""\udc36\ud83d""#, half("\\udc36")),
            (r#""\ud83d\ud83d\udc36""#, half("\\ud83d")),
            (r#""\uD83D x""#, half("\\uD83D")),
            ("1e131072", number("1e131072")),
            ("[0, -1.5e400000]", number("-1.5e400000")),
            ("1e-16384", number("1e-16384")),
            ("1e99999999999999999999", number("1e99999999999999999999")),
            (&deep, "is nested more than 1000 levels deep".to_owned()),
            (r#"{"a":1,"a":2}"#, twice.clone()),
            (r#"[{"b":{"a":1,"b":0,"a":[]}}]"#, twice),
        ] {
            assert_eq!(rejected(text), Some(expected), "{}", limits::excerpt(text));
        }
        assert!(rejected(r#"{"a":1,"\u0061":2}"#).is_some_and(|reason| reason.contains("more than once")));
        let long = format!("[{}]", ["1e131071"; 9].join(","));
        let reason = rejected(&long).unwrap();
        assert_eq!(
            reason,
            "has 1179658 bytes once its numbers are written out in digits; at most 1048576 are allowed"
        );
        let many: Vec<String> = (0..1000).map(|key| format!("\"{}\":0", key % 999)).collect();
        assert!(rejected(&format!("{{{}}}", many.join(","))).is_some());
    }

    #[test]
    fn payloads_may_hold_what_bytes_hold_and_metadata_may_repeat_itself() {
        assert_eq!(check_payload(r#""\u0000""#), Ok(()));
        assert_eq!(check_metadata(r#"{"a":1,"a":2}"#), Ok(()));
        assert_eq!(check_metadata(r#"{"path":"C:\\\\u0000"}"#), Ok(()));
        assert_eq!(check_metadata(r#""\u0000""#), Err(Unfit::Nul));
        assert!(check_payload(r#""\ud800""#).is_err());
    }
}
