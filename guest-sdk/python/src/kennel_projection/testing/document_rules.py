"""Which JSON the host takes as a document, and how it adds to a field: a reading of the contract of its own.

The text is scanned from left to right and nothing is parsed into a tree, so that neither the precision of numbers nor
the depth of a document matters.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal

DOCUMENT_BYTES_MAX = 1_048_576
DEPTH_MAX = 1000
DIGITS_BEFORE_MAX = 131_072
DIGITS_BEHIND_MAX = 16_383
_EXPONENT_MAX = 2**30
_EXPONENT_DIGITS_MAX = 18
_ADJUSTED_MAX = 18

_TOKEN = re.compile(
    r"""[ \t\n\r]*+(?:
        (?P<mark>[{}\[\],:])
      | (?P<string>"(?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+")
      | (?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)
      | (?P<word>true|false|null)
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_LONE = re.compile(r"[\ud800-\udfff]")


class Unfit(ValueError):
    """Text that is no document, and why."""


def check(text: str) -> None:
    """Raises :class:`Unfit` unless the text is a document that both databases can hold."""
    written = len(text.encode())
    if written > DOCUMENT_BYTES_MAX:
        raise Unfit(f"has {written} bytes; at most {DOCUMENT_BYTES_MAX} are allowed")
    for kind, token, _, _ in _values(text):
        if kind == "number":
            written += _written(token) - len(token)
        elif kind == "string" and "\\" in token:
            _check_escapes(token)
    if written > DOCUMENT_BYTES_MAX:
        raise Unfit(
            f"has {written} bytes once its numbers are written out in digits; at most {DOCUMENT_BYTES_MAX} are allowed"
        )


def add(text: str | None, field: str, by: int) -> str:
    """The document with ``by`` added to a field at its top; every other byte is as it was."""
    if text is None:
        text = "{}"
    place, end, is_empty = _find(text, field)
    before = _whole(text[place[0] : place[1]]) if place else 0
    total = before + by
    if not -(2**63) <= total < 2**63:
        raise Unfit("the sum leaves the range of 64-bit whole numbers")
    if place:
        return f"{text[: place[0]]}{total}{text[place[1] :]}"
    comma = "" if is_empty else ","
    return f"{text[:end]}{comma}{json.dumps(field, ensure_ascii=False)}:{total}{text[end:]}"


def _find(text: str, field: str) -> tuple[tuple[int, int] | None, int, bool]:
    """Where the value of the field is, where another field can be put, and whether there is none yet."""
    place = None
    name = None
    end = 0
    is_empty = True
    depth = 0
    begins = 0
    for kind, token, start, stop in _values(text):
        if token in ("}", "]"):
            depth -= 1
        if depth == 0 and end == 0:
            if token != "{":
                raise Unfit("the document is not a JSON object")
            end = stop
        elif depth == 1 and token not in ("}", "]"):
            if kind == "key":
                name = json.loads(token)
            begins = start
        if depth == 1 and kind != "key" and token not in ("{", "["):
            end, is_empty = stop, False
            if name == field:
                place = (begins, stop)
        if token in ("{", "["):
            depth += 1
    return place, end, is_empty


def _whole(text: str) -> int:
    if text == "null":
        return 0
    if not re.match(r"-?[0-9]", text):
        raise Unfit("the field is not a whole number")
    number = Decimal(text)
    if number != number.to_integral_value():
        raise Unfit("the field is not a whole number")
    if number.adjusted() > _ADJUSTED_MAX or not -(2**63) <= int(number) < 2**63:
        raise Unfit("the field is beyond the range of 64-bit whole numbers")
    return int(number)


def _values(text: str) -> Iterator[tuple[str, str, int, int]]:
    """The tokens of JSON, without commas and colons: kind (``mark``, ``key``, ``string``, ...), text, start, end."""
    open_keys: list[set[str] | None] = []
    # What may come next: a value, a key, the end of an empty list or object, or a comma or an end.
    expects = "value"
    for kind, token, start, stop in _tokens(text):
        if kind == "end" and not open_keys and expects == "more":
            return
        keys = open_keys[-1] if open_keys else None
        if kind == "mark":
            closes = token == ("]" if keys is None else "}") and bool(open_keys)
            if token in "{[" and expects in ("value", "value or end"):
                if len(open_keys) == DEPTH_MAX:
                    raise Unfit(f"is nested more than {DEPTH_MAX} levels deep")
                open_keys.append(set() if token == "{" else None)
                expects = "key or end" if token == "{" else "value or end"
            elif closes and expects in ("more", "key or end", "value or end"):
                open_keys.pop()
                expects = "more"
            elif token == "," and expects == "more" and open_keys:
                expects = "value" if keys is None else "key"
                continue
            elif token == ":" and expects == "colon":
                expects = "value"
                continue
            else:
                raise _misplaced(token, start)
        elif kind == "string" and expects in ("key", "key or end"):
            _add_key(keys, token)
            kind, expects = "key", "colon"
        elif kind != "end" and expects in ("value", "value or end"):
            expects = "more"
        else:
            raise _misplaced(token, start)
        yield kind, token, start, stop


def _tokens(text: str) -> Iterator[tuple[str, str, int, int]]:
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if found is None:
            raise _misplaced(text[at : at + 20].strip(), at)
        kind = found.lastgroup or "end"
        yield kind, found[kind], found.start(kind), found.end(kind)
        if kind == "end":
            return
        at = found.end()


def _misplaced(token: str, at: int) -> Unfit:
    return Unfit(f"is not JSON: {token[:20]!r} is misplaced at offset {at}" if token else "is not JSON: it ends early")


def _add_key(keys: set[str] | None, token: str) -> None:
    if "\\" in token:
        _check_escapes(token)
    key = json.loads(token) if "\\" in token else token[1:-1]
    if keys is not None:
        if key in keys:
            raise Unfit(f"has an object with the key `{key[:60]}` more than once, of which databases keep one")
        keys.add(key)


def _check_escapes(token: str) -> None:
    value = json.loads(token)
    if "\0" in value:
        raise Unfit("contains the character NUL (\\u0000), which databases cannot hold in JSON")
    if _LONE.search(value):
        raise Unfit("contains half of a surrogate pair, which is no character")


def _written(number: str) -> int:
    """Bytes of a number with its digits written out."""
    mantissa, _, exponent_text = number.lower().partition("e")
    is_long = len(exponent_text) > _EXPONENT_DIGITS_MAX
    exponent = _EXPONENT_MAX if is_long else int(exponent_text or "0")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = whole + fraction
    significant = digits.lstrip("0")
    behind = max(len(fraction) - exponent, 0)
    before = len(whole) - (len(digits) - len(significant)) + exponent if significant else 1
    if abs(exponent) >= _EXPONENT_MAX - 1 or before > DIGITS_BEFORE_MAX or behind > DIGITS_BEHIND_MAX:
        raise Unfit(
            f"contains the number `{number[:60]}`; databases hold up to 131,072 digits before and 16,383 behind the "
            "decimal point"
        )
    return mantissa.startswith("-") + max(before, 1) + (behind > 0) + behind
