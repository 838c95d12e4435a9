"""The host's log and settings, in a component."""

from typing import Any

from ._bindings.imports import config as host_config
from ._bindings.imports import log as host_log

_LEVELS = {
    "debug": host_log.Level.DEBUG,
    "info": host_log.Level.INFO,
    "warn": host_log.Level.WARN,
    "error": host_log.Level.ERROR,
}


def log(level: Any, message: str) -> None:
    """Writes a line to the projection's log."""
    host_log.log(_LEVELS[level.value], message)


def setting(key: str) -> str | None:
    """A setting of the deployment."""
    return host_config.get(key)
