//go:build wasip1

package projection

import (
	"runtime"
	"strings"
	"structs"

	"kennel/projection/internal/abi"
)

// What the host reads and writes in linear memory: the records of the world, field by field.

type hostEvent struct {
	_                structs.HostLayout
	position         uint64
	boundedContext   abi.Text
	aggregateType    abi.Text
	aggregateID      abi.Text
	aggregateVersion uint64
	eventID          abi.Text
	eventType        abi.Text
	eventVersion     uint32
	payloadIsBinary  uint8
	payload          abi.Text
	metadata         abi.OptionalText
	traceID          abi.OptionalText
	correlationID    abi.OptionalText
	causationID      abi.OptionalText
	createdAt        struct {
		_           structs.HostLayout
		seconds     int64
		nanoseconds uint32
	}
}

type hostResult struct {
	_        structs.HostLayout
	isFailed uint8
	failure  struct {
		_        structs.HostLayout
		isReject uint8
		_        [3]uint8
		reason   abi.Text
	}
}

type hostDescriptor struct {
	_               structs.HostLayout
	name            abi.Text
	version         abi.Text
	boundedContexts abi.List
	aggregateTypes  abi.List
	eventTypes      abi.List
	partitioning    Partitioning
	collections     abi.List
}

type hostCollection struct {
	_       structs.HostLayout
	name    abi.Text
	columns abi.List
	indexes abi.List
}

type hostColumn struct {
	_        structs.HostLayout
	name     abi.Text
	path     abi.Text
	dataType ColumnType
}

type hostIndex struct {
	_       structs.HostLayout
	columns abi.List
	unique  bool
}

// What was returned last. The host reads it after the call, so it has to stay alive.
var (
	result     hostResult
	reason     string
	described  *hostDescriptor
	references []any
)

//go:wasmexport handle
func exportHandle(passed *hostEvent) *hostResult {
	event := Event{
		Position:         passed.position,
		BoundedContext:   passed.boundedContext.String(),
		AggregateType:    passed.aggregateType.String(),
		AggregateID:      passed.aggregateID.String(),
		AggregateVersion: passed.aggregateVersion,
		EventID:          passed.eventID.String(),
		EventType:        passed.eventType.String(),
		EventVersion:     passed.eventVersion,
		Payload:          Payload{Bytes: passed.payload.Bytes(), IsBinary: passed.payloadIsBinary == 1},
		Metadata:         passed.metadata.Optional(),
		TraceID:          passed.traceID.Optional(),
		CorrelationID:    passed.correlationID.Optional(),
		CausationID:      passed.causationID.Optional(),
		CreatedAt:        Timestamp{Seconds: passed.createdAt.seconds, Nanoseconds: passed.createdAt.nanoseconds},
	}
	abi.Release()
	goroutines := runtime.NumGoroutine()
	failure := Call(theProjection(), &event, hostReadModel{})
	settle(goroutines)
	result = hostResult{}
	if failure == nil {
		return &result
	}
	// Text that is no UTF-8 would trap on its way to the host.
	reason = strings.ToValidUTF8(failure.Reason, "\uFFFD")
	result.isFailed = 1
	if !failure.IsRetry {
		result.failure.isReject = 1
	}
	result.failure.reason = abi.Lower(reason)
	return &result
}

// Turns that goroutines get which a handler leaves behind. One that waits for something takes none.
const turnsMax = 100

// settle runs what the handler has left behind, as long as there are more goroutines than before: what they do then,
// such as a panic, is this event's and not the next one's.
func settle(before int) {
	for turn := 0; runtime.NumGoroutine() > before && turn < turnsMax; turn++ {
		runtime.Gosched()
	}
}

//go:wasmexport describe
func exportDescribe() *hostDescriptor {
	descriptor := theProjection().Descriptor()
	references = []any{descriptor}
	collections := make([]hostCollection, len(descriptor.Collections))
	for i, collection := range descriptor.Collections {
		collections[i] = lowerCollection(collection)
	}
	described = &hostDescriptor{
		name:            abi.Lower(descriptor.Name),
		version:         abi.Lower(descriptor.Version),
		boundedContexts: texts(descriptor.BoundedContexts),
		aggregateTypes:  texts(descriptor.AggregateTypes),
		eventTypes:      texts(descriptor.EventTypes),
		partitioning:    descriptor.Partitioning,
		collections:     list(collections),
	}
	return described
}

func lowerCollection(collection Collection) hostCollection {
	columns := make([]hostColumn, len(collection.Columns))
	for i, column := range collection.Columns {
		columns[i] = hostColumn{name: abi.Lower(column.Name), path: abi.Lower(column.Path), dataType: column.Type}
	}
	indexes := make([]hostIndex, len(collection.Indexes))
	for i, index := range collection.Indexes {
		indexes[i] = hostIndex{columns: texts(index.Columns), unique: index.Unique}
	}
	return hostCollection{name: abi.Lower(collection.Name), columns: list(columns), indexes: list(indexes)}
}

func texts(texts []string) abi.List {
	return list(abi.LowerTexts(texts))
}

// list is a list for the host, whose elements stay alive.
func list[T any](elements []T) abi.List {
	references = append(references, elements)
	return abi.LowerList(elements)
}

func theProjection() Projection {
	if registered == nil {
		panic("no projection is registered: call projection.Register in an init function")
	}
	return registered
}
