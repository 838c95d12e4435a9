"""Events for tests: what a test does not say, the scenario fills in."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from .. import encoding
from ..descriptor import Descriptor
from ..event import Event
from ..projection import event_name
from ..timestamp import Timestamp

# When the first event of a scenario was written: the start of 2026, in seconds since 1970.
_FIRST_CREATED_AT = 1_767_225_600

_NOTHING: Any = object()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventBuilder:
    """An event in the making: :func:`event` makes it, a scenario completes it."""

    event_type: str
    payload: str | bytes
    of: str
    bounded_context: str | None
    aggregate_type: str | None
    aggregate_version: int | None
    position: int | None
    event_id: str | None
    event_version: int
    metadata: str | None
    trace_id: str | None
    correlation_id: str | None
    causation_id: str | None
    created_at: Timestamp | None


def event(
    event_type: Any,
    payload: Any = _NOTHING,
    *,
    of: str = "1",
    bounded_context: str | None = None,
    aggregate_type: str | None = None,
    aggregate_version: int | None = None,
    position: int | None = None,
    event_id: str | None = None,
    event_version: int = 1,
    metadata: Any = _NOTHING,
    trace_id: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    created_at: Timestamp | None = None,
) -> EventBuilder:
    """An event of a type with a payload, or of a dataclass that is both: ``event(PointsEarned(7), of="ada")``.

    Unless set otherwise it is the next of the log and of its aggregate, belongs to the first bounded context and
    aggregate type that the projection asks for, is of aggregate ``1``, was written one second after the event before
    it, and carries ``{}``. Bytes are a payload that is not JSON.
    """
    if dataclasses.is_dataclass(event_type) and not isinstance(event_type, type):
        if payload is not _NOTHING:
            raise TypeError("an event that is a dataclass is its own payload")
        event_type, payload = event_name(type(event_type)), event_type
    if not isinstance(event_type, str):
        raise TypeError(f"{event_type!r} is neither the name of an event nor a dataclass")
    if not isinstance(payload, bytes):
        payload = "{}" if payload is _NOTHING else encoding.encode(payload)
    return EventBuilder(
        event_type=event_type,
        payload=payload,
        of=of,
        bounded_context=bounded_context,
        aggregate_type=aggregate_type,
        aggregate_version=aggregate_version,
        position=position,
        event_id=event_id,
        event_version=event_version,
        metadata=None if metadata is _NOTHING else encoding.encode(metadata),
        trace_id=trace_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        created_at=created_at,
    )


class Log:
    """Counts positions and versions as a log does."""

    def __init__(self) -> None:
        self._last_position = 0
        self._last_versions: dict[tuple[str, str, str], int] = {}

    def append(self, made: EventBuilder, descriptor: Descriptor) -> Event:
        """Completes the event, as the next of this log."""
        bounded_context = _or(made.bounded_context, _first(descriptor.bounded_contexts))
        aggregate_type = _or(made.aggregate_type, _first(descriptor.aggregate_types))
        position = _or(made.position, self._last_position + 1)
        self._last_position = position
        aggregate = (bounded_context, aggregate_type, made.of)
        aggregate_version = _or(made.aggregate_version, self._last_versions.get(aggregate, 0) + 1)
        self._last_versions[aggregate] = aggregate_version
        return Event(
            position=position,
            bounded_context=bounded_context,
            aggregate_type=aggregate_type,
            aggregate_id=made.of,
            aggregate_version=aggregate_version,
            event_id=_or(made.event_id, f"00000000-0000-4000-8000-{position:012x}"),
            event_type=made.event_type,
            event_version=made.event_version,
            payload=made.payload,
            metadata=made.metadata,
            trace_id=made.trace_id,
            correlation_id=made.correlation_id,
            causation_id=made.causation_id,
            created_at=_or(made.created_at, Timestamp(_FIRST_CREATED_AT + position - 1)),
        )


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value


def _first(names: Sequence[str]) -> str:
    return names[0] if names else "Test"
