/* Orders, and how many each customer has placed. */
#include <kennel.h>

typedef struct { kennel_text customer; } order_placed;
KENNEL_SHAPE(order_placed, KENNEL_TEXT(order_placed, customer));
typedef struct { int64_t quantity; } item_added;
KENNEL_SHAPE(item_added, KENNEL_INTEGER(item_added, quantity));
typedef struct { kennel_text customer; int64_t items; } order;
KENNEL_SHAPE(order, KENNEL_TEXT(order, customer), KENNEL_INTEGER(order, items));

static const kennel_descriptor my_projection = {
    "my-projection", "0.1.0", KENNEL_NAMES("Sales"), KENNEL_NAMES("Order"), KENNEL_NAMES("OrderPlaced", "ItemAdded")};
const kennel_descriptor *kennel_describe(void) { return &my_projection; }

void kennel_handle(const kennel_event *event) {
    order found = {0};
    if (kennel_text_is(event->event_type, "OrderPlaced")) {
        order_placed placed;
        kennel_payload(event, &order_placed_shape, &placed);
        kennel_increment("customers", placed.customer, "orders", 1);
        found.customer = placed.customer;
    } else {
        item_added item;
        kennel_payload(event, &item_added_shape, &item);
        if (!kennel_get("orders", event->aggregate_id, &order_shape, &found)) {
            kennel_reject("order %s has not been placed", event->aggregate_id.data);
        }
        found.items += item.quantity;
    }
    kennel_put("orders", event->aggregate_id, &order_shape, &found);
}
