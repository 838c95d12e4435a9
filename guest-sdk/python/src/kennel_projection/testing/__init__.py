"""Test a projection natively, without wasm and without a host, under any test runner.

::

    Scenario(Stock)
        .given(event("GoodsReceived", {"pieces": 10}, of="apple"))
        .when(event("GoodsSold", {"pieces": 3}, of="apple"))
        .then_document("stock", "apple", {"pieces": 7})

What the host does is done here too: events out of scope do not arrive, the changes of a failed event are undone, and a
call that breaks a bound ends the handler. What only wasm has is not here: limits of time and of the guest's memory.
"""

from .event_builder import EventBuilder, event
from .memory import EventFault, MemoryReadModel
from .scenario import Scenario

__all__ = ["EventBuilder", "EventFault", "MemoryReadModel", "Scenario", "event"]
