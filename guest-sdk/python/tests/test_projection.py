"""A small projection through the test kit: what a projection may rely on."""

import logging
import unittest
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kennel_projection import (
    Collection,
    Event,
    Partitioning,
    ReadModel,
    Reject,
    Retry,
    Timestamp,
    config,
    log,
    on,
    projection,
)
from kennel_projection.log import Level
from kennel_projection.projection import definition
from kennel_projection.testing import Scenario, event


@dataclass
class Tally:
    count: int = 0


@dataclass
class Named:
    name: str


@dataclass
class RenamedV2:
    event_type: ClassVar[str] = "Renamed"
    new_name: str = field(metadata={"json": "newName"})


DOCUMENTS = Collection("d", Tally)


@projection("commanded", "1", bounded_contexts=["Here", "There"], aggregate_types=["Thing"])
class Commanded:
    """Does what the event's type says to document ``d/1``."""

    def handle(self, event: Event, model: ReadModel) -> None:
        command = getattr(self, f"do_{event.event_type.lower()}", None)
        if command is None:
            raise Reject(f"unknown command {event.event_type}")
        command(event, model)

    def do_put(self, event: Event, model: ReadModel) -> None:
        model.put("d", "1", event.json())

    def do_update(self, event: Event, model: ReadModel) -> None:
        with model.update(DOCUMENTS, "1") as tally:
            tally.count += 1

    def do_upsert(self, event: Event, model: ReadModel) -> None:
        with model.upsert(DOCUMENTS, "1") as tally:
            tally.count += 1

    def do_upsertplain(self, event: Event, model: ReadModel) -> None:
        with model.upsert("d", "1") as document:
            document["seen"] = event.position

    def do_delete(self, event: Event, model: ReadModel) -> None:
        model.delete("d", "1")

    def do_name(self, event: Event, model: ReadModel) -> None:
        model.put("d", "1", event.json(Named).name)

    def do_bytes(self, event: Event, model: ReadModel) -> None:
        model.put("d", "1", len(event.body))

    def do_describe(self, event: Event, model: ReadModel) -> None:
        parts = [event.position, event.bounded_context, event.aggregate_type, event.aggregate_id]
        parts += [event.aggregate_version, event.event_id, event.metadata, event.created_at.seconds]
        model.put("d", "1", parts)

    def do_copy(self, event: Event, model: ReadModel) -> None:
        keys = [key for key, _ in model.scan(DOCUMENTS)]
        model.put("copies", "counts", [tally and tally.count for tally in model.get_many(DOCUMENTS, [*keys, "none"])])

    def do_halfdone(self, event: Event, model: ReadModel) -> None:
        model.put("d", "1", "changed")
        model.increment("d", "2", "count")
        raise Retry("later")

    def do_halfupdated(self, event: Event, model: ReadModel) -> None:
        with model.update("d", "1"):
            raise KeyError("missing")

    def do_foreignerror(self, event: Event, model: ReadModel) -> None:
        int("x")

    def do_exit(self, event: Event, model: ReadModel) -> None:
        raise SystemExit(3)

    def do_badkeys(self, event: Event, model: ReadModel) -> None:
        model.put("d", "1", {(1, 2): 3})

    def do_breakbound(self, event: Event, model: ReadModel) -> None:
        try:
            model.put_text("d", "1", "no json")
        except Exception:
            log.error("never reached: the call does not return")

    def do_swallowed(self, event: Event, model: ReadModel) -> None:
        try:
            model.delete("d", "")
        except BaseException:
            model.put("d", "1", "changed")

    def do_configured(self, event: Event, model: ReadModel) -> None:
        log.warn(f"limit {config.get('limit')!r}")
        model.put("d", "1", config.parsed("limit", int))

    def do_logging(self, event: Event, model: ReadModel) -> None:
        logger = logging.Logger("test")
        logger.addHandler(log.Handler())
        logger.warning("number %d", 7)
        log.info("\ud800")
        log.info("long " * 1_000_000)


def scenario() -> Scenario:
    return Scenario(Commanded)


class ProjectionTest(unittest.TestCase):
    def test_documents_are_written_changed_and_removed(self) -> None:
        (
            scenario()
            .when(event("Put", {"count": 1}))
            .then_document("d", "1", {"count": 1})
            .when(event("Update"))
            .then_document(DOCUMENTS, "1", Tally(2))
            .when(event("Copy"))
            .then_document("copies", "counts", [2, None])
            .when(event("Delete"))
            .then_no_document("d", "1")
            .when(event("Upsert"))
            .then_collection("d", {"1": {"count": 1}})
            .given(event("Delete"))
            .when(event("UpsertPlain", position=2**63))
            .then_document("d", "1", {"seen": 2**63})
        )

    def test_payloads_are_read_as_types_and_as_bytes(self) -> None:
        (
            scenario()
            .when(event("Name", {"name": "Ada"}))
            .then_document("d", "1", "Ada")
            .when(event("Bytes", b"\xff\xfe\xfd"))
            .then_document("d", "1", 3)
        )

    def test_a_payload_that_does_not_fit_is_rejected_with_a_reason(self) -> None:
        (
            scenario()
            .when(event("Name", {"nom": "Ada"}, event_version=3))
            .then_rejects("the payload of Name (version 3) cannot be read: the field name is missing (Named)")
            .when(event("Name", b"\xff\xfe"))
            .then_rejects("it is 2 bytes that are not JSON")
        )

    def test_a_document_that_does_not_fit_is_rejected_with_a_reason(self) -> None:
        (
            scenario()
            .when(event("Update"))
            .then_rejects("there is no document d/1 to change")
            .given(event("Put", "text"))
            .when(event("Update"))
            .then_rejects("document d/1 does not fit Tally: expected an object (Tally), found text 'text'")
            .when(event("BadKeys"))
            .then_rejects("document d/1 has no JSON form: keys must be str")
        )

    def test_a_failed_event_leaves_no_trace(self) -> None:
        checks: dict[str, Callable[[Scenario], Any]] = {
            "HalfDone": lambda after: after.then_retries("later"),
            "HalfUpdated": lambda after: after.then_rejects("KeyError: 'missing'"),
            "ForeignError": lambda after: after.then_rejects("ValueError: invalid literal for int()"),
            "Exit": lambda after: after.then_rejects("SystemExit: 3"),
            "BreakBound": lambda after: after.then_invalid_call("document d/1 is not JSON"),
            "Swallowed": lambda after: after.then_invalid_call("is not a valid document key"),
        }
        for command, check in checks.items():
            with self.subTest(command):
                after = scenario().given(event("Put", "kept")).when(event(command))
                check(after)
                after.then_collection("d", {"1": "kept"})
                after.when(event("Put", "again")).then_collection("d", {"1": "again"})

    def test_settings_and_log_lines_are_seen(self) -> None:
        (
            Scenario(Commanded, {"limit": "12"})
            .when(event("Configured"))
            .then_document("d", "1", 12)
            .then_logs(Level.WARN, "limit '12'")
            .when(event("Logging"))
            .then_logs(Level.WARN, "number 7")
            .then_logs(Level.INFO, "?")
            .then_logs(Level.INFO, "long long")
        )
        scenario().when(event("Configured")).then_document("d", "1", None)
        expected = "the setting limit = 'x' cannot be read as int: invalid literal"
        Scenario(Commanded, {"limit": "x"}).when(event("Configured")).then_rejects(expected)

    def test_what_a_test_does_not_say_is_filled_in(self) -> None:
        described = [11, "Here", "Thing", "1", 2, "00000000-0000-4000-8000-00000000000b", '{"by":"me"}', 1_767_225_610]
        (
            scenario()
            .given(event("Delete"), event("Delete", of="2", position=10))
            .when(event("Describe", metadata={"by": "me"}))
            .then_document("d", "1", described)
        )

    def test_events_out_of_scope_do_not_arrive(self) -> None:
        (
            scenario()
            .when(event("Exit", bounded_context="Elsewhere"))
            .then_out_of_scope()
            .when(event("Exit", aggregate_type="Nothing"))
            .then_out_of_scope()
            .when(event("Delete", bounded_context="There"))
            .then_handled()
        )

    def test_an_unexpected_failure_fails_the_test(self) -> None:
        expected = "the event was expected to be handled, but it was rejected: unknown command Oops"
        with self.assertRaisesRegex(AssertionError, expected):
            scenario().when(event("Oops")).then_no_document("d", "1")
        with self.assertRaisesRegex(AssertionError, "expected the event to be rejected, but it was handled"):
            scenario().when(event("Delete")).then_rejects("")
        with self.assertRaisesRegex(AssertionError, "document d/1 is 1\nexpected 1.0"):
            scenario().when(event("Put", 1)).then_document("d", "1", 1.0)


class DecoratorTest(unittest.TestCase):
    def test_methods_find_their_events_by_name_or_dataclass(self) -> None:
        @projection("names", "1", partitioning=Partitioning.SINGLE)
        class Names:
            @on(Named)
            def named(self, event: Event[Named], model: ReadModel) -> None:
                model.put("names", event.aggregate_id, event.data.name)

            @on(RenamedV2)
            @on("Married", "Divorced")
            def renamed(self, event: Event, model: ReadModel) -> None:
                data = event.data
                model.put("names", event.aggregate_id, data.new_name if isinstance(data, RenamedV2) else data["name"])

        described = definition(Names).descriptor
        self.assertEqual(described.event_types, ("Named", "Married", "Divorced", "Renamed"))
        self.assertEqual(described.partitioning, Partitioning.SINGLE)
        (
            Scenario(Names)
            .when(event(Named("Ada")))
            .then_document("names", "1", "Ada")
            .when(event("Married", {"name": "Ada King"}))
            .then_document("names", "1", "Ada King")
            .when(event(RenamedV2("Ada Lovelace")))
            .then_document("names", "1", "Ada Lovelace")
            .when(event("Renamed", {"new_name": "x"}))
            .then_rejects("the field newName is missing")
            .when(event("Born"))
            .then_out_of_scope()
        )

    def test_a_class_that_cannot_work_is_rejected_at_once(self) -> None:
        class Empty:
            pass

        class Both:
            def handle(self, event: Event, model: ReadModel) -> None:
                raise NotImplementedError

            @on("A")
            def other(self, event: Event, model: ReadModel) -> None:
                raise NotImplementedError

        class Twice:
            @on("A")
            def first(self, event: Event, model: ReadModel) -> None:
                raise NotImplementedError

            @on("A")
            def second(self, event: Event, model: ReadModel) -> None:
                raise NotImplementedError

        for cls, message in [(Empty, "needs methods with @on"), (Both, "not both"), (Twice, "both handle A")]:
            with self.assertRaisesRegex(TypeError, message):
                projection("x", "1")(cls)
        with self.assertRaisesRegex(TypeError, "neither the name of an event nor a dataclass"):
            on(int)(print)
        with self.assertRaisesRegex(TypeError, "on\\(\\) takes types of events"):
            on(print)  # type: ignore[call-overload]
        with self.assertRaisesRegex(TypeError, "aggregate_types has to be a list of names"):
            projection("x", "1", aggregate_types="Order")(type("Fine", (), {"handle": print}))
        with self.assertRaisesRegex(TypeError, "is no projection"):
            Scenario(Empty)

    def test_times_and_large_numbers_arrive_exactly(self) -> None:
        @projection("exact", "1")
        class Exact:
            def handle(self, event: Event, model: ReadModel) -> None:
                model.put("d", "1", [event.position, event.aggregate_version, event.json(), event.created_at])

        arrives = event(
            "E",
            12345678901234567890,
            position=2**64 - 1,
            aggregate_version=2**53 + 1,
            created_at=Timestamp(-1, 999_999_999),
        )
        expected = [2**64 - 1, 2**53 + 1, 12345678901234567890, "1969-12-31T23:59:59.999999999Z"]
        Scenario(Exact).when(arrives).then_document("d", "1", expected)


if __name__ == "__main__":
    unittest.main()
