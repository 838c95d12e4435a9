"""One event as it arrives, and its payload as the projection's own type."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import decoding, encoding
from .failure import Reject
from .timestamp import Timestamp

if TYPE_CHECKING:
    # ``Event`` alone is one with plain JSON. Python itself has defaults since 3.13.
    from typing_extensions import TypeVar as TypeVarWithDefault

    T = TypeVarWithDefault("T", default=Any)
else:
    T = TypeVar("T")
U = TypeVar("U")


@dataclass(slots=True, kw_only=True)
class Event(Generic[T]):
    """One immutable row of the event log. ``Event[OrderPlaced]`` is one whose ``data`` is an ``OrderPlaced``."""

    position: int
    """Position in the log: unique and increasing, but not free of gaps. The first is 1."""
    bounded_context: str
    """The part of the business that the aggregate belongs to, such as ``Sales``."""
    aggregate_type: str
    """The kind of aggregate, such as ``Order``."""
    aggregate_id: str
    """Which aggregate. Events of one aggregate arrive in order, one at a time."""
    aggregate_version: int
    """The aggregate's version after this event. The first is 1."""
    event_id: str
    """The event's own identity, a UUID in lower-case text with hyphens."""
    event_type: str
    """What happened, such as ``OrderPlaced``."""
    event_version: int
    """The version of the payload's schema."""
    payload: str | bytes
    """What happened, in detail, as it is stored: JSON text, or bytes that are none."""
    metadata: str | None
    """JSON text that the writer attached, if any."""
    trace_id: str | None
    """The distributed trace in which the event was written, if any."""
    correlation_id: str | None
    """The business process that the event belongs to, if any."""
    causation_id: str | None
    """The message that caused the event, if any."""
    created_at: Timestamp
    """When the event was written, as its writer says."""
    _type: Any = field(default=Any, repr=False, compare=False)
    _data: Any = field(default=None, repr=False, compare=False)
    _is_read: bool = field(default=False, repr=False, compare=False)

    @property
    def data(self) -> T:
        """The payload, as the type that :func:`on` named: plain JSON if it named the event by its name.

        Raises :class:`Reject` when it is not JSON or does not fit the type. It is read once.
        """
        if not self._is_read:
            self._data = self.json(self._type)
            self._is_read = True
        data: T = self._data
        return data

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, data_type: type[U]) -> U: ...
    def json(self, data_type: Any = Any) -> Any:
        """The payload as a type of your own, or as plain JSON. Raises :class:`Reject` when it does not fit."""
        if isinstance(self.payload, bytes):
            raise self._misfit(f"it is {len(self.payload)} bytes that are not JSON")
        try:
            return decoding.fit(encoding.parse(self.payload), data_type)
        except (decoding.Misfit, encoding.NotJson) as error:
            raise self._misfit(str(error)) from None

    @property
    def body(self) -> bytes:
        """The payload's bytes, whatever they are."""
        return self.payload if isinstance(self.payload, bytes) else self.payload.encode()

    def _misfit(self, why: str) -> Reject:
        return Reject(f"the payload of {self.event_type} (version {self.event_version}) cannot be read: {why}")
