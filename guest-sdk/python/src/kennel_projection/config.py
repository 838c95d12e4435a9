"""Settings that the operator gave the deployment. They stay the same as long as the deployment lives."""

from collections.abc import Callable
from typing import Any, TypeVar

from . import _host
from .encoding import checked_text
from .failure import Reject

T = TypeVar("T")


def get(key: str) -> str | None:
    """The setting's value, or none."""
    return _host.setting(checked_text("the name of a setting", key))


def parsed(key: str, read: Callable[[str], T]) -> T | None:
    """The setting's value as ``read`` makes it of the text, or none: ``config.parsed("limit", int)``.

    ``bool`` takes ``true`` and ``false`` alone. Raises :class:`Reject` when ``read`` raises.
    """
    value = get(key)
    if value is None:
        return None
    call: Callable[[str], Any] = _flag if read is bool else read
    try:
        result: T = call(value)
    except Exception as error:
        name = getattr(read, "__name__", repr(read))
        why = str(error) or type(error).__name__
        raise Reject(f"the setting {key} = {value!r} cannot be read as {name}: {why}") from error
    return result


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it is neither true nor false")
    return text == "true"
