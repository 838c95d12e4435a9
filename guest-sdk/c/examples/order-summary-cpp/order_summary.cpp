// Orders and customers of a shop: the projection of ../order-summary in C++.
#include <kennel.h>

#include <string_view>

namespace {

// What the events carry. Fields that are not needed are left out.
struct order_placed {
    kennel_text customer;
};
KENNEL_SHAPE(order_placed, KENNEL_TEXT(order_placed, customer));

struct item_added {
    int64_t quantity;
    int64_t unit_price_cents;
};
KENNEL_SHAPE(item_added, KENNEL_INTEGER(item_added, quantity), KENNEL_INTEGER(item_added, unit_price_cents));

// A document of the collection `orders`.
struct order {
    kennel_text customer;
    kennel_text status;
    int64_t items;
    int64_t total_cents;

    // What the customer has spent on it.
    int64_t spent_cents() const {
        bool is_paid_for = kennel_text_is(status, "paid") || kennel_text_is(status, "shipped");
        return is_paid_for ? total_cents : 0;
    }
};
KENNEL_SHAPE(order, KENNEL_TEXT(order, customer), KENNEL_TEXT(order, status), KENNEL_INTEGER(order, items),
             KENNEL_INTEGER(order, total_cents));

const kennel_column columns[] = {
    {"customer", "customer", KENNEL_COLUMN_TEXT},
    {"status", "status", KENNEL_COLUMN_TEXT},
    {"total_cents", "total_cents", KENNEL_COLUMN_INTEGER},
    {},
};
const char *const by_customer[] = {"customer", "status", nullptr};
const kennel_index indexes[] = {{by_customer, false}, {}};
const kennel_collection collections[] = {{"orders", columns, indexes}, {}};

const char *const bounded_contexts[] = {"Sales", nullptr};
const char *const aggregate_types[] = {"Order", nullptr};
const char *const event_types[] = {"OrderPlaced",  "ItemAdded",      "OrderPaid",
                                   "OrderShipped", "OrderCancelled", nullptr};
const kennel_descriptor descriptor = {
    .name = "order-summary",
    .version = "1.0.0",
    .bounded_contexts = bounded_contexts,
    .aggregate_types = aggregate_types,
    .event_types = event_types,
    .partitioning = KENNEL_BY_AGGREGATE,
    .collections = collections,
};

// Customers are shared by many orders, and so by many workers. `kennel_increment` reads nothing and never conflicts.
void place(const kennel_event &event) {
    order_placed placed;
    kennel_payload(&event, &order_placed_shape, &placed);
    kennel_increment("customers", placed.customer, "orders", 1);
    kennel_increment("customers", placed.customer, "spent_cents", 0);
    order made = {placed.customer, kennel_text_of("placed"), 0, 0};
    kennel_put("orders", event.aggregate_id, &order_shape, &made);
}

order order_of(const kennel_event &event) {
    order found;
    if (!kennel_get("orders", event.aggregate_id, &order_shape, &found)) {
        kennel_reject("order %s has not been placed", event.aggregate_id.data);
    }
    return found;
}

// Keeps the order, and passes on to its customer what it is now worth more or less than before.
void keep(const kennel_event &event, const order &before, const order &after) {
    int64_t spent_more;
    if (__builtin_sub_overflow(after.spent_cents(), before.spent_cents(), &spent_more)) {
        kennel_reject("the order changed by more than can be counted");
    }
    if (spent_more != 0) {
        kennel_increment("customers", after.customer, "spent_cents", spent_more);
    }
    kennel_put("orders", event.aggregate_id, &order_shape, &after);
}

void set_status(const kennel_event &event, const char *status) {
    order before = order_of(event), after = before;
    after.status = kennel_text_of(status);
    keep(event, before, after);
}

void add(const kennel_event &event) {
    item_added item;
    kennel_payload(&event, &item_added_shape, &item);
    order before = order_of(event), after = before;
    int64_t price;
    if (__builtin_mul_overflow(item.quantity, item.unit_price_cents, &price) ||
        __builtin_add_overflow(before.total_cents, price, &after.total_cents) ||
        __builtin_add_overflow(before.items, item.quantity, &after.items)) {
        kennel_reject("the order is worth more than can be counted");
    }
    keep(event, before, after);
}

} // namespace

const kennel_descriptor *kennel_describe() {
    return &descriptor;
}

void kennel_handle(const kennel_event *event) {
    std::string_view type(event->event_type.data, event->event_type.length);
    if (type == "OrderPlaced") {
        place(*event);
    } else if (type == "ItemAdded") {
        add(*event);
    } else if (type == "OrderPaid") {
        set_status(*event, "paid");
    } else if (type == "OrderShipped") {
        set_status(*event, "shipped");
    } else if (type == "OrderCancelled") {
        set_status(*event, "cancelled");
    } else {
        kennel_reject("%s is not an event of an order", event->event_type.data);
    }
}
