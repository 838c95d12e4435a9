"""What stands in for the host's log and settings off wasm: kept per thread, because tests may run side by side."""

import threading
from collections.abc import Mapping
from typing import Any


class _State(threading.local):
    def __init__(self) -> None:
        self.lines: list[tuple[Any, str]] = []
        self.settings: dict[str, str] = {}


_state = _State()


def log(level: Any, message: str) -> None:
    """Keeps a line."""
    _state.lines.append((level, message))


def take_log() -> list[tuple[Any, str]]:
    """The lines that this thread has logged since it was asked last."""
    lines, _state.lines = _state.lines, []
    return lines


def setting(key: str) -> str | None:
    """A setting of the scenario."""
    return _state.settings.get(key)


def set_settings(settings: Mapping[str, str]) -> None:
    """Sets what :func:`setting` gives."""
    _state.settings = dict(settings)
