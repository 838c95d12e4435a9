"""The conformance guest: does what each event says, through everything that the SDK offers.

guest-sdk/conformance has the events, what has to become of them, and the list of what each type of event does.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kennel_projection import Collection, Event, ReadModel, Reject, Retry, Timestamp, config, log, projection
from kennel_projection.decoding import fit
from kennel_projection.log import Level


@dataclass
class Put:
    collection: str
    key: str
    document: Any


@dataclass
class PutText:
    collection: str
    key: str
    text: str


@dataclass
class Copy:
    collection: str
    key: str
    to: str


@dataclass
class Collect:
    collection: str
    keys: list[str]
    into: str


@dataclass
class Scan:
    collection: str
    prefix: str
    limit: int
    into: str
    after: str | None = None


@dataclass
class Delete:
    collection: str
    key: str


@dataclass
class Increment:
    collection: str
    key: str
    field: str
    by: int


@dataclass
class Count:
    key: str
    by: int


@dataclass
class Typed:
    """Payload and document in one."""

    count: int
    name: str
    tags: list[str]


@dataclass
class Setting:
    key: str
    into: str


@dataclass
class Log:
    level: Level
    message: str


@dataclass
class Message:
    message: str


@dataclass
class Chance:
    into: str


@dataclass
class Steps:
    steps: list[Any]


@dataclass
class Step:
    type: str


@dataclass
class Tally:
    """A document of ``counts``."""

    count: int = 0
    last: str = ""


COUNTS = Collection("counts", Tally)
TYPED = Collection("typed", Typed)


@projection("conformance", "1.0.0")
class Conformance:
    def handle(self, event: Event, model: ReadModel) -> None:
        if event.event_type == "Arrived":
            model.put("arrivals", event.event_id, arrival(event))
        elif event.event_type == "Steps":
            for step in event.json(Steps).steps:
                kind, act = STEPS[fit(step, Step).type]
                act(event, model, fit(step, kind))
        elif event.event_type in STEPS or event.event_type in ALONE:
            kind, act = STEPS.get(event.event_type) or ALONE[event.event_type]
            act(event, model, event.json(kind))
        elif event.event_type in WITHOUT_END:
            model.put("attempts", event.event_id, True)
            WITHOUT_END[event.event_type]()
        else:
            model.increment("others", event.event_type, "count")


def arrival(event: Event) -> dict[str, Any]:
    created_at = event.created_at
    payload = event.payload
    return {
        "position": event.position,
        "bounded_context": event.bounded_context,
        "aggregate_type": event.aggregate_type,
        "aggregate_id": event.aggregate_id,
        "aggregate_version": event.aggregate_version,
        "event_id": event.event_id,
        "event_type": event.event_type,
        "event_version": event.event_version,
        "payload": {"binary": list(payload)} if isinstance(payload, bytes) else {"json": payload},
        "metadata": event.metadata,
        "trace_id": event.trace_id,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        "created_at": {
            "seconds": created_at.seconds,
            "nanoseconds": created_at.nanoseconds,
            "rfc3339": created_at.to_rfc3339(),
        },
    }


def put(event: Event, model: ReadModel, step: Put) -> None:
    model.put(step.collection, step.key, step.document)


def put_text(event: Event, model: ReadModel, step: PutText) -> None:
    model.put_text(step.collection, step.key, step.text)


def copy(event: Event, model: ReadModel, step: Copy) -> None:
    # A document may be null, and is not the same as none.
    if model.get_text(step.collection, step.key) is None:
        raise Reject("there is no document")
    model.put(step.collection, step.to, model.get(step.collection, step.key))


def collect(event: Event, model: ReadModel, step: Collect) -> None:
    model.put("collected", step.into, model.get_many(step.collection, step.keys))


def scan(event: Event, model: ReadModel, step: Scan) -> None:
    rows = model.scan(step.collection, after=step.after, prefix=step.prefix, limit=step.limit)
    model.put("scans", step.into, {"keys": [key for key, _ in rows], "documents": [document for _, document in rows]})


def delete(event: Event, model: ReadModel, step: Delete) -> None:
    model.delete(step.collection, step.key)


def increment(event: Event, model: ReadModel, step: Increment) -> None:
    model.increment(step.collection, step.key, step.field, step.by)


def count(event: Event, model: ReadModel, step: Count) -> None:
    with model.upsert(COUNTS, step.key) as tally:
        tally.count += step.by
        tally.last = event.event_id
        if not -(2**63) <= tally.count < 2**63:
            raise Reject(f"the count of {step.key} is beyond 64 bits")


def typed(event: Event, model: ReadModel, step: Typed) -> None:
    model.put(TYPED, event.aggregate_id, step)


def setting(event: Event, model: ReadModel, step: Setting) -> None:
    model.put("settings", step.into, {"value": config.get(step.key)})


def write_log(event: Event, model: ReadModel, step: Log) -> None:
    log.write(step.level, step.message)


def print_line(event: Event, model: ReadModel, step: Message) -> None:
    print(step.message)


def fail(failure: type[Exception]) -> Callable[[Event, ReadModel, Message], None]:
    def act(event: Event, model: ReadModel, step: Message) -> None:
        model.put("attempts", event.event_id, True)
        raise failure(step.message)

    return act


def chance(event: Event, model: ReadModel, step: Chance) -> None:
    now = Timestamp.from_datetime(datetime.now(UTC))
    model.put("chance", step.into, {"now": now.to_rfc3339(), "random": str(random.random())})


def loop() -> None:
    while True:
        pass


def allocate() -> None:
    blocks = []
    while True:
        blocks.append(bytes(1024 * 1024))


def recurse() -> int:
    return recurse() + 1


Act = Callable[[Event, ReadModel, Any], None]
STEPS: dict[str, tuple[type, Act]] = {
    "Put": (Put, put),
    "PutText": (PutText, put_text),
    "Copy": (Copy, copy),
    "Collect": (Collect, collect),
    "Scan": (Scan, scan),
    "Delete": (Delete, delete),
    "Increment": (Increment, increment),
    "Count": (Count, count),
    "Typed": (Typed, typed),
    "Log": (Log, write_log),
    "Reject": (Message, fail(Reject)),
    "Retry": (Message, fail(Retry)),
    "Throw": (Message, fail(RuntimeError)),
}
ALONE: dict[str, tuple[type, Act]] = {
    "Setting": (Setting, setting),
    "Print": (Message, print_line),
    "Chance": (Chance, chance),
}
WITHOUT_END: dict[str, Callable[[], Any]] = {"Loop": loop, "Allocate": allocate, "Recurse": recurse}
