//! Orders and customers of a shop.
//!
//! - `orders`: one document per order, with its customer, status, number of items and total;
//! - `customers`: one document per customer, with the number of orders and the money spent. An order
//!   counts as spent from the moment it is paid until it is cancelled.

use kennel_guest::prelude::*;
use serde::{Deserialize, Serialize};

/// The projection.
#[derive(Debug, Default)]
pub struct OrderSummary;

// What the events carry. Text is borrowed from the event; fields that are not needed are left out.

#[derive(Deserialize)]
struct OrderPlaced<'event> {
    customer: std::borrow::Cow<'event, str>,
}

#[derive(Deserialize)]
struct ItemAdded {
    quantity: i64,
    unit_price_cents: i64,
}

/// A document of the collection `orders`.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    customer: String,
    status: Status,
    items: i64,
    total_cents: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Placed,
    Paid,
    Shipped,
    Cancelled,
}

impl Status {
    fn is_paid_for(self) -> bool {
        matches!(self, Self::Paid | Self::Shipped)
    }
}

impl Projection for OrderSummary {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("order-summary", env!("CARGO_PKG_VERSION"))
            .bounded_contexts(["Sales"])
            .aggregate_types(["Order"])
            .event_types(["OrderPlaced", "ItemAdded", "OrderPaid", "OrderShipped", "OrderCancelled"])
            .collection(
                Collection::new("orders")
                    .column("customer", "customer", ColumnType::Text)
                    .column("status", "status", ColumnType::Text)
                    .column("total_cents", "total_cents", ColumnType::Integer)
                    .index(["customer", "status"]),
            )
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        match event.event_type.as_str() {
            "OrderPlaced" => place(event, model),
            "ItemAdded" => {
                let item: ItemAdded = event.json()?;
                change(event, model, |order| order.add(&item))?
            }
            "OrderPaid" => change(event, model, |order| order.status = Status::Paid),
            "OrderShipped" => change(event, model, |order| order.status = Status::Shipped),
            "OrderCancelled" => change(event, model, |order| order.status = Status::Cancelled),
            other => Err(Failure::reject(format!("{other} is not an event of an order"))),
        }
    }
}

export_projection!(OrderSummary);

fn place(event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
    let placed: OrderPlaced = event.json()?;
    // Customers are shared by many orders, and so by many workers. `increment` reads nothing and never
    // conflicts, so they need not wait for one another.
    model.increment("customers", &placed.customer, "orders", 1);
    model.increment("customers", &placed.customer, "spent_cents", 0);
    let order =
        Order { customer: placed.customer.into_owned(), status: Status::Placed, items: 0, total_cents: 0 };
    model.put("orders", &event.aggregate_id, &order)
}

/// Changes the order of this event, and passes on to its customer what the order is now worth more or
/// less than before.
fn change<R>(
    event: &Event,
    model: &mut dyn ReadModel,
    change: impl FnOnce(&mut Order) -> R,
) -> Result<R, Failure> {
    let order_id = &event.aggregate_id;
    let Some(mut order) = model.get::<Order>("orders", order_id)? else {
        return Err(Failure::reject(format!("order {order_id} has not been placed")));
    };
    let spent_before = order.spent_cents();
    let result = change(&mut order);
    let spent_more = order.spent_cents() - spent_before;
    if spent_more != 0 {
        model.increment("customers", &order.customer, "spent_cents", spent_more);
    }
    model.put("orders", order_id, &order)?;
    Ok(result)
}

impl Order {
    fn add(&mut self, item: &ItemAdded) -> Result<(), Failure> {
        let price = item.quantity.checked_mul(item.unit_price_cents);
        let total = price.and_then(|price| self.total_cents.checked_add(price));
        let items = self.items.checked_add(item.quantity);
        let (Some(total), Some(items)) = (total, items) else {
            return Err(Failure::reject("the order is worth more than can be counted"));
        };
        self.total_cents = total;
        self.items = items;
        Ok(())
    }

    /// What the customer has spent on this order.
    fn spent_cents(&self) -> i64 {
        if self.status.is_paid_for() { self.total_cents } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{EventBuilder, Scenario, event};

    use super::*;

    fn placed() -> EventBuilder {
        event("OrderPlaced").of("o-1").json(json!({"customer": "c-1", "currency": "EUR"}))
    }

    fn added(quantity: i64, unit_price_cents: i64) -> EventBuilder {
        event("ItemAdded").of("o-1").json(json!({
            "sku": "sku-1", "quantity": quantity, "unit_price_cents": unit_price_cents,
        }))
    }

    fn order(status: &str, items: i64, total_cents: i64) -> Value {
        json!({"customer": "c-1", "status": status, "items": items, "total_cents": total_cents})
    }

    fn given_an_order_of(quantity: i64, unit_price_cents: i64) -> Scenario<OrderSummary> {
        Scenario::new(OrderSummary).given(placed()).given(added(quantity, unit_price_cents))
    }

    #[test]
    fn an_order_grows_and_is_paid_and_shipped() {
        Scenario::new(OrderSummary)
            .when(placed())
            .then_document("orders", "o-1", order("placed", 0, 0))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 0}))
            .when(added(2, 1250))
            .then_document("orders", "o-1", order("placed", 2, 2500))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 0}))
            .when(event("OrderPaid").of("o-1"))
            .then_document("orders", "o-1", order("paid", 2, 2500))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 2500}))
            .when(event("OrderShipped").of("o-1"))
            .then_document("orders", "o-1", order("shipped", 2, 2500))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 2500}));
    }

    #[test]
    fn money_comes_back_only_for_what_was_paid() {
        given_an_order_of(1, 100)
            .when(event("OrderCancelled").of("o-1"))
            .then_document("orders", "o-1", order("cancelled", 1, 100))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 0}));
        given_an_order_of(1, 100)
            .given(event("OrderPaid").of("o-1"))
            .given(added(1, 50))
            .when(event("OrderCancelled").of("o-1"))
            .then_document("customers", "c-1", json!({"orders": 1, "spent_cents": 0}));
    }

    #[test]
    fn customers_add_up_over_their_orders() {
        given_an_order_of(1, 100)
            .given(event("OrderPaid").of("o-1"))
            .given(event("OrderPlaced").of("o-2").json(json!({"customer": "c-1"})))
            .given(event("OrderPlaced").of("o-3").json(json!({"customer": "c-2"})))
            .given(event("ItemAdded").of("o-2").json(json!({"quantity": 3, "unit_price_cents": 10})))
            .when(event("OrderPaid").of("o-2"))
            .then_collection(
                "customers",
                json!({
                    "c-1": {"orders": 2, "spent_cents": 130},
                    "c-2": {"orders": 1, "spent_cents": 0},
                }),
            );
    }

    #[test]
    fn what_makes_no_sense_is_rejected() {
        Scenario::new(OrderSummary)
            .when(added(1, 100))
            .then_rejects("order o-1 has not been placed")
            .when(placed().json(json!({"customer": 17})))
            .then_rejects("the payload of OrderPlaced (version 1) cannot be read: invalid type: integer `17`")
            .given(placed())
            .when(added(2, i64::MAX))
            .then_rejects("worth more than can be counted")
            .then_document("orders", "o-1", order("placed", 0, 0));
    }

    #[test]
    fn only_orders_arrive() {
        Scenario::new(OrderSummary)
            .when(placed().aggregate_type("Offer"))
            .then_out_of_scope()
            .when(placed().bounded_context("Purchasing"))
            .then_out_of_scope();
    }
}
