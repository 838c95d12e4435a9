"""The projection's log. The host adds projection, deployment and event; floods are cut.

Anything with a text can be logged. ``logging`` works too, with :class:`Handler`::

    logging.basicConfig(handlers=[log.Handler()], level=logging.INFO, format="%(message)s")
"""

import logging
from enum import Enum

from . import _host

# The host keeps so many bytes of a line.
_LINE_CHARACTERS_MAX = 4096


class Level(Enum):
    """How much a line matters. Of an event that fails, the last line of level ``ERROR`` is reported with it."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


def write(level: Level, message: object) -> None:
    """Writes one line of the given level."""
    # Logging never fails: half of a surrogate pair becomes a question mark.
    _host.log(level, str(message)[:_LINE_CHARACTERS_MAX].encode(errors="replace").decode())


def debug(message: object) -> None:
    """Writes a line for the developer, while looking for a fault."""
    write(Level.DEBUG, message)


def info(message: object) -> None:
    """Writes a line that says what happened."""
    write(Level.INFO, message)


def warn(message: object) -> None:
    """Writes a line that the operator should look at some day."""
    write(Level.WARN, message)


def error(message: object) -> None:
    """Writes a line that the operator should look at now."""
    write(Level.ERROR, message)


class Handler(logging.Handler):
    """Sends the records of ``logging`` to the projection's log."""

    def emit(self, record: logging.LogRecord) -> None:
        write(_level_of(record.levelno), self.format(record))


def _level_of(number: int) -> Level:
    if number >= logging.ERROR:
        return Level.ERROR
    if number >= logging.WARNING:
        return Level.WARN
    return Level.INFO if number >= logging.INFO else Level.DEBUG
