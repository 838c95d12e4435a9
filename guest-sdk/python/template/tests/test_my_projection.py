import unittest

from kennel_projection.testing import Scenario, event
from my_projection import ORDERS, ItemAdded, MyProjection, Order, OrderPlaced

PLACED = event(OrderPlaced("ada"), of="order-1")
ADDED = event(ItemAdded(2), of="order-1")


class MyProjectionTest(unittest.TestCase):
    def test_orders_count_their_items_and_customers_their_orders(self) -> None:
        (
            Scenario(MyProjection)
            .given(PLACED)
            .when(ADDED)
            .then_document(ORDERS, "order-1", Order("ada", items=2))
            .then_document("customers", "ada", {"orders": 1})
        )

    def test_an_item_of_an_unknown_order_is_rejected(self) -> None:
        Scenario(MyProjection).when(ADDED).then_rejects("order order-1 has not been placed")
