"""A moment in UTC, exact to the nanosecond, and how it becomes a ``datetime`` or text.

Years of more than four digits and before the year 0 are counted in cycles of 400, after which the calendar repeats:
``date`` does not know them. There are no leap seconds, and nothing asks a clock.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS = 1_000_000_000
_DAY_SECONDS = 86_400
_CYCLE_YEARS = 400
_CYCLE_DAYS = 146_097
# The cycle that is reckoned with begins in 2000.
_CYCLE_YEAR = 2000
_CYCLE_ORDINAL = date(_CYCLE_YEAR, 1, 1).toordinal()
_CYCLE_DAY = _CYCLE_ORDINAL - date(1970, 1, 1).toordinal()
_RFC_3339 = re.compile(
    r"([0-9]{4}|[+-][0-9]{4,12})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


@dataclass(frozen=True, order=True, slots=True)
class Timestamp:
    """A moment, in UTC. Moments order as time passes."""

    seconds: int
    """Whole seconds since the beginning of 1970, negative before it."""
    nanoseconds: int = 0
    """Nanoseconds from there on: less than a second, never negative."""

    @classmethod
    def parse(cls, text: str) -> "Timestamp":
        """The moment that RFC 3339 writes so, such as ``2026-03-01T09:30:00.5Z``; ``ValueError`` if it is none.

        Any offset from UTC will do, and so will the years beyond four digits that ``str`` writes.
        """
        found = _RFC_3339.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:60]!r} is no date and time as RFC 3339 writes them, to the nanosecond at most")
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        fraction, sign, offset_hours, offset_minutes = found.groups()[6:]
        east = int(offset_hours or 0) * 60 + int(offset_minutes or 0)
        if max(hour, int(offset_hours or 0)) > 23 or max(minute, second, int(offset_minutes or 0)) > 59:
            raise ValueError(f"{text[:60]!r} is no time of a day")
        cycle, year_of_cycle = divmod(year, _CYCLE_YEARS)
        try:
            ordinal = date(_CYCLE_YEAR + year_of_cycle, month, day).toordinal()
        except ValueError:
            raise ValueError(f"{text[:60]!r} is no day of the calendar") from None
        days = ordinal - _CYCLE_ORDINAL + _CYCLE_DAY + (cycle - _CYCLE_YEAR // _CYCLE_YEARS) * _CYCLE_DAYS
        seconds = days * _DAY_SECONDS + hour * 3600 + minute * 60 + second - int(f"{sign or ''}{east * 60}")
        if not -(2**63) <= seconds < 2**63:
            raise ValueError(f"{text[:60]!r} is beyond the moments that events can have")
        return cls(seconds, int((fraction or "").ljust(9, "0")))

    @classmethod
    def from_datetime(cls, moment: datetime) -> "Timestamp":
        """The same moment, exactly; ``ValueError`` if the ``datetime`` does not say its time zone."""
        if moment.utcoffset() is None:
            raise ValueError(f"{moment!r} has no time zone: give it one, such as datetime.UTC")
        since = moment.replace(microsecond=0) - _EPOCH
        return cls(since.days * _DAY_SECONDS + since.seconds, moment.microsecond * 1000)

    @property
    def unix_nanoseconds(self) -> int:
        """Nanoseconds since the beginning of 1970, exactly; negative before it."""
        return self.seconds * _NANOSECONDS + self.nanoseconds

    @property
    def unix_milliseconds(self) -> int:
        """Milliseconds since the beginning of 1970, rounded down; negative before it."""
        return self.seconds * 1000 + self.nanoseconds // 1_000_000

    def to_datetime(self) -> datetime:
        """The moment as a ``datetime`` in UTC, which counts microseconds: the rest is cut off.

        ``OverflowError`` if it is not in the years 1 to 9999, which are all that ``datetime`` knows.
        """
        try:
            return _EPOCH + timedelta(seconds=self.seconds, microseconds=self.nanoseconds // 1000)
        except OverflowError:
            raise OverflowError(f"{self.seconds} s since 1970 is not in the years 1 to 9999 of datetime") from None

    def to_rfc3339(self) -> str:
        """The moment as text: ``2026-03-01T09:30:00Z``, with a fraction of 3, 6 or 9 digits unless it is zero.

        Years before 0 and beyond 9999 have a sign. It is always in UTC, the same in the SDKs of all languages, and the
        form in documents.
        """
        days, second = divmod(self.seconds, _DAY_SECONDS)
        cycle, day = divmod(days - _CYCLE_DAY, _CYCLE_DAYS)
        on = date.fromordinal(_CYCLE_ORDINAL + day)
        year = on.year + cycle * _CYCLE_YEARS
        shown = f"{year:04}" if 0 <= year <= 9999 else f"{year:+05}"
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        return f"{shown}-{on.month:02}-{on.day:02}T{clock}{_fraction(self.nanoseconds)}Z"

    def __str__(self) -> str:
        return self.to_rfc3339()


def _fraction(nanoseconds: int) -> str:
    if nanoseconds == 0:
        return ""
    if nanoseconds % 1_000_000 == 0:
        return f".{nanoseconds // 1_000_000:03}"
    return f".{nanoseconds:09}" if nanoseconds % 1000 else f".{nanoseconds // 1000:06}"
