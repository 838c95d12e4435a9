"""Plain JSON to the types that a projection declares: dataclasses, and what they are made of.

A value fits its type exactly, or is rejected with the place and the reason. Fields that a dataclass does not have are
ignored; a field that it has must be there unless it has a default or may be None.
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from .encoding import fields_of
from .timestamp import Timestamp

_Read = Callable[[Any], Any]
# Written so, no two keys are the same number, and each is written again as it was.
_WHOLE = re.compile(r"0|-?[1-9][0-9]*")


class Misfit(ValueError):
    """A value that does not fit its type."""

    def __init__(self, why: str, place: str = "") -> None:
        super().__init__(f"{place}: {why}" if place else why)
        self.why = why
        self.place = place

    def inside(self, outer: str) -> "Misfit":
        """The same, seen from the value that holds this one."""
        inner = self.place if not self.place or self.place.startswith("[") else f".{self.place}"
        return Misfit(self.why, f"{outer}{inner}")


def fit(value: Any, data_type: Any) -> Any:
    """The value as a ``data_type``. Raises :class:`Misfit` when it is none."""
    return reader(data_type)(value)


def reader(data_type: Any) -> _Read:
    """What reads values of the type. Raises ``TypeError`` when no JSON can become one."""
    try:
        found = _readers.get(data_type)
    except TypeError:  # a type that cannot be hashed, such as Literal of a list
        return _make(data_type)
    if found is None:
        # A type may hold itself: what it finds here until it is made is looked up when it is used.
        _readers[data_type] = lambda value: _readers[data_type](value)
        try:
            found = _make(data_type)
        except BaseException:
            del _readers[data_type]
            raise
        _readers[data_type] = found
    return found


def _make(data_type: Any) -> _Read:
    if isinstance(data_type, typing.NewType):
        return reader(data_type.__supertype__)
    origin, arguments = typing.get_origin(data_type), typing.get_args(data_type)
    if origin is typing.Annotated:
        return reader(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (list, Sequence):
        return _list(reader(arguments[0]))
    if origin is tuple:
        return _tuple(arguments)
    if origin in (dict, Mapping):
        return _dict(arguments[0], reader(arguments[1]))
    if isinstance(data_type, type):
        if dataclasses.is_dataclass(data_type):
            return _dataclass(data_type)
        if issubclass(data_type, Enum):
            return _enum(data_type)
    raise TypeError(f"JSON cannot be read as {_name(data_type)}")


def _name(data_type: Any) -> str:
    return getattr(data_type, "__qualname__", None) or str(data_type)


def _found(value: Any) -> str:
    """A value, as an error names it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"text {value if len(value) <= 40 else value[:40] + '…'!r}"
    if isinstance(value, (int, float, Decimal)):
        shown = str(value) if not isinstance(value, int) or abs(value) < 10**40 else "with many digits"
        return f"the number {shown[:40]}"
    return "a list" if isinstance(value, list) else "an object"


def _expected(what: str, value: Any) -> Misfit:
    return Misfit(f"expected {what}, found {_found(value)}")


def _exactly(data_type: type, what: str) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is data_type:
            return value
        raise _expected(what, value)

    return read


def _float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is Decimal:
        raise Misfit(f"{_found(value)} has more digits than a float keeps: use Decimal")
    if type(value) is not int:
        raise _expected("a number", value)
    if abs(value) > 2**53 and (abs(value) >= 2**1000 or int(float(value)) != value):
        raise Misfit(f"{_found(value)} has more digits than a float keeps: use int or Decimal")
    return float(value)


def _decimal(value: Any) -> Decimal:
    if type(value) is float:
        # A float is read only where its shortest text has the value of the number in JSON.
        return Decimal(repr(value))
    if type(value) is int or type(value) is Decimal:
        return Decimal(value)
    raise _expected("a number", value)


def _timestamp(value: Any) -> Timestamp:
    if type(value) is not str:
        raise _expected("a date and time", value)
    try:
        return Timestamp.parse(value)
    except ValueError as error:
        raise Misfit(str(error)) from None


def _datetime(value: Any) -> datetime:
    moment = _timestamp(value)
    if moment.nanoseconds % 1000:
        raise Misfit(f"{_found(value)} is finer than a datetime keeps: use Timestamp")
    try:
        return moment.to_datetime()
    except OverflowError as error:
        raise Misfit(f"{error}: use Timestamp") from None


def _parsed(data_type: Any, what: str, parse: Callable[[str], Any]) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is str:
            try:
                return parse(value)
            except ValueError:
                pass
        raise _expected(what, value)

    return read


def _list(read_item: _Read) -> _Read:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _expected("a list", value)
        return [_inside(f"[{number}]", read_item, item) for number, item in enumerate(value)]

    return read


def _tuple(arguments: tuple[Any, ...]) -> _Read:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        read_all = _list(reader(arguments[0]))
        return lambda value: tuple(read_all(value))
    readers = [reader(argument) for argument in arguments]

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(readers):
            raise _expected(f"a list of {len(readers)}", value)
        pairs = zip(readers, value, strict=True)
        return tuple(_inside(f"[{number}]", each, item) for number, (each, item) in enumerate(pairs))

    return read


def _dict(key_type: Any, read_item: _Read) -> _Read:
    if key_type not in (str, int):
        raise TypeError(f"keys of JSON objects cannot be read as {_name(key_type)}: use str or int")

    def read(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise _expected("an object", value)
        items = {key: _inside(key, read_item, item) for key, item in value.items()}
        if key_type is str:
            return items
        if not all(map(_WHOLE.fullmatch, items)):
            raise Misfit("expected whole numbers as keys, in digits and without zeros before them")
        try:
            return {int(key): item for key, item in items.items()}
        except ValueError as error:
            raise Misfit(f"a key cannot be read: {error}") from None

    return read


def _inside(place: str, read: _Read, value: Any) -> Any:
    try:
        return read(value)
    except Misfit as error:
        raise error.inside(place) from None


def _union(members: tuple[Any, ...]) -> _Read:
    readers = [reader(member) for member in members if member is not types.NoneType]
    admits_none = types.NoneType in members
    names = " or ".join(_name(member) for member in members)

    def read(value: Any) -> Any:
        if value is None and admits_none:
            return None
        if len(readers) == 1:
            return readers[0](value)
        for each in readers:
            try:
                return each(value)
            except Misfit:
                continue
        raise _expected(names, value)

    return read


def _literal(values: tuple[Any, ...]) -> _Read:
    def read(value: Any) -> Any:
        for each in values:
            if type(each) is type(value) and each == value:
                return each
        raise _expected("one of " + ", ".join(repr(each) for each in values), value)

    return read


def _enum(cls: type[Enum]) -> _Read:
    by_value = {(type(member.value), member.value): member for member in cls}

    def read(value: Any) -> Enum:
        if isinstance(value, (str, int, float)) and (type(value), value) in by_value:
            return by_value[type(value), value]
        raise _expected("one of " + ", ".join(repr(member.value) for member in cls), value)

    return read


def _dataclass(cls: type) -> _Read:
    hints = typing.get_type_hints(cls, include_extras=True)
    names = dict(fields_of(cls))
    rows = []
    for each in dataclasses.fields(cls):
        if each.init:
            missing = dataclasses.MISSING
            has_default = each.default is not missing or each.default_factory is not missing
            may_be_none = types.NoneType in typing.get_args(hints[each.name])
            rows.append((each.name, names[each.name], reader(hints[each.name]), has_default, may_be_none))

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _expected(f"an object ({cls.__qualname__})", value)
        arguments = {}
        for attribute, name, read_field, has_default, may_be_none in rows:
            if name in value:
                try:
                    arguments[attribute] = read_field(value[name])
                except Misfit as error:
                    raise error.inside(name) from None
            elif not has_default:
                if not may_be_none:
                    raise Misfit(f"the field {name} is missing ({cls.__qualname__})")
                arguments[attribute] = None
        return cls(**arguments)

    return read


def _anything(value: Any) -> Any:
    return value


_readers: dict[Any, _Read] = {
    Any: _anything,
    object: _anything,
    str: _exactly(str, "text"),
    int: _exactly(int, "a whole number"),
    bool: _exactly(bool, "true or false"),
    list: _exactly(list, "a list"),
    dict: _exactly(dict, "an object"),
    None: _exactly(types.NoneType, "null"),
    types.NoneType: _exactly(types.NoneType, "null"),
    float: _float,
    Decimal: _decimal,
    Timestamp: _timestamp,
    datetime: _datetime,
    date: _parsed(date, "a date", date.fromisoformat),
    UUID: _parsed(UUID, "a UUID", UUID),
}
