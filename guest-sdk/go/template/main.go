// Orders of a shop, and how many of them each customer has placed.
package main

import "kennel/projection"

type orderPlaced struct {
	Customer string `json:"customer" kennel:"required"`
}

type itemAdded struct {
	Quantity int64 `json:"quantity" kennel:"required"`
}

type order struct {
	Customer string `json:"customer"`
	Items    int64  `json:"items"`
}

var orders = projection.DocumentsOf[order]("orders")

type handler struct{}

func init() { projection.Register(handler{}) }

func main() {}

func (handler) Descriptor() projection.Descriptor {
	return projection.Descriptor{
		Name:            "my-projection",
		Version:         "0.1.0",
		BoundedContexts: []string{"Sales"},
		AggregateTypes:  []string{"Order"},
		EventTypes:      []string{"OrderPlaced", "ItemAdded"},
	}
}

func (handler) Handle(event *projection.Event, model projection.ReadModel) error {
	switch event.EventType {
	case "OrderPlaced":
		return place(event, model)
	case "ItemAdded":
		return addItem(event, model)
	default:
		return projection.Rejectf("%s is not handled here", event.EventType)
	}
}

func place(event *projection.Event, model projection.ReadModel) error {
	placed, err := projection.Decode[orderPlaced](event)
	if err != nil {
		return err
	}
	model.Increment("customers", placed.Customer, "orders", 1)
	return orders.Put(model, event.AggregateID, order{Customer: placed.Customer})
}

func addItem(event *projection.Event, model projection.ReadModel) error {
	added, err := projection.Decode[itemAdded](event)
	if err != nil {
		return err
	}
	order, err := orders.Get(model, event.AggregateID)
	if err != nil {
		return err
	}
	if order == nil {
		return projection.Rejectf("order %s has not been placed", event.AggregateID)
	}
	if order.Items, err = projection.Add(order.Items, added.Quantity); err != nil {
		return err
	}
	return orders.Put(model, event.AggregateID, *order)
}
