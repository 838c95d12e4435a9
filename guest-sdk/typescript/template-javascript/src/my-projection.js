import { decode, defineProjection, int64 } from "kennel-projection";

export default defineProjection({
  name: "my-projection",
  version: "0.1.0",
  scope: { boundedContexts: ["Sales"], aggregateTypes: ["Order"] },
  // Checks the payloads; fields that are not named here are left out.
  events: {
    OrderPlaced: decode.object({ customer: decode.text }),
    ItemAdded: decode.object({ quantity: decode.int64 }),
  },
  on: {
    OrderPlaced(event, model) {
      const { customer } = event.payload;
      model.put("orders", event.aggregateId, { customer, items: 0 });
      model.increment("customers", customer, "orders");
    },
    ItemAdded(event, model) {
      const order = model.get("orders", event.aggregateId);
      if (order === undefined) throw new Error(`order ${event.aggregateId} has not been placed`);
      order.items = int64.add(order.items, event.payload.quantity);
      model.put("orders", event.aggregateId, order);
    },
  },
});
