package projectiontest

import (
	"fmt"

	"kennel/projection"
)

// When the first event of a scenario was written: the start of 2026.
const firstCreatedAt = 1_767_225_600

// EventBuilder is an event in the making; begin with [Event].
type EventBuilder struct {
	event          projection.Event
	boundedContext *string
	aggregateType  *string
	version        *uint64
	position       *uint64
	createdAt      *projection.Timestamp
}

// Event is an event of the given type.
//
// Unless set otherwise it is the next of the log and of its aggregate, belongs to the first bounded context and
// aggregate type that the projection asks for, is of aggregate 1, was written one second after the event before it,
// and carries {}.
func Event(eventType string) EventBuilder {
	return EventBuilder{event: projection.Event{
		EventType:    eventType,
		AggregateID:  "1",
		EventVersion: 1,
		Payload:      projection.Payload{Bytes: []byte("{}")},
	}}
}

// Of sets the aggregate's id.
func (b EventBuilder) Of(aggregateID string) EventBuilder {
	b.event.AggregateID = aggregateID
	return b
}

// BoundedContext sets the part of the business.
func (b EventBuilder) BoundedContext(name string) EventBuilder {
	b.boundedContext = &name
	return b
}

// AggregateType sets the kind of aggregate.
func (b EventBuilder) AggregateType(name string) EventBuilder {
	b.aggregateType = &name
	return b
}

// Version sets the aggregate's version after this event.
func (b EventBuilder) Version(version uint64) EventBuilder {
	b.version = &version
	return b
}

// Position sets the position in the log; later events follow it.
func (b EventBuilder) Position(position uint64) EventBuilder {
	b.position = &position
	return b
}

// ID sets the event's own identity, a UUID.
func (b EventBuilder) ID(id string) EventBuilder {
	b.event.EventID = id
	return b
}

// Schema sets the version of the payload's schema.
func (b EventBuilder) Schema(version uint32) EventBuilder {
	b.event.EventVersion = version
	return b
}

// JSON sets the payload to a value's JSON text. A value without one panics. Text goes in as json.RawMessage.
func (b EventBuilder) JSON(payload any) EventBuilder {
	b.event.Payload = projection.Payload{Bytes: []byte(mustEncode(payload))}
	return b
}

// Binary sets the payload to bytes that are not JSON.
func (b EventBuilder) Binary(payload []byte) EventBuilder {
	b.event.Payload = projection.Payload{Bytes: payload, IsBinary: true}
	return b
}

// Metadata attaches metadata: a value's JSON text.
func (b EventBuilder) Metadata(metadata any) EventBuilder {
	text := mustEncode(metadata)
	b.event.Metadata = &text
	return b
}

// TraceID sets the distributed trace in which the event was written.
func (b EventBuilder) TraceID(id string) EventBuilder {
	b.event.TraceID = &id
	return b
}

// CorrelationID sets the business process that the event belongs to.
func (b EventBuilder) CorrelationID(id string) EventBuilder {
	b.event.CorrelationID = &id
	return b
}

// CausationID sets the message that caused the event.
func (b EventBuilder) CausationID(id string) EventBuilder {
	b.event.CausationID = &id
	return b
}

// CreatedAt sets when the event was written.
func (b EventBuilder) CreatedAt(time projection.Timestamp) EventBuilder {
	b.createdAt = &time
	return b
}

// eventLog counts positions and versions as a log does.
type eventLog struct {
	lastPosition uint64
	lastVersions map[[3]string]uint64
}

// add makes the event whole, as the next of this log.
func (l *eventLog) add(b EventBuilder, descriptor projection.Descriptor) *projection.Event {
	event := b.event
	event.BoundedContext = orFirst(b.boundedContext, descriptor.BoundedContexts)
	event.AggregateType = orFirst(b.aggregateType, descriptor.AggregateTypes)
	event.Position = l.lastPosition + 1
	if b.position != nil {
		event.Position = *b.position
	}
	l.lastPosition = event.Position
	aggregate := [3]string{event.BoundedContext, event.AggregateType, event.AggregateID}
	event.AggregateVersion = l.lastVersions[aggregate] + 1
	if b.version != nil {
		event.AggregateVersion = *b.version
	}
	if l.lastVersions == nil {
		l.lastVersions = map[[3]string]uint64{}
	}
	l.lastVersions[aggregate] = event.AggregateVersion
	if event.EventID == "" {
		event.EventID = fmt.Sprintf("00000000-0000-4000-8000-%012x", event.Position)
	}
	// Positions beyond what times can count are written at the same second.
	event.CreatedAt = projection.Timestamp{Seconds: firstCreatedAt + int64(min(event.Position-1, 1<<40))}
	if b.createdAt != nil {
		event.CreatedAt = *b.createdAt
	}
	return &event
}

func orFirst(name *string, askedFor []string) string {
	switch {
	case name != nil:
		return *name
	case len(askedFor) > 0:
		return askedFor[0]
	default:
		return "Test"
	}
}

func mustEncode(value any) string {
	text, err := projection.EncodeJSON(value)
	if err != nil {
		panic(fmt.Sprintf("the value has no JSON form: %v", err))
	}
	return text
}
