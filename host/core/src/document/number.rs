//! How long PostgreSQL's `numeric` makes a JSON number: it writes all digits out.

/// Numbers of so many bytes and no exponent are never too large.
pub(super) const PLAIN_BYTES_MAX: usize = 16_000;
/// Most digits before and behind the decimal point, from the documentation of the type `numeric`.
const DIGITS_BEFORE_MAX: i64 = 131_072;
const DIGITS_BEHIND_MAX: i64 = 16_383;
/// Exponents from here on are rejected whatever they belong to, also to zero.
const EXPONENT_MAX: i64 = (i32::MAX / 2) as i64;

/// Bytes of a number with its digits written out; `None` if `numeric` cannot hold it.
pub(super) fn written_bytes(number: &str) -> Option<usize> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.trim_start_matches('+').parse::<i64>().ok()?),
        None => (number, 0),
    };
    if exponent.abs() >= EXPONENT_MAX {
        return None;
    }
    let digits = mantissa.trim_start_matches('-');
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // `numeric` keeps zeros at the end: they say how exact a number is.
    let behind = (count(fraction) - exponent).max(0);
    let leading = digits.bytes().filter(|b| *b != b'.').take_while(|b| *b == b'0').count();
    let is_zero = leading == digits.bytes().filter(|b| *b != b'.').count();
    let before = if is_zero { 1 } else { count(whole) - i64::try_from(leading).ok()? + exponent };
    if before > DIGITS_BEFORE_MAX || behind > DIGITS_BEHIND_MAX {
        return None;
    }
    let sign = i64::from(mantissa.starts_with('-'));
    let point = i64::from(behind > 0);
    usize::try_from(sign + before.max(1) + point + behind).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_as_numeric_writes_them() {
        for (number, expected) in [
            ("0", Some(1)),
            ("-12", Some(3)),
            ("1.50", Some(4)),
            ("1e3", Some(4)),
            ("1.5e1", Some(2)),
            ("1.5e0", Some(3)),
            ("1e-3", Some(5)),
            ("0.001e2", Some(3)),
            ("0.001e5", Some(3)),
            ("0e7", Some(1)),
            ("0e-3", Some(5)),
            ("1e131071", Some(131_072)),
            ("0.1e131072", Some(131_072)),
            ("1e131072", None),
            ("1e-16383", Some(16_385)),
            ("1e-16384", None),
            ("0e2000000000", None),
        ] {
            assert_eq!(written_bytes(number), expected, "{number}");
        }
    }
}
