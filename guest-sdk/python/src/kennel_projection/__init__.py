"""Write a Kennel projection in Python.

A projection turns the events of a log into a read model: collections of JSON documents, by key. Decorate a class with
:func:`projection` and its methods with :func:`on`, and make a component of the module with componentize-py.

What lives where:

- ``projection``: the decorators, and how an event finds its method;
- ``event``, ``timestamp``: what arrives, and when it was written;
- ``descriptor``, ``collection``: what a projection says of itself and of its documents;
- ``read_model``: documents, typed and as text;
- ``encoding``, ``decoding``: dataclasses to JSON and back, with exact numbers;
- ``failure``: how to say no, and what becomes of an exception;
- ``log``, ``config``: the projection's log, and the settings that the operator gave;
- ``testing``: given/when/then, natively and without wasm.

There is deliberately no clock, no randomness, no network and no state that outlives a call: a replay of the log must
give the same read model.
"""

from . import config, log
from .collection import Collection, Column, ColumnType, Index
from .decoding import Misfit
from .descriptor import Descriptor, Partitioning
from .event import Event
from .failure import Reject, Retry
from .projection import on, projection
from .read_model import ReadModel
from .timestamp import Timestamp

__all__ = [
    "Collection",
    "Column",
    "ColumnType",
    "Descriptor",
    "Event",
    "Index",
    "Misfit",
    "Partitioning",
    "ReadModel",
    "Reject",
    "Retry",
    "Timestamp",
    "config",
    "log",
    "on",
    "projection",
]
