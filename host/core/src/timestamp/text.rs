//! Timestamps as text. The arithmetic of the calendar is Howard Hinnant's
//! (`howardhinnant.github.io/date_algorithms.html`): years begin in March, so that the leap day comes last.

use std::fmt;

use super::{SECONDS_IN_DAY, Timestamp};

/// Longest year that is read: far beyond what databases hold, and short enough for the arithmetic.
const YEAR_DIGITS_MAX: usize = 6;
const DAYS_IN_ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to the epoch.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

pub(super) fn parse(text: &str) -> Option<Timestamp> {
    // What Go appends when a time carries a reading of the monotonic clock.
    let text = text.find(" m=").map_or(text, |at| &text[..at]);
    let (year, rest) = year(text)?;
    let (month, rest) = number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = number(rest.strip_prefix('-')?, 2)?;
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    // SQLite leaves the seconds out at times.
    let (second, rest) = match rest.strip_prefix(':') {
        Some(rest) => number(rest, 2)?,
        None => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanoseconds, rest) = fraction(rest)?;
    let offset = offset(rest)?;
    let days = days_from_civil(year, month, day);
    let seconds = days * SECONDS_IN_DAY + hour * 3600 + minute * 60 + second - offset;
    Timestamp::new(seconds, nanoseconds)
}

/// Four digits, or a sign and up to six.
fn year(text: &str) -> Option<(i64, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (0, text),
    };
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let fits = if sign == 0 { length == 4 } else { (4..=YEAR_DIGITS_MAX).contains(&length) };
    let (year, rest) = number(digits, if fits { length } else { return None })?;
    Some((if sign < 0 { -year } else { year }, rest))
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<(i64, &str)> {
    let (number, rest) = text.split_at_checked(digits)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

/// The nanoseconds of up to nine digits; more, which no program writes, are cut.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 {
        return None;
    }
    let (digits, rest) = rest.split_at(length);
    let padded = format!("{:0<9}", &digits[..length.min(9)]);
    Some((padded.parse().ok()?, rest))
}

/// Seconds east of UTC: nothing, `Z`, `UTC`, `+02:00`, `+0200`, ` +0200 CEST`, `-07`. The name of a zone alone says
/// nothing, because several zones share names; behind an offset it adds nothing.
fn offset(text: &str) -> Option<i64> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    let (offset, name) = text.split_once(' ').unwrap_or((text, ""));
    let is_name = |name: &str| {
        name.len() <= 10 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'-')
    };
    if !is_name(name) {
        return None;
    }
    let sign = match offset.as_bytes().first() {
        None => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return matches!(offset, "Z" | "z" | "UTC" | "GMT").then_some(0),
    };
    let (hours, rest) = number(&offset[1..], 2)?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, rest) } else { number(rest, 2)? };
    // Go prints the seconds that some zones had before they were standardized.
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let (seconds, rest) = if rest.is_empty() { (0, rest) } else { number(rest, 2)? };
    let fits = rest.is_empty() && hours < 24 && minutes < 60 && seconds < 60;
    fits.then_some(sign * (hours * 3600 + minutes * 60 + seconds))
}

pub(super) fn write(timestamp: Timestamp, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (days, second) =
        (timestamp.seconds().div_euclid(SECONDS_IN_DAY), timestamp.seconds().rem_euclid(SECONDS_IN_DAY));
    let (year, month, day) = civil_from_days(days);
    match year {
        0..=9999 => write!(f, "{year:04}")?,
        10_000.. => write!(f, "+{year}")?,
        _ => write!(f, "-{:04}", year.unsigned_abs())?,
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    if timestamp.nanoseconds() > 0 {
        let digits = format!("{:09}", timestamp.nanoseconds());
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str("Z")
}

const fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from the epoch to a date.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_IN_ERA + day_of_era - DAYS_BEFORE_EPOCH
}

/// The date so many days after the epoch: year, month, day.
const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // The end of the 64-bit range gives an answer that is off, not a panic.
    let days = days.saturating_add(DAYS_BEFORE_EPOCH);
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

    fn seconds(text: &str) -> Option<(i64, u32)> {
        parse(text).map(|time| (time.seconds(), time.nanoseconds()))
    }

    #[test]
    fn times_that_programs_write_are_read() {
        const ZERO_OF_GO: i64 = -62_135_596_800;
        for (text, expected) in [
            ("1970-01-01T00:00:01.5Z", (1, 500_000_000)),
            ("1970-01-01t02:00:01.000000001+02:00", (1, 1)),
            ("1970-01-01 00:00:01", (1, 0)),
            ("1970-01-01 00:00", (0, 0)),
            ("1970-01-01 00:00:01.25", (1, 250_000_000)),
            ("1970-01-01T00:00:01", (1, 0)),
            ("1970-01-01 00:00:01+00:00", (1, 0)),
            ("1970-01-01 02:00:01+02", (1, 0)),
            ("1969-12-31T23:59:59Z", (-1, 0)),
            ("1969-12-31T23:59:59.75Z", (-1, 750_000_000)),
            ("0001-01-01 00:00:00 +0000 UTC", (ZERO_OF_GO, 0)),
            ("0001-01-01T00:00:00Z", (ZERO_OF_GO, 0)),
            ("9999-12-31T23:59:59.999999999Z", (253_402_300_799, 999_999_999)),
            ("2024-03-05 14:07:09.123456789 +0100 CET m=+0.012345678", (1_709_644_029, 123_456_789)),
            ("2024-07-05 14:07:09.1 +0200 CEST", (1_720_181_229, 100_000_000)),
            ("2024-07-05 14:07:09 -0330 -0330", (1_720_201_029, 0)),
            ("2024-07-05 12:07:09 UTC", (1_720_181_229, 0)),
            ("1800-01-01 00:53:28 +0053:28 LMT", (-5_364_662_400, 0)),
            ("+294276-12-31T23:59:59.999999Z", (9_224_318_015_999, 999_999_000)),
            ("-4713-11-24T00:00:00Z", (-210_866_803_200, 0)),
            ("2000-02-29T00:00:00Z", (951_782_400, 0)),
            ("2024-01-01T00:00:00.1234567891Z", (1_704_067_200, 123_456_789)),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_time_is_none() {
        for text in [
            "",
            "infinity",
            "-infinity",
            "yesterday",
            "2024",
            "2024-01-01",
            "2024-13-01T00:00:00Z",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00 CEST",
            "2024-01-01T00:00:00+2",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00Z junk!",
            "20240-01-01T00:00:00Z",
            "+1234567-01-01T00:00:00Z",
            "2024-01-01T00:00:00+02:00:00:00",
            "ä024-01-01T00:00:00Z",
            "1704067200",
            "2024-0ä-01T00:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_is_written_as_it_is_read() {
        let before = |text: &str| parse(text).unwrap();
        for text in [
            "-4713-11-24T00:00:00Z",
            "0000-02-29T00:00:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00Z",
            "+10000-01-01T00:00:00.00000001Z",
            "+294276-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(before(text).to_string(), text);
        }
        // Every day of some centuries around the epoch follows the one before it, by a calendar counted naively.
        let (mut year, mut month, mut day) = (1599, 1, 1);
        let first = days_from_civil(year, month, day);
        for days in first..first + 366 * 900 {
            assert_eq!(civil_from_days(days), (year, month, day));
            assert_eq!(days_from_civil(year, month, day), days);
            day += 1;
            if day > days_in_month(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
