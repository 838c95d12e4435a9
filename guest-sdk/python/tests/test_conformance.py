"""Plays the events of guest-sdk/conformance through the conformance guest and the test kit, without wasm.

What the host makes of the component is for the suite of the repository. Here both the guest and the kit are held to the
same files: a projection's own tests show what the host would do.
"""

import base64
import importlib
import io
import json
import sys
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from kennel_projection import Event, Timestamp, _native
from kennel_projection.failure import Retry, reason
from kennel_projection.projection import Definition, definition
from kennel_projection.testing import EventFault, MemoryReadModel

FOLDER = Path(__file__).parent.parent
FILES = FOLDER.parent / "conformance"
# An endless loop and memory without end would end this process.
LEFT_OUT = {"containment"}


class Number(str):
    """A number of JSON, as it is spelled."""

    def value(self) -> tuple[int, str, int]:
        """Sign, significant digits and exponent, whatever their size: what the number is, and not how it is written."""
        mantissa, _, exponent = self.lower().partition("e")
        whole, _, fraction = mantissa.lstrip("-").partition(".")
        digits = (whole + fraction).lstrip("0")
        significant = digits.rstrip("0")
        if not significant:
            return 0, "", 0
        shift = int(exponent or 0) - len(fraction) + len(digits) - len(significant)
        return -1 if mantissa.startswith("-") else 1, significant, shift


class Members(list[tuple[str, Any]]):
    """An object of JSON, in its order."""


@contextmanager
def deep() -> Iterator[None]:
    """The files have documents that are as deep as documents may be."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def read(text: str) -> Any:
    with deep():
        return json.loads(text, parse_float=Number, parse_int=Number, object_pairs_hook=Members)


def shape(value: Any, spelled: Callable[[Number], object]) -> Any:
    """The value in a form that can be compared and shown: flat, because documents may be deep."""
    found: list[Any] = []
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, Number):
            found.append(("number", spelled(each)))
        elif isinstance(each, Members):
            found.append(("object", tuple(key for key, _ in each)))
            rest.extend(item for _, item in each)
        elif isinstance(each, list):
            found.append(("list", len(each)))
            rest.extend(each)
        else:
            found.append(each)
    return found


class Player:
    """Handles events as the host does, and remembers what became of them."""

    def __init__(self, cls: type, settings: dict[str, str]) -> None:
        self.definition: Definition = definition(cls)
        self.instance = cls()
        self.model = MemoryReadModel()
        self.settings = settings
        self.failures: dict[int, tuple[str, str]] = {}
        self.logs: list[tuple[int, str, str]] = []
        self.versions: dict[tuple[str, ...], int] = {}

    def play(self, line: str, position: int) -> None:
        event = self.event(line, position)
        _native.set_settings(self.settings)
        _native.take_log()
        self.model.begin()
        kind, message = "", ""
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                self.definition.handle(self.instance, event, self.model)
        except EventFault as fault:
            kind, message = fault.kind, str(fault)
        except Retry as error:
            kind, message = "retry", reason(error)
        except Exception as error:
            kind, message = "reject", reason(error)
        self.logs += [(event.position, level.value, text) for level, text in _native.take_log()]
        # The host logs lines that are printed.
        self.logs += [(event.position, "info", text) for text in printed.getvalue().splitlines()]
        if kind:
            self.failures[event.position] = (kind, message)
            self.model.roll_back()

    def event(self, line: str, position: int) -> Event:
        with deep():
            fields = json.loads(line)
        aggregate = (fields["bounded_context"], fields["aggregate_type"], fields["aggregate_id"])
        version = fields.get("aggregate_version", self.versions.get(aggregate, 0) + 1)
        self.versions[aggregate] = version
        payload = fields.get("payload_base64")
        metadata = self.raw(line, "metadata")
        return Event(
            position=fields.get("global_position", position),
            bounded_context=fields["bounded_context"],
            aggregate_type=fields["aggregate_type"],
            aggregate_id=fields["aggregate_id"],
            aggregate_version=version,
            event_id=fields["event_id"].lower(),
            event_type=fields["event_type"],
            event_version=fields.get("event_version", 1),
            payload=self.raw(line, "payload") or "" if payload is None else base64.b64decode(payload),
            metadata=None if metadata == "null" else metadata,
            trace_id=fields.get("trace_id"),
            correlation_id=fields.get("correlation_id"),
            causation_id=fields.get("causation_id"),
            created_at=Timestamp.parse(fields.get("created_at", "1970-01-01T00:00:00Z")),
        )

    @staticmethod
    def raw(line: str, field: str) -> str | None:
        """The text of a field at the top of the line, byte for byte."""
        decoder = json.JSONDecoder()
        at = line.index("{") + 1
        while True:
            name, at = decoder.raw_decode(line, at)
            at = line.index(":", at) + 1
            at += len(line[at:]) - len(line[at:].lstrip())
            with deep():
                _, end = json.JSONDecoder(parse_int=str).raw_decode(line, at)
            if name == field:
                return line[at:end]
            at = end
            while line[at] in ", \t":
                at += 1
            if line[at] == "}":
                return None


@unittest.skipUnless(FILES.is_dir(), "this is no checkout of Kennel")
class ConformanceTest(unittest.TestCase):
    def test_every_group(self) -> None:
        sys.path.insert(0, str(FOLDER / "conformance"))
        self.addCleanup(sys.path.remove, str(FOLDER / "conformance"))
        guest = importlib.import_module("conformance").Conformance
        groups = [path.name.removesuffix(".events.jsonl") for path in sorted(FILES.glob("*.events.jsonl"))]
        self.assertIn("numbers", groups)
        for group in groups:
            if group not in LEFT_OUT:
                with self.subTest(group):
                    self.play(guest, group)

    def play(self, guest: type, group: str) -> None:
        text = (FILES / f"{group}.expected.json").read_text()
        with deep():
            expected = json.loads(text)
        player = Player(guest, expected.get("config", {}))
        lines = (FILES / f"{group}.events.jsonl").read_text().split("\n")
        for position, line in enumerate(filter(None, lines), 1):
            player.play(line, position)
        self.compare(player, expected, read(text))

    def compare(self, player: Player, expected: dict[str, Any], exact: Members) -> None:
        spelled = Number.value if expected.get("compare") == "values" else str
        may_fail = {each["position"] for each in expected.get("exact_or_rejected", [])}
        fields = dict(exact)
        wanted = {
            (collection, key): document
            for collection, documents in fields.get("documents", [])
            for key, document in documents
        }
        for each in map(dict, fields.get("exact_or_rejected", [])):
            if int(each["position"]) not in player.failures:
                wanted[each["collection"], each["key"]] = each["document"]
        if "documents" in fields:
            found = {
                (collection, key): read(text)
                for collection in player.model._collections
                for key, text in player.model.documents(collection).items()
            }
            self.assertEqual(sorted(found), sorted(wanted))
            for place, document in found.items():
                self.assertEqual(shape(document, spelled), shape(wanted[place], spelled), place)
        self.compare_failures(player, expected, may_fail)
        rest = iter(player.logs)
        for line in expected.get("logs", []):
            row = (line["position"], line["level"], line["message"])
            self.assertIn(row, rest)

    def compare_failures(self, player: Player, expected: dict[str, Any], may_fail: set[int]) -> None:
        failures = {position: failed for position, failed in player.failures.items() if position not in may_fail}
        wanted = {each["position"]: each for each in expected.get("failures", [])}
        self.assertEqual(sorted(failures), sorted(wanted), failures)
        for position, (kind, message) in failures.items():
            kinds = wanted[position]["kind"]
            self.assertIn(kind, kinds if isinstance(kinds, list) else [kinds], (position, message))
            for text in wanted[position].get("contains", []):
                self.assertIn(text, message, position)
        for position in may_fail & set(player.failures):
            self.assertEqual(player.failures[position][0], "reject", position)


if __name__ == "__main__":
    unittest.main()
