"""What a projection says of itself. The host reads it once, when the component is deployed."""

from dataclasses import dataclass
from enum import Enum

from .collection import Collection


class Partitioning(Enum):
    """How the work of a projection may be divided among workers."""

    BY_AGGREGATE = "by-aggregate"
    """By the hash of the aggregate id: many workers, order kept per aggregate."""
    SINGLE = "single"
    """One worker at a time handles everything, in the order of the log. Choose it only when the order *between*
    aggregates matters: it cannot be spread over workers."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A projection's name, version and scope: which events it handles.

    An empty tuple means all; they are combined with "and".
    """

    name: str
    version: str
    bounded_contexts: tuple[str, ...] = ()
    aggregate_types: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    partitioning: Partitioning = Partitioning.BY_AGGREGATE
    collections: tuple[Collection, ...] = ()
