//! JSON text that is the same for the same values. A number counts by its value, to the last digit, a string by its
//! characters; the order of fields stays.

/// Numbers that are written out have at most so many digits; others have an exponent.
const DIGITS_MAX: i64 = 40;

/// The text without white space, its numbers and strings written in one way. The text has been found to be JSON before.
#[must_use]
pub fn canonical(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_end(rest),
            '-' | '0'..='9' => rest.find(is_no_part_of_a_number).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let token = &rest[..length];
        rest = &rest[length..];
        match first {
            '"' => written.push_str(&string(token)),
            '-' | '0'..='9' => written.push_str(&number(token)),
            ' ' | '\t' | '\n' | '\r' => {}
            _ => written.push_str(token),
        }
    }
    written
}

fn is_no_part_of_a_number(c: char) -> bool {
    !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')
}

/// The end of the string that the text begins with.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '"' && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

/// Half of a surrogate pair is no character: such a string stays as it is.
fn string(token: &str) -> String {
    serde_json::from_str::<String>(token)
        .map_or_else(|_| token.to_owned(), |text| serde_json::Value::from(text).to_string())
}

fn number(token: &str) -> String {
    let (sign, digits) = token.strip_prefix('-').map_or(("", token), |digits| ("-", digits));
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // An exponent beyond 64 bits is written as it is: no database holds such a number.
    let Some(exponent) = exponent.trim_start_matches('+').parse::<i64>().ok() else {
        return token.to_owned();
    };
    let exponent = exponent.saturating_add(count(digits) - count(significant) - count(fraction));
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    let before = count(significant).saturating_add(exponent);
    match (exponent, before) {
        (0.., ..=DIGITS_MAX) => format!("{sign}{significant}{}", zeros(exponent)),
        (_, 1..=DIGITS_MAX) => {
            let (whole, fraction) = significant.split_at(usize::try_from(before).unwrap_or_default());
            format!("{sign}{whole}.{fraction}")
        }
        (_, -6..=0) => format!("{sign}0.{}{significant}", zeros(-before)),
        _ => format!("{sign}{significant}e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_have_the_same_text() {
        for same in [
            &["1", "1.0", "1e0", "10e-1", "0.1E+1", "100e-2"][..],
            &["0", "-0", "0.000", "-0.0e7", "0e99999999999999999999"],
            &["-12.5", "-1.25e1", "-12.50", "-0.0125e3"],
            &["0.001", "1e-3", "0.10e-2"],
            &["1e400", "10E399", "0.1e401"],
            &["-1e-400", "-0.1e-399"],
            &[
                "123456789012345678901234567890",
                "12345678901234567890123456789e1",
                "1.2345678901234567890123456789e29",
            ],
            &[r#""\u0041\ud83d\udc36\/""#, r#""A\ud83d\uDC36/""#, "\"A\u{1f436}/\""],
            &[r#"{"a":[1,2],"b":"x y"}"#, " { \"\\u0061\" : [ 1.0 ,\n2 ] ,\t\"b\" : \"x y\" } "],
            &[r#""\\\"1.0\\""#],
        ] {
            for text in same {
                assert_eq!(canonical(text), canonical(same[0]), "{text}");
                assert_eq!(canonical(&canonical(text)), canonical(text), "{text}");
            }
        }
    }

    #[test]
    fn other_values_have_another_text() {
        let all = [
            "1",
            "-1",
            "10",
            "0.1",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "1e401",
            "1e-400",
            "0",
            "0.1234567890123456789012345678901234567890",
            "0.1234567890123456789012345678901234567891",
            "\"1\"",
            "\"\"",
            "null",
            "[]",
            "{}",
            r#"{"a":1,"b":2}"#,
            r#"{"b":2,"a":1}"#,
            "\"e\u{301}\"",
            "\"\u{e9}\"",
            r#""\\""#,
            r#""\\\\""#,
            r#""\ud800""#,
            "1e99999999999999999999",
        ];
        let texts: std::collections::BTreeSet<String> = all.iter().map(|text| canonical(text)).collect();
        assert_eq!(texts.len(), all.len(), "{texts:?}");
    }
}
