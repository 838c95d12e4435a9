// Orders and customers of a shop.
//
//   - orders: one document per order, with its customer, status, number of items and total;
//   - customers: one document per customer, with the number of orders and the money spent. An order counts as spent
//     from the moment it is paid until it is cancelled.
package main

import "kennel/projection"

// What the events carry. Fields that are not needed are left out.

type orderPlaced struct {
	Customer string `json:"customer" kennel:"required"`
}

type itemAdded struct {
	Quantity       int64 `json:"quantity" kennel:"required"`
	UnitPriceCents int64 `json:"unit_price_cents" kennel:"required"`
}

// order is a document of the collection orders.
type order struct {
	Customer   string `json:"customer"`
	Status     status `json:"status"`
	Items      int64  `json:"items"`
	TotalCents int64  `json:"total_cents"`
}

type status string

const (
	placed    status = "placed"
	paid      status = "paid"
	shipped   status = "shipped"
	cancelled status = "cancelled"
)

var orders = projection.DocumentsOf[order]("orders")

// orderSummary is the projection.
type orderSummary struct{}

func init() { projection.Register(orderSummary{}) }

func main() {}

func (orderSummary) Descriptor() projection.Descriptor {
	return projection.Descriptor{
		Name:            "order-summary",
		Version:         "1.0.0",
		BoundedContexts: []string{"Sales"},
		AggregateTypes:  []string{"Order"},
		EventTypes:      []string{"OrderPlaced", "ItemAdded", "OrderPaid", "OrderShipped", "OrderCancelled"},
		Collections: []projection.Collection{{
			Name: "orders",
			Columns: []projection.Column{
				{Name: "customer", Path: "customer", Type: projection.Text},
				{Name: "status", Path: "status", Type: projection.Text},
				{Name: "total_cents", Path: "total_cents", Type: projection.Integer},
			},
			Indexes: []projection.Index{{Columns: []string{"customer", "status"}}},
		}},
	}
}

func (orderSummary) Handle(event *projection.Event, model projection.ReadModel) error {
	switch event.EventType {
	case "OrderPlaced":
		return place(event, model)
	case "ItemAdded":
		item, err := projection.Decode[itemAdded](event)
		if err != nil {
			return err
		}
		return change(event, model, func(order *order) error { return order.add(item) })
	case "OrderPaid":
		return change(event, model, become(paid))
	case "OrderShipped":
		return change(event, model, become(shipped))
	case "OrderCancelled":
		return change(event, model, become(cancelled))
	default:
		return projection.Rejectf("%s is not an event of an order", event.EventType)
	}
}

func place(event *projection.Event, model projection.ReadModel) error {
	event0, err := projection.Decode[orderPlaced](event)
	if err != nil {
		return err
	}
	// Customers are shared by many orders, and so by many workers. Increment reads nothing and never conflicts, so they
	// need not wait for one another.
	model.Increment("customers", event0.Customer, "orders", 1)
	model.Increment("customers", event0.Customer, "spent_cents", 0)
	return orders.Put(model, event.AggregateID, order{Customer: event0.Customer, Status: placed})
}

// change changes the order of this event, and passes on to its customer what the order is now worth more or less than
// before.
func change(event *projection.Event, model projection.ReadModel, change func(*order) error) error {
	order, err := orders.Get(model, event.AggregateID)
	if err != nil {
		return err
	}
	if order == nil {
		return projection.Rejectf("order %s has not been placed", event.AggregateID)
	}
	before := order.spentCents()
	if err := change(order); err != nil {
		return err
	}
	if more := order.spentCents() - before; more != 0 {
		model.Increment("customers", order.Customer, "spent_cents", more)
	}
	return orders.Put(model, event.AggregateID, *order)
}

func become(status status) func(*order) error {
	return func(order *order) error {
		order.Status = status
		return nil
	}
}

func (o *order) add(item itemAdded) error {
	price, err := projection.Multiply(item.Quantity, item.UnitPriceCents)
	if err != nil {
		return tooMuch(err)
	}
	total, err := projection.Add(o.TotalCents, price)
	if err != nil {
		return tooMuch(err)
	}
	items, err := projection.Add(o.Items, item.Quantity)
	if err != nil {
		return tooMuch(err)
	}
	o.TotalCents, o.Items = total, items
	return nil
}

func tooMuch(why error) error {
	return projection.Rejectf("the order is worth more than can be counted: %w", why)
}

// spentCents is what the customer has spent on this order.
func (o *order) spentCents() int64 {
	if o.Status == paid || o.Status == shipped {
		return o.TotalCents
	}
	return 0
}
