"""The tests of the example: ``PYTHONPATH=../../src python3 -m unittest``, or without the path once it is installed."""

import unittest

from kennel_projection.testing import EventBuilder, Scenario, event
from order_summary import ORDERS, ItemAdded, Order, OrderPlaced, OrderSummary, Status

PLACED = event("OrderPlaced", {"customer": "c-1", "currency": "EUR"}, of="o-1")
PAID = event("OrderPaid", of="o-1")
SHIPPED = event("OrderShipped", of="o-1")
CANCELLED = event("OrderCancelled", of="o-1")


def added(quantity: int, unit_price_cents: int, of: str = "o-1") -> EventBuilder:
    return event("ItemAdded", {"sku": "s-1", "quantity": quantity, "unit_price_cents": unit_price_cents}, of=of)


def customer(orders: int, spent_cents: int) -> dict[str, int]:
    return {"orders": orders, "spent_cents": spent_cents}


def given_an_order_of(quantity: int, unit_price_cents: int) -> Scenario:
    return Scenario(OrderSummary).given(PLACED, added(quantity, unit_price_cents))


class OrderSummaryTest(unittest.TestCase):
    def test_an_order_grows_and_is_paid_and_shipped(self) -> None:
        scenario = Scenario(OrderSummary)
        for arrives, order, spent in [
            (PLACED, Order("c-1", Status.PLACED, 0, 0), 0),
            (added(2, 1250), Order("c-1", Status.PLACED, 2, 2500), 0),
            (PAID, Order("c-1", Status.PAID, 2, 2500), 2500),
            (SHIPPED, Order("c-1", Status.SHIPPED, 2, 2500), 2500),
        ]:
            scenario.when(arrives).then_document(ORDERS, "o-1", order)
            scenario.then_document("customers", "c-1", customer(1, spent))

    def test_a_document_is_plain_json(self) -> None:
        expected = {"customer": "c-1", "status": "placed", "items": 2, "total_cents": 2500}
        Scenario(OrderSummary).given(PLACED).when(added(2, 1250)).then_document("orders", "o-1", expected)

    def test_money_comes_back_only_for_what_was_paid(self) -> None:
        (
            given_an_order_of(1, 100)
            .when(CANCELLED)
            .then_document(ORDERS, "o-1", Order("c-1", Status.CANCELLED, 1, 100))
            .then_document("customers", "c-1", customer(1, 0))
        )
        (
            given_an_order_of(1, 100)
            .given(PAID, added(1, 50))
            .when(CANCELLED)
            .then_document("customers", "c-1", customer(1, 0))
        )

    def test_customers_add_up_over_their_orders(self) -> None:
        (
            given_an_order_of(1, 100)
            .given(PAID, event(OrderPlaced("c-1"), of="o-2"), event(OrderPlaced("c-2"), of="o-3"))
            .given(event(ItemAdded(3, 10), of="o-2"))
            .when(event("OrderPaid", of="o-2"))
            .then_collection("customers", {"c-1": customer(2, 130), "c-2": customer(1, 0)})
        )

    def test_what_makes_no_sense_is_rejected(self) -> None:
        (
            Scenario(OrderSummary)
            .when(added(1, 100))
            .then_rejects("order o-1 has not been placed")
            .when(event("OrderPlaced", {"customer": 17}, of="o-1"))
            .then_rejects("the payload of OrderPlaced (version 1) cannot be read: customer: expected text, found the")
            .given(PLACED)
            .when(added(2, 2**63 - 1))
            .then_rejects("worth more than can be counted")
            .then_document(ORDERS, "o-1", Order("c-1"))
        )

    def test_only_orders_arrive(self) -> None:
        scenario = Scenario(OrderSummary)
        scenario.when(event("OrderPlaced", aggregate_type="Offer")).then_out_of_scope()
        scenario.when(event("OrderPlaced", bounded_context="Purchasing")).then_out_of_scope()
        scenario.when(event("OrderPriced")).then_out_of_scope()


if __name__ == "__main__":
    unittest.main()
