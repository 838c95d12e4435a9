//! Orders and customers of a shop.
//!
//! - `orders`: one document per order, with its customer, status, number of items and total;
//! - `customers`: one document per customer, with the number of orders and the money spent. An order
//!   counts as spent from the moment it is paid until it is cancelled.

import {
  decode,
  type Decoded,
  defineProjection,
  type Event,
  int64,
  type ReadModel,
  type Whole,
} from "kennel-projection";

// What the events carry; fields that are not needed are left out.
const events = {
  OrderPlaced: decode.object({ customer: decode.text }),
  ItemAdded: decode.object({ quantity: decode.int64, unit_price_cents: decode.int64 }),
  OrderPaid: decode.any,
  OrderShipped: decode.any,
  OrderCancelled: decode.any,
};

type Events = { [Type in keyof typeof events]: Decoded<(typeof events)[Type]> };

/** A document of the collection `orders`. */
interface Order {
  customer: string;
  status: "placed" | "paid" | "shipped" | "cancelled";
  items: Whole;
  total_cents: Whole;
}

interface Documents {
  orders: Order;
  customers: { orders: Whole; spent_cents: Whole };
}

type Model = ReadModel<Documents>;

export default defineProjection<Events, Documents>({
  name: "order-summary",
  version: "0.1.0",
  scope: { boundedContexts: ["Sales"], aggregateTypes: ["Order"] },
  collections: {
    orders: {
      columns: { customer: "text", status: "text", total_cents: "integer" },
      indexes: [["customer", "status"]],
    },
  },
  events,
  on: {
    OrderPlaced: place,
    ItemAdded(event, model) {
      const { quantity, unit_price_cents } = event.payload;
      change(event, model, (order) => {
        order.total_cents = int64.add(order.total_cents, int64.multiply(quantity, unit_price_cents));
        order.items = int64.add(order.items, quantity);
      });
    },
    OrderPaid: (event, model) => change(event, model, (order) => void (order.status = "paid")),
    OrderShipped: (event, model) => change(event, model, (order) => void (order.status = "shipped")),
    OrderCancelled: (event, model) => change(event, model, (order) => void (order.status = "cancelled")),
  },
});

function place(event: Event<"OrderPlaced", Events["OrderPlaced"]>, model: Model): void {
  const { customer } = event.payload;
  // Customers are shared by many orders, and so by many workers. `increment` reads nothing and never conflicts, so they
  // need not wait for one another.
  model.increment("customers", customer, "orders", 1);
  model.increment("customers", customer, "spent_cents", 0);
  model.put("orders", event.aggregateId, { customer, status: "placed", items: 0, total_cents: 0 });
}

/** Changes the order of this event, and passes on to its customer what the order is now worth more or less. */
function change(event: Event, model: Model, alter: (order: Order) => void): void {
  const order = model.get("orders", event.aggregateId);
  if (order === undefined) throw new Error(`order ${event.aggregateId} has not been placed`);
  const before = spent(order);
  alter(order);
  const more = int64.subtract(spent(order), before);
  if (more !== 0) model.increment("customers", order.customer, "spent_cents", more);
  model.put("orders", event.aggregateId, order);
}

/** What the customer has spent on this order. */
function spent(order: Order): Whole {
  return order.status === "paid" || order.status === "shipped" ? order.total_cents : 0;
}
