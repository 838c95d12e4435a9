//! Orders and customers of a shop: the projection of ../order-summary in Zig.
const std = @import("std");
const kennel = @import("kennel");

pub const panic = kennel.panic;

// What the events carry. Fields that are not needed are left out.
const OrderPlaced = struct { customer: kennel.Text };
const ItemAdded = struct { quantity: i64, unit_price_cents: i64 };

/// A document of the collection `orders`.
const Order = struct {
    customer: kennel.Text,
    status: kennel.Text,
    items: i64,
    total_cents: i64,

    /// What the customer has spent on it.
    fn spentCents(order: Order) i64 {
        const is_paid_for = kennel.is(order.status, "paid") or kennel.is(order.status, "shipped");
        return if (is_paid_for) order.total_cents else 0;
    }
};

const columns = [_]kennel.c.kennel_column{
    .{ .name = "customer", .path = "customer", .data_type = kennel.c.KENNEL_COLUMN_TEXT },
    .{ .name = "status", .path = "status", .data_type = kennel.c.KENNEL_COLUMN_TEXT },
    .{ .name = "total_cents", .path = "total_cents", .data_type = kennel.c.KENNEL_COLUMN_INTEGER },
    .{},
};
const indexes = [_]kennel.c.kennel_index{ .{ .columns = kennel.names(&.{ "customer", "status" }) }, .{} };
const collections = [_]kennel.c.kennel_collection{
    .{ .name = "orders", .columns = &columns, .indexes = &indexes },
    .{},
};

const descriptor: kennel.Descriptor = .{
    .name = "order-summary",
    .version = "1.0.0",
    .bounded_contexts = kennel.names(&.{"Sales"}),
    .aggregate_types = kennel.names(&.{"Order"}),
    .event_types = kennel.names(&.{ "OrderPlaced", "ItemAdded", "OrderPaid", "OrderShipped", "OrderCancelled" }),
    .collections = &collections,
};

export fn kennel_describe() *const kennel.Descriptor {
    return &descriptor;
}

export fn kennel_handle(event: *const kennel.Event) void {
    const Type = enum { OrderPlaced, ItemAdded, OrderPaid, OrderShipped, OrderCancelled };
    const event_type = std.meta.stringToEnum(Type, kennel.slice(event.event_type)) orelse
        kennel.reject("{s} is not an event of an order", .{kennel.slice(event.event_type)});
    switch (event_type) {
        .OrderPlaced => place(event),
        .ItemAdded => add(event),
        .OrderPaid => setStatus(event, "paid"),
        .OrderShipped => setStatus(event, "shipped"),
        .OrderCancelled => setStatus(event, "cancelled"),
    }
}

fn place(event: *const kennel.Event) void {
    const placed = kennel.payload(event, OrderPlaced);
    // Customers are shared by many orders, and so by many workers. An increment reads nothing and never conflicts.
    kennel.increment("customers", placed.customer, "orders", 1);
    kennel.increment("customers", placed.customer, "spent_cents", 0);
    kennel.put("orders", event.aggregate_id, Order{
        .customer = placed.customer,
        .status = kennel.text("placed"),
        .items = 0,
        .total_cents = 0,
    });
}

fn add(event: *const kennel.Event) void {
    const item = kennel.payload(event, ItemAdded);
    const before = orderOf(event);
    var after = before;
    const price = std.math.mul(i64, item.quantity, item.unit_price_cents) catch rejectAmount();
    after.total_cents = std.math.add(i64, before.total_cents, price) catch rejectAmount();
    after.items = std.math.add(i64, before.items, item.quantity) catch rejectAmount();
    keep(event, before, after);
}

fn rejectAmount() noreturn {
    kennel.reject("the order is worth more than can be counted", .{});
}

fn setStatus(event: *const kennel.Event, status: []const u8) void {
    const before = orderOf(event);
    var after = before;
    after.status = kennel.text(status);
    keep(event, before, after);
}

fn orderOf(event: *const kennel.Event) Order {
    return kennel.get("orders", event.aggregate_id, Order) orelse
        kennel.reject("order {s} has not been placed", .{kennel.slice(event.aggregate_id)});
}

/// Keeps the order, and passes on to its customer what it is now worth more or less than before.
fn keep(event: *const kennel.Event, before: Order, after: Order) void {
    const spent_more = std.math.sub(i64, after.spentCents(), before.spentCents()) catch rejectAmount();
    if (spent_more != 0) {
        kennel.increment("customers", after.customer, "spent_cents", spent_more);
    }
    kennel.put("orders", event.aggregate_id, after);
}
