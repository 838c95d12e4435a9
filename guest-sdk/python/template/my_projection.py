"""The orders of a shop, and how many each customer has placed."""

from dataclasses import dataclass

from kennel_projection import Collection, Event, ReadModel, Reject, on, projection


@dataclass
class OrderPlaced:
    customer: str


@dataclass
class ItemAdded:
    quantity: int


@dataclass
class Order:
    customer: str
    items: int = 0


ORDERS = Collection("orders", Order)


@projection("my-projection", "0.1.0", bounded_contexts=["Sales"], aggregate_types=["Order"])
class MyProjection:
    @on(OrderPlaced)
    def placed(self, event: Event[OrderPlaced], model: ReadModel) -> None:
        model.put(ORDERS, event.aggregate_id, Order(event.data.customer))
        model.increment("customers", event.data.customer, "orders")

    @on(ItemAdded)
    def added(self, event: Event[ItemAdded], model: ReadModel) -> None:
        order = model.get(ORDERS, event.aggregate_id)
        if order is None:
            raise Reject(f"order {event.aggregate_id} has not been placed")
        order.items += event.data.quantity
        model.put(ORDERS, event.aggregate_id, order)
