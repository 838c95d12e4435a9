//! Adds to whole-number fields at the top of a JSON object and leaves every other byte of its text as it was.
//!
//! The text is scanned from left to right and nothing is parsed into a tree, so that neither the precision of numbers
//! nor the depth of what else the document holds matters. It is taken to be JSON: where it is not, it is no object.
//!
//! Where a name occurs twice, the last one counts, as it does for `jsonb` and for most parsers. A number counts by its
//! value, however it is written: `1.0` and `10e-1` are whole, so that a database which writes numbers in its own way
//! gives the same answer as one that keeps the text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Why an amount cannot be added.
pub(crate) type Reason = &'static str;

pub(crate) const OVERFLOW: Reason = "the sum leaves the range of 64-bit whole numbers";
const NOT_AN_OBJECT: Reason = "the document is not a JSON object";
const NOT_WHOLE: Reason = "the field is not a whole number";
const OUT_OF_RANGE: Reason = "the field is beyond the range of 64-bit whole numbers";

/// Digits that every 64-bit number fits into.
const DIGITS_MAX: usize = 19;

/// A sum that could be built.
pub(crate) struct Sum {
    pub(crate) document: String,
    /// Whether it has fields that the document did not have.
    pub(crate) has_new_fields: bool,
}

/// `document` with `amounts` added; without one, an object of nothing else. A field that is missing or null counts
/// as 0.
pub(crate) fn add<'a>(
    document: Option<&str>,
    amounts: &'a BTreeMap<String, i64>,
) -> Result<Sum, (&'a str, Reason)> {
    let text = document.unwrap_or("{}");
    let first = amounts.keys().next().map_or("", String::as_str);
    let found = find(text, |name| amounts.get_key_value(name).map(|(known, _)| known.as_str()));
    let Found { fields, end, is_empty } = found.ok_or((first, NOT_AN_OBJECT))?;
    let mut edits: Vec<(&Range<usize>, i64)> = Vec::with_capacity(fields.len());
    let mut more = String::new();
    for (name, by) in amounts {
        let place = fields.get(name.as_str());
        let sum =
            sum(place.map(|place| &text[place.clone()]), *by).map_err(|reason| (name.as_str(), reason))?;
        match place {
            Some(place) => edits.push((place, sum)),
            None => {
                if !is_empty || !more.is_empty() {
                    more.push(',');
                }
                more.push_str(&serde_json::Value::from(name.as_str()).to_string());
                more.push(':');
                more.push_str(&sum.to_string());
            }
        }
    }
    edits.sort_unstable_by_key(|(place, _)| place.start);
    let mut document = String::with_capacity(text.len() + more.len() + DIGITS_MAX + 1);
    let mut copied = 0;
    for (place, sum) in edits {
        document.push_str(&text[copied..place.start]);
        document.push_str(&sum.to_string());
        copied = place.end;
    }
    document.push_str(&text[copied..end]);
    document.push_str(&more);
    document.push_str(&text[end..]);
    Ok(Sum { document, has_new_fields: !more.is_empty() })
}

/// Whether `by` could be added to one field of `document`.
pub(crate) fn check(document: Option<&str>, field: &str, by: i64) -> Result<(), Reason> {
    let Some(text) = document else { return Ok(()) };
    let Found { fields, .. } = find(text, |name| (name == field).then_some(field)).ok_or(NOT_AN_OBJECT)?;
    sum(fields.get(field).map(|place| &text[place.clone()]), by).map(|_| ())
}

fn sum(before: Option<&str>, by: i64) -> Result<i64, Reason> {
    let before = match before {
        None | Some("null") => 0,
        Some(number) => whole(number)?,
    };
    before.checked_add(by).ok_or(OVERFLOW)
}

/// The value of a number that is whole.
fn whole(text: &str) -> Result<i64, Reason> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(NOT_WHOLE);
    }
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{before}{after}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // One that is longer than any text can make up for by its digits.
    let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
    let zeros = i64::try_from(digits.len() - significant.len()).unwrap_or(i64::MAX);
    let fraction = i64::try_from(after.len()).unwrap_or(i64::MAX);
    let exponent = exponent.parse().unwrap_or(beyond).saturating_add(zeros - fraction);
    let Ok(zeros) = usize::try_from(exponent) else { return Err(NOT_WHOLE) };
    if significant.len().saturating_add(zeros) > DIGITS_MAX {
        return Err(OUT_OF_RANGE);
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    format!("{sign}{significant}{}", "0".repeat(zeros)).parse().map_err(|_| OUT_OF_RANGE)
}

/// Where the fields of an object are.
struct Found<'n> {
    /// The values of those that were looked for.
    fields: BTreeMap<&'n str, Range<usize>>,
    /// Where more of them can be put: behind the last value, or behind the brace.
    end: usize,
    is_empty: bool,
}

/// Looks for fields by name. Nothing if `text` is no object.
fn find<'n>(text: &str, wanted: impl Fn(&str) -> Option<&'n str>) -> Option<Found<'n>> {
    let bytes = text.as_bytes();
    let mut at = after_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    let mut found = Found { fields: BTreeMap::new(), end: at, is_empty: true };
    at = after_space(bytes, at);
    while bytes.get(at) != Some(&b'}') {
        if !found.is_empty {
            at = after_space(bytes, after(bytes, at, b',')?);
        }
        let name_end = after_string(bytes, at)?;
        let name = decoded(text.get(at..name_end)?);
        at = after_space(bytes, after(bytes, after_space(bytes, name_end), b':')?);
        let value = at..after_value(bytes, at)?;
        found.end = value.end;
        found.is_empty = false;
        at = after_space(bytes, value.end);
        if let Some(name) = name.and_then(|name| wanted(&name)) {
            found.fields.insert(name, value);
        }
    }
    Some(found)
}

/// The name that a JSON string stands for; none if no text is.
fn decoded(string: &str) -> Option<Cow<'_, str>> {
    let plain = &string[1..string.len() - 1];
    if plain.contains('\\') {
        return serde_json::from_str(string).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(plain))
}

fn after(bytes: &[u8], at: usize, byte: u8) -> Option<usize> {
    (bytes.get(at) == Some(&byte)).then_some(at + 1)
}

fn after_space(bytes: &[u8], at: usize) -> usize {
    let space = bytes[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    at + space.count()
}

/// The end of the string that begins at `at`.
fn after_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = after(bytes, at, b'"')?;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The end of the value that begins at `at`, however deep it is nested.
fn after_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => at = after_string(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth > 0 => at += 1,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => return None,
            _ => {
                let word = bytes[at..].iter().take_while(|byte| !b",:]} \t\n\r\"[{".contains(byte));
                at += word.count();
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(document: &str, field: &str, by: i64) -> Result<String, Reason> {
        let amounts = BTreeMap::from([(field.to_owned(), by)]);
        let added = add(Some(document), &amounts).map(|sum| sum.document).map_err(|(_, reason)| reason);
        assert_eq!(check(Some(document), field, by).err(), added.clone().err(), "{document}");
        added
    }

    #[test]
    fn only_the_field_changes() {
        let precise = r#"{"owner_id":12345678901234567890123,"balance":0.1234567890123456789,"n":1}"#;
        assert_eq!(added(precise, "n", 1).unwrap(), precise.replace("\"n\":1", "\"n\":2"));
        for (before, after) in [
            (
                " { \"a\" : 1.50 ,\t\"n\" : -7 , \"z\":[ ] }\n",
                " { \"a\" : 1.50 ,\t\"n\" : -6 , \"z\":[ ] }\n",
            ),
            (r#"{"s":"a\"}{,\\","n":1}"#, r#"{"s":"a\"}{,\\","n":2}"#),
            (r#"{"a":{"n":5},"n":null}"#, r#"{"a":{"n":5},"n":1}"#),
            (r#"{"\u006e":4}"#, r#"{"\u006e":5}"#),
            (r#"{"\ud83d":4}"#, r#"{"\ud83d":4,"n":1}"#),
            (r#"{"n":"old","n":3}"#, r#"{"n":"old","n":4}"#),
            (r#"{"n":3,"\u006e":8}"#, r#"{"n":3,"\u006e":9}"#),
            ("{}", r#"{"n":1}"#),
            (" { } ", r#" {"n":1 } "#),
            ("{\"a\":1 \n}", "{\"a\":1,\"n\":1 \n}"),
        ] {
            assert_eq!(added(before, "n", 1).as_deref(), Ok(after));
        }
        let quoted = added(r#"{"a":1}"#, "\"\\\n\u{1f436}", 1).unwrap();
        assert_eq!(quoted, "{\"a\":1,\"\\\"\\\\\\n\u{1f436}\":1}");
    }

    #[test]
    fn numbers_count_by_their_value() {
        for (number, value) in [
            ("1.0", 1),
            ("-0", 0),
            ("-0.0e7", 0),
            ("1e2", 100),
            ("1.20E+1", 12),
            ("1000e-3", 1),
            ("-9223372036854775808.0", i64::MIN),
            ("0e999999999999999999999", 0),
        ] {
            assert_eq!(whole(number), Ok(value), "{number}");
        }
        for fraction in ["0.5", "1e-1", "1.5e0", "1e-99999999999999999999", "\"1\"", "true", "[1]", "{}"] {
            assert_eq!(whole(fraction), Err(NOT_WHOLE), "{fraction}");
        }
        for large in
            ["9223372036854775808", "1e19", "-92233720368547758080e0", "1e400", "1e99999999999999999999"]
        {
            assert_eq!(whole(large), Err(OUT_OF_RANGE), "{large}");
        }
        assert_eq!(added(&format!("{{\"n\":{}}}", i64::MAX), "n", 1), Err(OVERFLOW));
    }

    #[test]
    fn depth_does_not_matter() {
        let deep = |n: u32| format!("{{\"a\":{}1{},\"n\":{n}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(added(&deep(1), "n", 1), Ok(deep(2)));
    }

    #[test]
    fn text_that_is_no_object_is_rejected() {
        for text in [
            "1",
            "[1]",
            "\"{}\"",
            "null",
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{,}",
            "{\"a\":\"",
            "{\"a\":[}",
        ] {
            assert_eq!(added(text, "n", 1), Err(NOT_AN_OBJECT), "{text}");
        }
    }
}
