//! A moment, and its text. The arithmetic of the calendar is Howard Hinnant's
//! (`howardhinnant.github.io/date_algorithms.html`): years begin in March, so that the leap day comes last.
//!
//! Nothing here knows of zones or of leap seconds, and nothing asks a clock.

use std::fmt;
use std::str::FromStr;

use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOSECONDS_IN_SECOND: u32 = 1_000_000_000;
const SECONDS_IN_DAY: i64 = 86_400;
const DAYS_IN_ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to the beginning of 1970.
const DAYS_BEFORE_1970: i64 = 719_468;
/// Those of the last year that 64 bits of seconds reach.
const YEAR_DIGITS_MAX: usize = 12;

/// A moment, in UTC. Moments order as time passes.
///
/// Its text is RFC 3339, and so is its JSON, so that it may be a field of a document or of a payload:
///
/// ```
/// use kennel_guest::Timestamp;
///
/// let written: Timestamp = "2026-03-01T10:30:00.25+01:00".parse()?;
/// assert_eq!(written.to_rfc3339(), "2026-03-01T09:30:00.250Z");
/// assert_eq!((written.seconds, written.nanoseconds), (1_772_357_400, 250_000_000));
/// assert_eq!(written.unix_milliseconds(), 1_772_357_400_250);
/// # Ok::<(), kennel_guest::ParseTimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds since the beginning of 1970, negative before it.
    pub seconds: i64,
    /// Nanoseconds from there on, less than a second.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// So many seconds after the beginning of 1970, or before it.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanoseconds: 0 }
    }

    /// Nanoseconds since the beginning of 1970, negative before it.
    #[must_use]
    pub fn unix_nanoseconds(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds)
    }

    /// Milliseconds since the beginning of 1970, rounded down, as JavaScript's `Date` counts them; at the ends of the
    /// range the nearest that there is.
    #[must_use]
    pub fn unix_milliseconds(self) -> i64 {
        self.seconds.saturating_mul(1000).saturating_add(i64::from(self.nanoseconds / 1_000_000))
    }

    /// The moment as text: `2026-03-01T09:30:00Z`, with a fraction of 3, 6 or 9 digits unless it is zero. Years before 0
    /// and beyond 9999 have a sign. It is always in UTC, and the same in the SDKs of all languages.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds.saturating_add(i64::from(self.nanoseconds / NANOSECONDS_IN_SECOND));
        let nanoseconds = self.nanoseconds % NANOSECONDS_IN_SECOND;
        let (days, second) = (seconds.div_euclid(SECONDS_IN_DAY), seconds.rem_euclid(SECONDS_IN_DAY));
        let (year, month, day) = civil_from_days(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            10_000.. => write!(f, "+{year}")?,
            _ => write!(f, "-{:04}", year.unsigned_abs())?,
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match nanoseconds {
            0 => f.write_str("Z"),
            _ if nanoseconds.is_multiple_of(1_000_000) => write!(f, ".{:03}Z", nanoseconds / 1_000_000),
            _ if nanoseconds.is_multiple_of(1000) => write!(f, ".{:06}Z", nanoseconds / 1000),
            _ => write!(f, ".{nanoseconds:09}Z"),
        }
    }
}

/// The text that was to be a moment is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimestampError {
    text: String,
}

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a time like 2026-03-01T09:30:00Z (RFC 3339)", self.text)
    }
}

impl std::error::Error for ParseTimestampError {}

/// RFC 3339, in any offset, and what `Display` writes. Digits beyond nanoseconds are cut.
impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseTimestampError { text: text.chars().take(60).collect() })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time like 2026-03-01T09:30:00Z (RFC 3339)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (year, rest) = year(text)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (hour, rest) = number(rest.strip_prefix(['T', 't', ' '])?, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (nanoseconds, rest) = fraction(rest)?;
    let days = days_from_civil(year, month, day)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let of_day = hour * 3600 + minute * 60 + second - offset(rest)?;
    // The first day begins before the range.
    let seconds = i128::from(days) * i128::from(SECONDS_IN_DAY) + i128::from(of_day);
    Some(Timestamp { seconds: seconds.try_into().ok()?, nanoseconds })
}

/// Four digits, or a sign and more.
fn year(text: &str) -> Option<(i64, &str)> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let is_signed = digits.len() < text.len();
    let fits = if is_signed { (4..=YEAR_DIGITS_MAX).contains(&length) } else { length == 4 };
    let (year, rest) = number(digits, if fits { length } else { return None })?;
    Some((if text.starts_with('-') { -year } else { year }, rest))
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((if is_number { number.parse().ok()? } else { return None }, rest))
}

/// The nanoseconds of a fraction, which may be missing.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(length);
    let nanoseconds = format!("{:0<9}", &digits[..length.min(9)]);
    (length > 0).then_some((nanoseconds.parse().ok()?, rest))
}

/// Seconds east of UTC: `Z` or `+02:00`.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (hours, rest) = number(text.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':')?, 2)?;
    let seconds = hours * 3600 + minutes * 60;
    let fits = rest.is_empty() && hours < 24 && minutes < 60;
    fits.then_some(if text.starts_with('-') { -seconds } else { seconds })
}

/// Days from the beginning of 1970 to a date, if there is such a date.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=last).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_IN_ERA + day_of_era - DAYS_BEFORE_1970)
}

/// The date so many days after the beginning of 1970: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days.div_euclid(DAYS_IN_ERA), days.rem_euclid(DAYS_IN_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_with_as_few_groups_of_digits_as_it_takes() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (0, 500_000_000, "1970-01-01T00:00:00.500Z"),
            (-1, 1_000, "1969-12-31T23:59:59.000001Z"),
            (1_772_357_400, 120_000_001, "2026-03-01T09:30:00.120000001Z"),
            (951_782_399, 0, "2000-02-28T23:59:59Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (-62_167_219_201, 0, "-0001-12-31T23:59:59Z"),
            (253_402_300_800, 0, "+10000-01-01T00:00:00Z"),
            (i64::MIN, 0, "-292277022657-01-27T08:29:52Z"),
            (i64::MAX, 999_999_999, "+292277026596-12-04T15:30:07.999999999Z"),
            // Nothing that arrives has so many.
            (1, 1_500_000_000, "1970-01-01T00:00:02.500Z"),
        ] {
            assert_eq!(Timestamp { seconds, nanoseconds }.to_rfc3339(), expected);
        }
    }

    #[test]
    fn text_of_rfc_3339_is_read_and_other_text_is_not() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.5Z", Some((1, 500_000_000))),
            ("1970-01-01t02:00:01.0000000019+02:00", Some((1, 1))),
            ("1970-01-01 00:00:01-00:30", Some((1801, 0))),
            ("-0001-12-31T23:59:59Z", Some((-62_167_219_201, 0))),
            ("-292277022657-01-27T08:29:52Z", Some((i64::MIN, 0))),
            ("-292277022657-01-27T08:29:51Z", None),
            ("+999999999999-01-01T00:00:00Z", None),
            ("+9999999999999-01-01T00:00:00Z", None),
            ("2026-02-29T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-00-01T00:00:00Z", None),
            ("2026-01-01T24:00:00Z", None),
            ("2026-01-01T00:00:60Z", None),
            ("2026-01-01T00:00:00.Z", None),
            ("2026-01-01T00:00:00", None),
            ("2026-01-01T00:00:00+2", None),
            ("2026-01-01T00:00:00Z ", None),
            ("20260-01-01T00:00:00Z", None),
            ("2026-01-0äT00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            let found = text.parse::<Timestamp>().ok().map(|found| (found.seconds, found.nanoseconds));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn in_json_it_is_text() {
        let moment = Timestamp { seconds: 1, nanoseconds: 20_000_000 };
        assert_eq!(serde_json::to_string(&moment).ok().as_deref(), Some(r#""1970-01-01T00:00:01.020Z""#));
        assert_eq!(serde_json::from_str::<Timestamp>(r#""1970-01-01T00:00:01.02Z""#).ok(), Some(moment));
        let error = serde_json::from_str::<Timestamp>(r#""soon""#).unwrap_err().to_string();
        assert!(error.contains(r#"string "soon", expected a time like 2026-03-01T09:30:00Z"#), "{error}");
        let error = serde_json::from_str::<Timestamp>("17").unwrap_err().to_string();
        assert!(error.contains("integer `17`, expected a time like"), "{error}");
        let error = "soon".parse::<Timestamp>().unwrap_err().to_string();
        assert_eq!(error, r#""soon" is not a time like 2026-03-01T09:30:00Z (RFC 3339)"#);
    }
}
