"""The decorators: what a class says of itself, and how an event finds its method."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, overload

from . import _host, decoding
from .collection import Collection
from .descriptor import Descriptor, Partitioning
from .event import Event
from .read_model import ReadModel

C = TypeVar("C", bound=type)
T = TypeVar("T")
S = TypeVar("S")

_HANDLES = "__kennel_handles__"
_DEFINITION = "__kennel_definition__"

_Method = Callable[[S, Event[T], ReadModel], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """A projection as its decorator found it."""

    descriptor: Descriptor
    methods: Mapping[str, tuple[str, Any]]
    """Method and type of the payload by type of event; empty if ``handle`` takes all of them."""

    def handle(self, instance: Any, event: Event, model: ReadModel) -> None:
        """Passes the event to its method."""
        method, data_type = self.methods.get(event.event_type, ("handle", Any))
        event._type = data_type
        getattr(instance, method)(event, model)


@overload
def on(event_type: type[T], /) -> Callable[[_Method[S, T]], _Method[S, T]]: ...
@overload
def on(*event_types: str | type) -> Callable[[_Method[S, Any]], _Method[S, Any]]: ...
def on(*event_types: str | type) -> Any:
    """Says which events a method handles, by name or by the dataclass of their payload.

    The name of a dataclass is that of its events, unless it has a class variable ``event_type``.
    """
    if not event_types or not all(isinstance(each, (str, type)) for each in event_types):
        raise TypeError('on() takes types of events: @on("OrderPlaced") or @on(OrderPlaced)')

    def mark(method: Any) -> Any:
        setattr(method, _HANDLES, (*getattr(method, _HANDLES, ()), *map(_named, event_types)))
        return method

    return mark


def projection(
    name: str,
    version: str,
    *,
    bounded_contexts: Iterable[str] = (),
    aggregate_types: Iterable[str] = (),
    event_types: Iterable[str] = (),
    partitioning: Partitioning = Partitioning.BY_AGGREGATE,
    collections: Iterable[Collection] = (),
) -> Callable[[C], C]:
    """Makes a class a projection. It has methods marked with :func:`on`, or one ``handle(self, event, model)``.

    The types of events are those that :func:`on` names; with ``handle`` they are ``event_types``, or all. The class is
    made without arguments; a component has one projection.
    """

    def define(cls: C) -> C:
        methods = _methods(cls)
        scope = _names("event_types", event_types)
        if bool(methods) == callable(getattr(cls, "handle", None)):
            raise TypeError(f"{cls.__qualname__} needs methods with @on(...) or one method handle, not both")
        if methods and scope:
            raise TypeError(f"{cls.__qualname__}: its types of events are those of @on(...); leave event_types out")
        descriptor = Descriptor(
            name=name,
            version=version,
            bounded_contexts=_names("bounded_contexts", bounded_contexts),
            aggregate_types=_names("aggregate_types", aggregate_types),
            event_types=scope or tuple(methods),
            partitioning=partitioning,
            collections=tuple(collections),
        )
        for _, data_type in methods.values():
            decoding.reader(data_type)
        found = Definition(descriptor, methods)
        setattr(cls, _DEFINITION, found)
        if _host.IS_WASM:
            from ._exports import export

            export(cls, found)
        return cls

    return define


def definition(cls: type) -> Definition:
    """What :func:`projection` found. Raises ``TypeError`` for a class that is none."""
    found: Definition | None = getattr(cls, _DEFINITION, None)
    if found is None:
        raise TypeError(f"{cls.__qualname__} is no projection: decorate it with @projection(...)")
    return found


def _methods(cls: type) -> dict[str, tuple[str, Any]]:
    methods: dict[str, tuple[str, Any]] = {}
    # In the order of the source, those of base classes first.
    attributes = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    for attribute, value in attributes.items():
        for event_type, data_type in getattr(value, _HANDLES, ()):
            if event_type in methods:
                both = f"{methods[event_type][0]} and {attribute}"
                raise TypeError(f"{cls.__qualname__}: {both} both handle {event_type}")
            methods[event_type] = (attribute, data_type)
    return methods


def _named(event_type: str | type) -> tuple[str, Any]:
    if isinstance(event_type, str):
        return event_type, Any
    if not dataclasses.is_dataclass(event_type):
        raise TypeError(f"{event_type!r} is neither the name of an event nor a dataclass")
    return event_name(event_type), event_type


def event_name(data_type: type) -> str:
    """The type of the events whose payload the dataclass is."""
    is_field = "event_type" in (each.name for each in dataclasses.fields(data_type))
    return data_type.__name__ if is_field else getattr(data_type, "event_type", data_type.__name__)


def _names(what: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"{what} has to be a list of names, not one name")
    return tuple(names)
