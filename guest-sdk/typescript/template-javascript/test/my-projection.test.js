import { test } from "node:test";

import { event, scenario } from "kennel-projection/testing";

import myProjection from "../src/my-projection.js";

const placed = event("OrderPlaced").of("order-1").json({ customer: "ada" });
const added = event("ItemAdded").of("order-1").json({ quantity: 2 });

test("orders count their items, customers their orders", () => {
  scenario(myProjection)
    .given(placed)
    .when(added)
    .thenDocument("orders", "order-1", { customer: "ada", items: 2 })
    .thenDocument("customers", "ada", { orders: 1 });
});

test("an item of an unknown order is rejected", () => {
  scenario(myProjection).when(added).thenRejects("order order-1 has not been placed");
});
