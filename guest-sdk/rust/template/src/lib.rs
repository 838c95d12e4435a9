//! Orders, and how many each customer has placed.

use kennel_guest::prelude::*;

#[derive(Default)]
struct MyProjection;

#[derive(Deserialize)]
struct OrderPlaced {
    customer: String,
}

#[derive(Deserialize)]
struct ItemAdded {
    quantity: i64,
}

#[derive(Serialize, Deserialize)]
struct Order {
    customer: String,
    items: i64,
}

impl Projection for MyProjection {
    fn descriptor(&self) -> Descriptor {
        Descriptor::new("my-projection", env!("CARGO_PKG_VERSION"))
            .bounded_contexts(["Sales"])
            .aggregate_types(["Order"])
            .event_types(["OrderPlaced", "ItemAdded"])
    }

    fn handle(&self, event: &Event, model: &mut dyn ReadModel) -> Result<(), Failure> {
        let id = &event.aggregate_id;
        if event.event_type == "OrderPlaced" {
            let OrderPlaced { customer } = event.json()?;
            model.increment("customers", &customer, "orders", 1);
            return model.put("orders", id, &Order { customer, items: 0 });
        }
        let added: ItemAdded = event.json()?;
        let Some(mut order) = model.get::<Order>("orders", id)? else {
            return Err(Failure::reject(format!("order {id} has not been placed")));
        };
        order.items += added.quantity;
        model.put("orders", id, &order)
    }
}

export_projection!(MyProjection);

#[cfg(test)]
mod tests {
    use kennel_guest::testing::{Scenario, event};

    use super::*;

    #[test]
    fn an_order_counts_its_items() {
        let placed = json!({"customer": "ada"});
        let added = json!({"quantity": 2});
        Scenario::new(MyProjection)
            .given(event("OrderPlaced").of("order-1").json(placed))
            .when(event("ItemAdded").of("order-1").json(added))
            .then_document("orders", "order-1", json!({"customer": "ada", "items": 2}))
            .then_document("customers", "ada", json!({"orders": 1}));
    }

    #[test]
    fn an_item_of_an_unknown_order_is_rejected() {
        let added = json!({"quantity": 1});
        Scenario::new(MyProjection)
            .when(event("ItemAdded").of("order-9").json(added))
            .then_rejects("order order-9 has not been placed");
    }
}
