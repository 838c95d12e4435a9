"""Values to JSON text and back, with exact numbers.

Whole numbers have at most the 4,300 digits that Python reads. A number with a fraction becomes a ``float`` if that keeps
its value, and a ``Decimal`` if it does not; a ``Decimal`` is written with all its digits. Nothing is rounded.
"""

import dataclasses
import json
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from json.encoder import encode_basestring
from typing import Any
from uuid import UUID

from .timestamp import Timestamp

# A number of so many characters, one of them the point, has at most 15 digits, which a float always keeps.
_SHORT = 16
# No text that the host takes has so many, and far more than that it does not even read.
_CHARACTERS_MAX = 2 * 1024 * 1024


class NotJson(ValueError):
    """Text that is not JSON, or holds a number that cannot be read exactly."""


class NoJsonForm(TypeError):
    """A value that JSON cannot express."""


class _HasDecimal(Exception):
    """The value has a ``Decimal``, which the encoder of ``json`` cannot write."""


def parse(text: str) -> Any:
    """The value that the text stands for, in Python's own types."""
    try:
        return _DECODER.decode(text)
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson(str(error)) from None
    except RecursionError:
        raise NotJson("it is nested more deeply than Python can read") from None


def encode(value: Any) -> str:
    """The value's JSON text, without white space. Dataclasses become objects, in the order of their fields."""
    try:
        return _ENCODER.encode(value)
    except _HasDecimal:
        return _encode_decimals(value)
    except NoJsonForm:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise NoJsonForm(str(error)) from None


def _encode_decimals(value: Any) -> str:
    parts: list[str] = []
    try:
        _write(value, parts.append)
    except NoJsonForm:
        raise
    except (ValueError, RecursionError) as error:
        raise NoJsonForm(str(error)) from None
    return "".join(parts)


def checked_text(what: str, value: Any) -> str:
    """The value, if it is text that the host can take."""
    if not isinstance(value, str):
        raise TypeError(f"{what} has to be text, not {type(value).__name__}")
    if len(value) > _CHARACTERS_MAX:
        raise ValueError(f"{what} has {len(value)} characters, which is more than the host takes of any text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{what} has half of a surrogate pair, which is no character") from None
    return value


@cache
def fields_of(cls: type) -> tuple[tuple[str, str], ...]:
    """The fields of a dataclass that are part of its documents: attribute, and name in JSON."""
    return tuple((each.name, each.metadata.get("json", each.name)) for each in dataclasses.fields(cls))


def _fraction(text: str) -> float | Decimal:
    value = float(text)
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise NotJson(f"the number {text[:40]} is beyond what can be read") from None
    return value if Decimal(repr(value)) == exact else exact


def _constant(text: str) -> Any:
    raise NotJson(f"{text} is not JSON")


def _plain(value: Any) -> Any:
    """What stands for a value that ``json`` does not know."""
    if isinstance(value, Decimal):
        raise _HasDecimal
    if isinstance(value, Timestamp):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, attribute) for attribute, name in fields_of(type(value))}
    if isinstance(value, datetime):
        return str(Timestamp.from_datetime(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (set, frozenset)):
        raise NoJsonForm("a set has no order, so a replay could write another document: use sorted(...)")
    raise NoJsonForm(f"a value of type {type(value).__qualname__} cannot be written")


def _write(value: Any, put: Any) -> None:
    """What the encoder of ``json`` does, with decimals."""
    if value is None or isinstance(value, (bool, int, float, str)):
        put(_ENCODER.encode(value))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise NoJsonForm(f"{value} is not JSON")
        put(str(value))
    elif isinstance(value, (list, tuple)):
        put("[")
        for number, item in enumerate(value):
            put("," if number else "")
            _write(item, put)
        put("]")
    elif isinstance(value, dict):
        put("{")
        for number, (key, item) in enumerate(value.items()):
            put("," if number else "")
            put(encode_basestring(_key(key)))
            put(":")
            _write(item, put)
        put("}")
    else:
        _write(_plain(value), put)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        return _ENCODER.encode(key)
    raise NoJsonForm(f"keys must be str, int, float, bool or None, not {type(key).__name__}")


_DECODER = json.JSONDecoder(parse_float=_fraction, parse_constant=_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
