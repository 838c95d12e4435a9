import { test } from "node:test";

import { event, type EventBuilder, type Scenario, scenario } from "kennel-projection/testing";

import orderSummary from "../src/order-summary.js";

const placed = event("OrderPlaced").of("o-1").json({ customer: "c-1", currency: "EUR" });
const paid = event("OrderPaid").of("o-1");
const cancelled = event("OrderCancelled").of("o-1");

function added(quantity: number | bigint, unit_price_cents: number | bigint): EventBuilder {
  return event("ItemAdded").of("o-1").json({ sku: "sku-1", quantity, unit_price_cents });
}

function order(status: string, items: number, total_cents: number | bigint): object {
  return { customer: "c-1", status, items, total_cents };
}

function givenAnOrderOf(quantity: number, unitPriceCents: number): Scenario {
  return scenario(orderSummary).given(placed, added(quantity, unitPriceCents));
}

test("an order grows and is paid and shipped", () => {
  scenario(orderSummary)
    .when(placed)
    .thenDocument("orders", "o-1", order("placed", 0, 0))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 0 })
    .when(added(2, 1250))
    .thenDocument("orders", "o-1", order("placed", 2, 2500))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 0 })
    .when(paid)
    .thenDocument("orders", "o-1", order("paid", 2, 2500))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 2500 })
    .when(event("OrderShipped").of("o-1"))
    .thenDocument("orders", "o-1", order("shipped", 2, 2500))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 2500 });
});

test("money comes back only for what was paid", () => {
  givenAnOrderOf(1, 100)
    .when(cancelled)
    .thenDocument("orders", "o-1", order("cancelled", 1, 100))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 0 });
  givenAnOrderOf(1, 100)
    .given(paid, added(1, 50))
    .when(cancelled)
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 0 });
});

test("customers add up over their orders", () => {
  givenAnOrderOf(1, 100)
    .given(
      paid,
      event("OrderPlaced").of("o-2").json({ customer: "c-1" }),
      event("OrderPlaced").of("o-3").json({ customer: "c-2" }),
      event("ItemAdded").of("o-2").json({ quantity: 3, unit_price_cents: 10 }),
    )
    .when(event("OrderPaid").of("o-2"))
    .thenCollection("customers", {
      "c-1": { orders: 2, spent_cents: 130 },
      "c-2": { orders: 1, spent_cents: 0 },
    });
});

test("amounts beyond 2^53 are exact", () => {
  scenario(orderSummary)
    .given(placed, added(1, 2n ** 62n + 1n))
    .when(paid)
    .thenDocument("orders", "o-1", order("paid", 1, 4611686018427387905n))
    .thenDocument("customers", "c-1", { orders: 1, spent_cents: 4611686018427387905n });
});

test("what makes no sense is rejected", () => {
  scenario(orderSummary)
    .when(added(1, 100))
    .thenRejects("order o-1 has not been placed")
    .when(placed.json({ customer: 17 }))
    .thenRejects("the payload of OrderPlaced (version 1) cannot be read: customer: expected a string, found 17")
    .given(placed)
    .when(added(2, 2n ** 63n - 1n))
    .thenRejects("leaves the range of 64 bits")
    .thenDocument("orders", "o-1", order("placed", 0, 0));
});

test("only orders arrive", () => {
  scenario(orderSummary)
    .when(placed.aggregateType("Offer"))
    .thenOutOfScope()
    .when(placed.boundedContext("Purchasing"))
    .thenOutOfScope();
});
