package main

import (
	"testing"

	. "kennel/projection/projectiontest"
)

type object = map[string]any

func TestItemsOfAnOrderAddUp(t *testing.T) {
	New(t, handler{}).
		Given(Event("OrderPlaced").Of("order-1").JSON(object{"customer": "ada"})).
		When(Event("ItemAdded").Of("order-1").JSON(object{"quantity": 2})).
		ThenDocument("orders", "order-1", object{"customer": "ada", "items": 2}).
		ThenDocument("customers", "ada", object{"orders": 1})
}

func TestAnItemOfAnUnknownOrderIsRejected(t *testing.T) {
	New(t, handler{}).
		When(Event("ItemAdded").Of("order-9").JSON(object{"quantity": 1})).
		ThenRejects("order order-9 has not been placed")
}
