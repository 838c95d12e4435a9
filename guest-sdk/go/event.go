package projection

import "fmt"

// Event is one immutable row of the event log. Whole numbers have all their 64 bits.
type Event struct {
	// Position in the log: unique and increasing, but not free of gaps. The first is 1.
	Position uint64
	// BoundedContext is the part of the business that the aggregate belongs to, such as Sales.
	BoundedContext string
	// AggregateType is the kind of aggregate, such as Order.
	AggregateType string
	// AggregateID says which aggregate. Events of one aggregate arrive in order, one at a time.
	AggregateID string
	// AggregateVersion is the aggregate's version after this event. The first is 1.
	AggregateVersion uint64
	// EventID is the event's own identity, a UUID in lower-case text with hyphens.
	EventID string
	// EventType says what happened, such as OrderPlaced.
	EventType string
	// EventVersion is the version of the payload's schema.
	EventVersion uint32
	// Payload says what happened, in detail. [Decode] reads it into a type of your own.
	Payload Payload
	// Metadata is JSON text that the writer attached, nil if there is none.
	Metadata *string
	// TraceID is the distributed trace in which the event was written, nil if there is none.
	TraceID *string
	// CorrelationID is the business process that the event belongs to, nil if there is none.
	CorrelationID *string
	// CausationID is the message that caused the event, nil if there is none.
	CausationID *string
	// CreatedAt says when the event was written, as its writer says. Times need not rise with positions.
	CreatedAt Timestamp
}

// Payload is the body of an event, exactly as it is stored.
type Payload struct {
	// Bytes are JSON text, or anything else if IsBinary is set.
	Bytes []byte
	// IsBinary says that the payload is no JSON.
	IsBinary bool
}

// Decode reads the payload of an event into a type of your own, as encoding/json does, with three differences: a
// number in an `any` is a [json.Number] and keeps all its digits, a float64 takes no whole number beyond 2^53 that it
// would round, and a field with the tag `kennel:"required"` has to be there and must not be null.
//
// An error rejects the event when the handler returns it.
func Decode[T any](event *Event) (T, error) {
	var payload T
	if event.Payload.IsBinary {
		return payload, event.misfit(fmt.Errorf("it is %d bytes that are not JSON", len(event.Payload.Bytes)))
	}
	if err := decodeJSON(event.Payload.Bytes, &payload); err != nil {
		return payload, event.misfit(err)
	}
	return payload, nil
}

func (event *Event) misfit(why error) error {
	return fmt.Errorf("the payload of %s (version %d) cannot be read: %w", event.EventType, event.EventVersion, why)
}
