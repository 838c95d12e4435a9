"""Given some events, when another arrives, then the read model looks so."""

import json
from typing import Any

from .. import _native, encoding
from ..collection import Collection
from ..descriptor import Descriptor
from ..event import Event
from ..failure import Retry, reason
from ..log import Level
from ..projection import definition
from .event_builder import EventBuilder, Log
from .memory import EventFault, MemoryReadModel

# What became of the last event.
_HANDLED = "handled"
_OUT_OF_SCOPE = "out of scope"
_REJECTED = "rejected"
_RETRIED = "to be tried again"


class Scenario:
    """A projection under test, with its own log and read model.

    A ``then`` about the read model demands that the last event was handled, unless a ``then`` before it said how it
    failed. Every ``then`` raises ``AssertionError`` when it does not hold, and gives the scenario back when it does.
    """

    def __init__(self, cls: type, settings: dict[str, str] | None = None) -> None:
        self._definition = definition(cls)
        self._class = cls
        self._instance: Any = None
        self._settings = settings or {}
        self._log = Log()
        self._model = MemoryReadModel()
        self._lines: list[tuple[Level, str]] = []
        self._outcome = _HANDLED
        self._text = ""
        self._failure_is_expected = False

    def given(self, *events: EventBuilder) -> "Scenario":
        """Events that have been handled before the test begins. Events out of scope pass unseen."""
        for made in events:
            self._deliver(made)
            self._demand_success()
        return self

    def when(self, made: EventBuilder) -> "Scenario":
        """The event under test. Whether it is handled is for the ``then`` to say."""
        self._deliver(made)
        return self

    def then_handled(self) -> "Scenario":
        """The last event was handled."""
        return self._expect(_HANDLED, "")

    def then_out_of_scope(self) -> "Scenario":
        """The last event is not in the projection's scope: the host does not deliver it."""
        return self._expect(_OUT_OF_SCOPE, "")

    def then_rejects(self, text: str) -> "Scenario":
        """The last event was rejected, or raised, with a reason that contains this text."""
        return self._expect_failure(_REJECTED, text)

    def then_retries(self, text: str) -> "Scenario":
        """The last event is to be tried again, for a reason that contains this text."""
        return self._expect_failure(_RETRIED, text)

    def then_invalid_call(self, text: str) -> "Scenario":
        """The last event called the read model against its rules, with a message that contains this text."""
        return self._expect_failure("invalid-call", text)

    def then_memory_limit(self, text: str) -> "Scenario":
        """The last event read or changed more than it may, with a message that contains this text."""
        return self._expect_failure("memory-limit", text)

    def then_document(self, collection: Collection | str, key: str, expected: Any) -> "Scenario":
        """There is such a document, equal as JSON. ``expected`` may be a dataclass."""
        self._demand_success()
        name = _name(collection)
        found = self._model.documents(name).get(key)
        assert found is not None, f"there is no document {name}/{key}; expected {_shown(expected)}"
        text = encoding.encode(expected)
        assert _same(found, text), f"document {name}/{key} is {found}\nexpected {text}"
        return self

    def then_no_document(self, collection: Collection | str, key: str) -> "Scenario":
        """There is no such document."""
        self._demand_success()
        name = _name(collection)
        found = self._model.documents(name).get(key)
        assert found is None, f"document {name}/{key} is {found}\nexpected none"
        return self

    def then_collection(self, collection: Collection | str, expected: dict[str, Any]) -> "Scenario":
        """The collection holds these documents, by key, and no others."""
        self._demand_success()
        name = _name(collection)
        found = "{" + ",".join(f"{_shown(key)}:{text}" for key, text in self._model.documents(name).items()) + "}"
        text = encoding.encode(expected)
        assert _same(found, text), f"collection {name} is {found}\nexpected {text}"
        return self

    def then_logs(self, level: Level, text: str) -> "Scenario":
        """The last event wrote a line to the log that contains this text."""
        found = any(of is level and text in line for of, line in self._lines)
        assert found, f"no {level.value} line contains {text!r}; the lines are {self._lines}"
        return self

    def document(self, collection: Collection | str, key: str) -> Any:
        """A document as plain JSON, or none, for checks that no ``then`` offers."""
        text = self._model.documents(_name(collection)).get(key)
        return None if text is None else encoding.parse(text)

    def _deliver(self, made: EventBuilder) -> None:
        self._demand_success()
        self._failure_is_expected = False
        event = self._log.append(made, self._definition.descriptor)
        self._text = ""
        if _in_scope(self._definition.descriptor, event):
            self._handle(event)
        else:
            self._outcome = _OUT_OF_SCOPE

    def _handle(self, event: Event) -> None:
        _native.set_settings(self._settings)
        _native.take_log()
        self._model.begin()
        try:
            if self._instance is None:
                self._instance = self._class()
            self._definition.handle(self._instance, event, self._model)
            self._outcome = _HANDLED
        except EventFault:
            # The model knows the fault, also where the handler went on after it.
            self._outcome = _REJECTED
        except KeyboardInterrupt:
            raise
        except Retry as error:
            self._outcome, self._text = _RETRIED, reason(error)
        except BaseException as error:
            self._outcome, self._text = _REJECTED, reason(error)
        self._lines = _native.take_log()
        if self._model.fault is not None:
            self._outcome, self._text = self._model.fault.kind, str(self._model.fault)
        if self._outcome != _HANDLED:
            self._model.roll_back()

    def _expect(self, outcome: str, text: str) -> "Scenario":
        holds = self._outcome == outcome and text in self._text
        wanted = f"{outcome} with {text!r}" if text else outcome
        assert holds, f"expected the event to be {wanted}, but {self._story()}"
        return self

    def _expect_failure(self, outcome: str, text: str) -> "Scenario":
        self._expect(outcome, text)
        self._failure_is_expected = True
        return self

    def _demand_success(self) -> None:
        went_well = self._outcome in (_HANDLED, _OUT_OF_SCOPE) or self._failure_is_expected
        assert went_well, f"the event was expected to be handled, but {self._story()}"

    def _story(self) -> str:
        if self._outcome == _OUT_OF_SCOPE:
            return f"it is out of scope: {self._definition.descriptor}"
        return f"it was {self._outcome}" + (f": {self._text}" if self._text else "")


def _in_scope(descriptor: Descriptor, event: Event) -> bool:
    pairs = (
        (descriptor.bounded_contexts, event.bounded_context),
        (descriptor.aggregate_types, event.aggregate_type),
        (descriptor.event_types, event.event_type),
    )
    return all(not names or name in names for names, name in pairs)


def _name(collection: Collection | str) -> str:
    return collection.name if isinstance(collection, Collection) else collection


def _shown(value: Any) -> str:
    return encoding.encode(value)


def _same(found: str, expected: str) -> bool:
    """Whether two JSON texts say the same, whatever the order of keys: 1 and 1.0 are different numbers."""
    texts = [json.loads(text, parse_float=lambda number: f"number {number}") for text in (found, expected)]
    return encoding.encode(_ordered(texts[0])) == encoding.encode(_ordered(texts[1]))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
