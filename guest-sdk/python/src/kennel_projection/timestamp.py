"""A moment in UTC, exact to the nanosecond, and how it becomes a ``datetime`` or text."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECONDS = 1_000_000_000
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
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
        """The moment that RFC 3339 writes so, such as ``2026-03-01T09:30:00.5Z``; ``ValueError`` if it is none."""
        found = _RFC_3339.fullmatch(text)
        if found is None:
            raise ValueError(f"{text[:60]!r} is no date and time as RFC 3339 writes them, to the nanosecond at most")
        whole, fraction, offset = found.groups()
        moment = datetime.fromisoformat(whole.replace("t", "T") + offset.replace("z", "Z"))
        return cls._of(moment, int((fraction or "").ljust(9, "0")))

    @classmethod
    def from_datetime(cls, moment: datetime) -> "Timestamp":
        """The same moment, exactly; ``ValueError`` if the ``datetime`` does not say its time zone."""
        if moment.utcoffset() is None:
            raise ValueError(f"{moment!r} has no time zone: give it one, such as datetime.UTC")
        return cls._of(moment.replace(microsecond=0), moment.microsecond * 1000)

    @classmethod
    def _of(cls, whole: datetime, nanoseconds: int) -> "Timestamp":
        since = whole - _EPOCH
        return cls(since.days * 86_400 + since.seconds, nanoseconds)

    @property
    def unix_nanoseconds(self) -> int:
        """Nanoseconds since the beginning of 1970, exactly; negative before it."""
        return self.seconds * _NANOSECONDS + self.nanoseconds

    def to_datetime(self) -> datetime:
        """The moment as a ``datetime`` in UTC, which counts microseconds: the rest is cut off.

        ``OverflowError`` if it is not in the years 1 to 9999, which are all that ``datetime`` knows.
        """
        try:
            return _EPOCH + timedelta(seconds=self.seconds, microseconds=self.nanoseconds // 1000)
        except OverflowError:
            raise OverflowError(f"{self.seconds} s since 1970 is not in the years 1 to 9999 of datetime") from None

    def __str__(self) -> str:
        """As RFC 3339 writes it, with as many digits as are needed: ``2026-03-01T09:30:00.123456789Z``."""
        whole = Timestamp(self.seconds).to_datetime().replace(tzinfo=None).isoformat()
        fraction = f".{self.nanoseconds:09}".rstrip("0") if self.nanoseconds else ""
        return f"{whole}{fraction}Z"
