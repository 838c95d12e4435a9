"""The exports of a component, and the conversion between the types of the bindings and this package's."""

import sys
from typing import Any

from componentize_py_types import Err

from . import _modules
from ._bindings.imports import read_model as host
from ._bindings.imports import types
from ._chance import Chance
from .collection import Collection
from .descriptor import Descriptor
from .event import Event
from .failure import Retry, keep_sources, reason
from .read_model import ReadModel
from .timestamp import Timestamp

# The name under which componentize-py looks for the exports in the module that it is given.
_EXPORTS = "KennelProjectionBindings"


class HostReadModel(ReadModel):
    """The read model that the host offers."""

    _get = staticmethod(host.get)
    _get_many = staticmethod(host.get_many)
    _put = staticmethod(host.put)
    _delete = staticmethod(host.delete)
    _scan = staticmethod(host.scan)
    _increment = staticmethod(host.increment)


def export(cls: type, found: Any) -> None:
    """Exports a projection, with its definition, from its module."""
    module = sys.modules[cls.__module__]
    if hasattr(module, _EXPORTS):
        raise TypeError(f"{cls.__module__} has two projections: a component has one")
    setattr(module, _EXPORTS, _exports(cls, found))
    _modules.load_late()
    keep_sources()


def _exports(cls: type, found: Any) -> type:
    model = HostReadModel()
    # Made by the first event, when the module has been loaded and the host is there.
    made: list[tuple[Any, Chance]] = []

    class Exports:
        def describe(self) -> types.Descriptor:
            return _descriptor(found.descriptor)

        def handle(self, event: types.Event) -> None:
            try:
                if not made:
                    chance = Chance(found.descriptor.name)
                    chance.begin(event.position)
                    made.append((cls(), chance))
                instance, chance = made[0]
                chance.begin(event.position)
                found.handle(instance, _event(event), model)
            except Retry as error:
                failure: Any = types.Failure_Retry(reason(error))
            except BaseException as error:
                failure = types.Failure_Reject(reason(error))
            else:
                return
            raise Err(failure)

    return Exports


def _descriptor(described: Descriptor) -> types.Descriptor:
    scope = described.bounded_contexts, described.aggregate_types, described.event_types
    return types.Descriptor(
        described.name,
        described.version,
        types.Scope(*(list(names) for names in scope)),
        types.Partitioning[described.partitioning.name],
        [_collection(collection) for collection in described.collections],
    )


def _collection(declared: Collection) -> types.Collection:
    return types.Collection(
        declared.name,
        [types.Column(each.name, each.path, types.ColumnType[each.data_type.name]) for each in declared.columns],
        [types.Index(list(each.columns), each.unique) for each in declared.indexes],
    )


def _event(event: types.Event) -> Event:
    return Event(
        position=event.position,
        bounded_context=event.bounded_context,
        aggregate_type=event.aggregate_type,
        aggregate_id=event.aggregate_id,
        aggregate_version=event.aggregate_version,
        event_id=event.event_id,
        event_type=event.event_type,
        event_version=event.event_version,
        payload=event.payload.value,
        metadata=event.metadata,
        trace_id=event.trace_id,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
        created_at=Timestamp(event.created_at.seconds, event.created_at.nanoseconds),
    )
