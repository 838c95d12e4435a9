//! A moment as events bear it: seconds and nanoseconds since the Unix epoch, UTC, in the proleptic Gregorian
//! calendar.
//!
//! Databases take every year from 4713 BC to 294276, and Go's zero time is the first of January of the year 1, so a
//! count of nanoseconds in 64 bits, which ends in 2262, does not do. Nothing here knows of zones or of leap
//! seconds.

mod text;

use std::fmt;

const NANOSECONDS_IN_SECOND: u32 = 1_000_000_000;
const MICROSECONDS_IN_SECOND: i64 = 1_000_000;
const SECONDS_IN_DAY: i64 = 86_400;

/// A moment. It orders as time passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// The first moment that both databases can hold: the beginning of 24 November 4714 BC.
    pub const MIN: Self = Self { seconds: -210_866_803_200, nanoseconds: 0 };
    /// The last one: the end of the year 294276.
    pub const MAX: Self = Self { seconds: 9_224_318_015_999, nanoseconds: 999_999_999 };

    /// So many seconds after the epoch, or before it, and so many nanoseconds later; `None` if the latter are a second
    /// or more.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Option<Self> {
        if nanoseconds < NANOSECONDS_IN_SECOND { Some(Self { seconds, nanoseconds }) } else { None }
    }

    /// So many microseconds after the epoch, or before it.
    #[must_use]
    pub fn from_microseconds(microseconds: i64) -> Self {
        let below = microseconds.rem_euclid(MICROSECONDS_IN_SECOND);
        Self {
            seconds: microseconds.div_euclid(MICROSECONDS_IN_SECOND),
            nanoseconds: u32::try_from(below).unwrap_or_default() * 1000,
        }
    }

    /// So many nanoseconds after the epoch.
    #[must_use]
    pub fn from_nanoseconds(nanoseconds: u64) -> Self {
        let in_second = u64::from(NANOSECONDS_IN_SECOND);
        Self {
            seconds: i64::try_from(nanoseconds / in_second).unwrap_or(i64::MAX),
            nanoseconds: u32::try_from(nanoseconds % in_second).unwrap_or_default(),
        }
    }

    /// Whole seconds since the epoch, negative before it.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds since the last whole second.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }

    /// Microseconds since the epoch, rounded down; `None` if 64 bits do not hold them.
    #[must_use]
    pub fn microseconds(self) -> Option<i64> {
        let whole = self.seconds.checked_mul(MICROSECONDS_IN_SECOND)?;
        whole.checked_add(i64::from(self.nanoseconds / 1000))
    }

    /// A moment from text: RFC 3339, which may have a blank for its `T` and no offset (then UTC is meant), years of
    /// more than four digits behind a sign, and what Go's `time.Time` prints: an offset behind a blank, the name of a
    /// zone behind that, and the reading of a monotonic clock last.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text::parse(text)
    }
}

/// RFC 3339 in UTC, with as many digits behind the second as are needed. Years before 0 and beyond 9999 have a sign and
/// at least four digits.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(*self, f)
    }
}
