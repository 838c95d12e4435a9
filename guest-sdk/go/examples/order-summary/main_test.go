package main

import (
	"math"
	"testing"

	. "kennel/projection/projectiontest"
)

type object = map[string]any

func orderPlacedBy(customer string) EventBuilder {
	return Event("OrderPlaced").Of("o-1").JSON(object{"customer": customer, "currency": "EUR"})
}

func added(quantity, unitPriceCents int64) EventBuilder {
	payload := object{"sku": "sku-1", "quantity": quantity, "unit_price_cents": unitPriceCents}
	return Event("ItemAdded").Of("o-1").JSON(payload)
}

func orderOf(status string, items, totalCents int64) object {
	return object{"customer": "c-1", "status": status, "items": items, "total_cents": totalCents}
}

func customer(orders, spentCents int64) object {
	return object{"orders": orders, "spent_cents": spentCents}
}

func givenAnOrderOf(t *testing.T, quantity, unitPriceCents int64) *Scenario {
	return New(t, orderSummary{}).Given(orderPlacedBy("c-1"), added(quantity, unitPriceCents))
}

func TestAnOrderGrowsAndIsPaidAndShipped(t *testing.T) {
	New(t, orderSummary{}).
		When(orderPlacedBy("c-1")).
		ThenDocument("orders", "o-1", orderOf("placed", 0, 0)).
		ThenDocument("customers", "c-1", customer(1, 0)).
		When(added(2, 1250)).
		ThenDocument("orders", "o-1", orderOf("placed", 2, 2500)).
		ThenDocument("customers", "c-1", customer(1, 0)).
		When(Event("OrderPaid").Of("o-1")).
		ThenDocument("orders", "o-1", orderOf("paid", 2, 2500)).
		ThenDocument("customers", "c-1", customer(1, 2500)).
		When(Event("OrderShipped").Of("o-1")).
		ThenDocument("orders", "o-1", orderOf("shipped", 2, 2500)).
		ThenDocument("customers", "c-1", customer(1, 2500))
}

func TestMoneyComesBackOnlyForWhatWasPaid(t *testing.T) {
	givenAnOrderOf(t, 1, 100).
		When(Event("OrderCancelled").Of("o-1")).
		ThenDocument("orders", "o-1", orderOf("cancelled", 1, 100)).
		ThenDocument("customers", "c-1", customer(1, 0))
	givenAnOrderOf(t, 1, 100).
		Given(Event("OrderPaid").Of("o-1"), added(1, 50)).
		When(Event("OrderCancelled").Of("o-1")).
		ThenDocument("customers", "c-1", customer(1, 0))
}

func TestCustomersAddUpOverTheirOrders(t *testing.T) {
	givenAnOrderOf(t, 1, 100).
		Given(
			Event("OrderPaid").Of("o-1"),
			orderPlacedBy("c-1").Of("o-2"),
			orderPlacedBy("c-2").Of("o-3"),
			added(3, 10).Of("o-2"),
		).
		When(Event("OrderPaid").Of("o-2")).
		ThenCollection("customers", object{"c-1": customer(2, 130), "c-2": customer(1, 0)})
}

func TestWhatMakesNoSenseIsRejected(t *testing.T) {
	New(t, orderSummary{}).
		When(added(1, 100)).
		ThenRejects("order o-1 has not been placed").
		When(orderPlacedBy("").JSON(object{"customer": 17})).
		ThenRejects("the payload of OrderPlaced (version 1) cannot be read: json: cannot unmarshal number").
		When(orderPlacedBy("").JSON(object{})).
		ThenRejects("missing field `customer`").
		Given(orderPlacedBy("c-1")).
		When(added(2, math.MaxInt64)).
		ThenRejects("worth more than can be counted").
		ThenDocument("orders", "o-1", orderOf("placed", 0, 0))
}

func TestOnlyOrdersArrive(t *testing.T) {
	New(t, orderSummary{}).
		When(orderPlacedBy("c-1").AggregateType("Offer")).
		ThenOutOfScope().
		When(orderPlacedBy("c-1").BoundedContext("Purchasing")).
		ThenOutOfScope()
}
