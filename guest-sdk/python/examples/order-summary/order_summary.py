"""Orders and customers of a shop.

- ``orders``: one document per order, with its customer, status, number of items and total;
- ``customers``: one document per customer, with the number of orders and the money spent. An order counts as spent
  from the moment it is paid until it is cancelled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from kennel_projection import Collection, Column, ColumnType, Event, Index, ReadModel, Reject, on, projection

# What the events carry. Fields that are not needed are left out.


@dataclass
class OrderPlaced:
    customer: str


@dataclass
class ItemAdded:
    quantity: int
    unit_price_cents: int


class Status(Enum):
    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


@dataclass
class Order:
    """A document of the collection ``orders``."""

    customer: str
    status: Status = Status.PLACED
    items: int = 0
    total_cents: int = 0

    def add(self, item: ItemAdded) -> None:
        self.items += item.quantity
        self.total_cents += item.quantity * item.unit_price_cents
        if not (-(2**63) <= self.items < 2**63 and -(2**63) <= self.total_cents < 2**63):
            raise Reject("the order is worth more than can be counted")

    @property
    def spent_cents(self) -> int:
        """What the customer has spent on this order."""
        return self.total_cents if self.status in (Status.PAID, Status.SHIPPED) else 0


ORDERS = Collection(
    "orders",
    Order,
    columns=[
        Column("customer", ColumnType.TEXT),
        Column("status", ColumnType.TEXT),
        Column("total_cents", ColumnType.INTEGER),
    ],
    indexes=[Index("customer", "status")],
)


@projection(
    "order-summary",
    "0.1.0",
    bounded_contexts=["Sales"],
    aggregate_types=["Order"],
    collections=[ORDERS],
)
class OrderSummary:
    @on(OrderPlaced)
    def placed(self, event: Event[OrderPlaced], model: ReadModel) -> None:
        customer = event.data.customer
        # Customers are shared by many orders, and so by many workers. `increment` reads nothing and never conflicts,
        # so they need not wait for one another.
        model.increment("customers", customer, "orders", 1)
        model.increment("customers", customer, "spent_cents", 0)
        model.put(ORDERS, event.aggregate_id, Order(customer))

    @on(ItemAdded)
    def added(self, event: Event[ItemAdded], model: ReadModel) -> None:
        item = event.data
        with changed(event, model) as order:
            order.add(item)

    @on("OrderPaid")
    def paid(self, event: Event, model: ReadModel) -> None:
        with changed(event, model) as order:
            order.status = Status.PAID

    @on("OrderShipped")
    def shipped(self, event: Event, model: ReadModel) -> None:
        with changed(event, model) as order:
            order.status = Status.SHIPPED

    @on("OrderCancelled")
    def cancelled(self, event: Event, model: ReadModel) -> None:
        with changed(event, model) as order:
            order.status = Status.CANCELLED


@contextmanager
def changed(event: Event, model: ReadModel) -> Iterator[Order]:
    """Changes the order of this event, and passes on to its customer what it is now worth more or less than before."""
    order = model.get(ORDERS, event.aggregate_id)
    if order is None:
        raise Reject(f"order {event.aggregate_id} has not been placed")
    spent_before = order.spent_cents
    yield order
    spent_more = order.spent_cents - spent_before
    if spent_more:
        model.increment("customers", order.customer, "spent_cents", spent_more)
    model.put(ORDERS, event.aggregate_id, order)
