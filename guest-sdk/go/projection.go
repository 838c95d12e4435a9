// Package projection is the SDK for projections in Go. A projection turns the events of a log into a read model:
// collections of JSON documents, by key. Kennel runs it in a sandbox, once for every event.
//
// A program registers its [Projection] in an init function and is built as a library of WebAssembly. The package
// projectiontest runs the same projection natively, under go test.
package projection

// Projection is a handler that turns events into a read model.
//
// It is made once for each instance. The host may throw an instance away after any call and may run many side by
// side, so what must last belongs in the read model.
type Projection interface {
	// Descriptor says what this projection is called and which events it handles. It must always give the same answer.
	Descriptor() Descriptor

	// Handle handles one event. An error or a panic undoes what this call has changed, and only that. An error that
	// [Retryf] made has the host try again; any other error and any panic rejects the event.
	Handle(event *Event, model ReadModel) error
}

var registered Projection

// Register makes a value the projection of this program. Call it once, in an init function: the host does not run main.
func Register(projection Projection) {
	if projection == nil {
		panic("projection.Register: the projection is nil")
	}
	if registered != nil {
		panic("projection.Register: a program has one projection, and it has been registered already")
	}
	registered = projection
}
