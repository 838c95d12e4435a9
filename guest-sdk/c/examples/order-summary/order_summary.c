/*
 * Orders and customers of a shop.
 *
 * - `orders`: one document per order, with its customer, status, number of items and total;
 * - `customers`: one document per customer, with the number of orders and the money spent. An order counts as spent
 *   from the moment it is paid until it is cancelled.
 */
#include <kennel.h>

/* What the events carry. Fields that are not needed are left out. */

typedef struct order_placed {
    kennel_text customer;
} order_placed;

KENNEL_SHAPE(order_placed, KENNEL_TEXT(order_placed, customer));

typedef struct item_added {
    int64_t quantity;
    int64_t unit_price_cents;
} item_added;

KENNEL_SHAPE(item_added, KENNEL_INTEGER(item_added, quantity), KENNEL_INTEGER(item_added, unit_price_cents));

/* A document of the collection `orders`. */
typedef struct order {
    kennel_text customer;
    kennel_text status;
    int64_t items;
    int64_t total_cents;
} order;

KENNEL_SHAPE(order, KENNEL_TEXT(order, customer), KENNEL_TEXT(order, status), KENNEL_INTEGER(order, items),
             KENNEL_INTEGER(order, total_cents));

static const kennel_column order_columns[] = {
    {"customer", "customer", KENNEL_COLUMN_TEXT},
    {"status", "status", KENNEL_COLUMN_TEXT},
    {"total_cents", "total_cents", KENNEL_COLUMN_INTEGER},
    {0},
};

static const kennel_index order_indexes[] = {{KENNEL_NAMES("customer", "status"), false}, {0}};

static const kennel_collection collections[] = {{"orders", order_columns, order_indexes}, {0}};

static const kennel_descriptor descriptor = {
    .name = "order-summary",
    .version = "1.0.0",
    .bounded_contexts = KENNEL_NAMES("Sales"),
    .aggregate_types = KENNEL_NAMES("Order"),
    .event_types = KENNEL_NAMES("OrderPlaced", "ItemAdded", "OrderPaid", "OrderShipped", "OrderCancelled"),
    .collections = collections,
};

const kennel_descriptor *kennel_describe(void) {
    return &descriptor;
}

/* Customers are shared by many orders, and so by many workers. `kennel_increment` reads nothing and never conflicts,
 * so they need not wait for one another. */
static void place(const kennel_event *event) {
    order_placed placed;
    kennel_payload(event, &order_placed_shape, &placed);
    kennel_increment("customers", placed.customer, "orders", 1);
    kennel_increment("customers", placed.customer, "spent_cents", 0);
    order made = {.customer = placed.customer, .status = kennel_text_of("placed")};
    kennel_put("orders", event->aggregate_id, &order_shape, &made);
}

static order order_of(const kennel_event *event) {
    order found;
    if (!kennel_get("orders", event->aggregate_id, &order_shape, &found)) {
        kennel_reject("order %s has not been placed", event->aggregate_id.data);
    }
    return found;
}

/* What the customer has spent on an order. */
static int64_t spent_cents(const order *of) {
    bool is_paid_for = kennel_text_is(of->status, "paid") || kennel_text_is(of->status, "shipped");
    return is_paid_for ? of->total_cents : 0;
}

/* Keeps the order, and passes on to its customer what it is now worth more or less than before. */
static void keep(const kennel_event *event, const order *before, const order *after) {
    int64_t spent_more;
    if (__builtin_sub_overflow(spent_cents(after), spent_cents(before), &spent_more)) {
        kennel_reject("the order changed by more than can be counted");
    }
    if (spent_more != 0) {
        kennel_increment("customers", after->customer, "spent_cents", spent_more);
    }
    kennel_put("orders", event->aggregate_id, &order_shape, after);
}

static void set_status(const kennel_event *event, const char *status) {
    order before = order_of(event), after = before;
    after.status = kennel_text_of(status);
    keep(event, &before, &after);
}

static void add(const kennel_event *event) {
    item_added item;
    kennel_payload(event, &item_added_shape, &item);
    order before = order_of(event), after = before;
    int64_t price;
    if (__builtin_mul_overflow(item.quantity, item.unit_price_cents, &price) ||
        __builtin_add_overflow(before.total_cents, price, &after.total_cents) ||
        __builtin_add_overflow(before.items, item.quantity, &after.items)) {
        kennel_reject("the order is worth more than can be counted");
    }
    keep(event, &before, &after);
}

void kennel_handle(const kennel_event *event) {
    if (kennel_text_is(event->event_type, "OrderPlaced")) {
        place(event);
    } else if (kennel_text_is(event->event_type, "ItemAdded")) {
        add(event);
    } else if (kennel_text_is(event->event_type, "OrderPaid")) {
        set_status(event, "paid");
    } else if (kennel_text_is(event->event_type, "OrderShipped")) {
        set_status(event, "shipped");
    } else if (kennel_text_is(event->event_type, "OrderCancelled")) {
        set_status(event, "cancelled");
    } else {
        kennel_reject("%s is not an event of an order", event->event_type.data);
    }
}
