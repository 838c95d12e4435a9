package main

import (
	crypto "crypto/rand"
	"fmt"
	"math"
	"math/big"
	"time"

	"kennel/projection"
)

type arrival struct {
	Position         uint64  `json:"position"`
	BoundedContext   string  `json:"bounded_context"`
	AggregateType    string  `json:"aggregate_type"`
	AggregateID      string  `json:"aggregate_id"`
	AggregateVersion uint64  `json:"aggregate_version"`
	EventID          string  `json:"event_id"`
	EventType        string  `json:"event_type"`
	EventVersion     uint32  `json:"event_version"`
	Payload          payload `json:"payload"`
	Metadata         *string `json:"metadata"`
	TraceID          *string `json:"trace_id"`
	CorrelationID    *string `json:"correlation_id"`
	CausationID      *string `json:"causation_id"`
	CreatedAt        moment  `json:"created_at"`
}

type payload struct {
	JSON   *string `json:"json,omitempty"`
	Binary *[]int  `json:"binary,omitempty"`
}

type moment struct {
	Seconds     int64  `json:"seconds"`
	Nanoseconds uint32 `json:"nanoseconds"`
	RFC3339     string `json:"rfc3339"`
}

func arrived(event *projection.Event, model projection.ReadModel) error {
	created := event.CreatedAt
	return projection.DocumentsOf[arrival]("arrivals").Put(model, event.EventID, arrival{
		Position:         event.Position,
		BoundedContext:   event.BoundedContext,
		AggregateType:    event.AggregateType,
		AggregateID:      event.AggregateID,
		AggregateVersion: event.AggregateVersion,
		EventID:          event.EventID,
		EventType:        event.EventType,
		EventVersion:     event.EventVersion,
		Payload:          payloadOf(event.Payload),
		Metadata:         event.Metadata,
		TraceID:          event.TraceID,
		CorrelationID:    event.CorrelationID,
		CausationID:      event.CausationID,
		CreatedAt:        moment{created.Seconds, created.Nanoseconds, created.String()},
	})
}

func payloadOf(stored projection.Payload) payload {
	if !stored.IsBinary {
		text := string(stored.Bytes)
		return payload{JSON: &text}
	}
	// encoding/json writes bytes as base64.
	numbers := make([]int, len(stored.Bytes))
	for i, number := range stored.Bytes {
		numbers[i] = int(number)
	}
	return payload{Binary: &numbers}
}

type chancePayload struct {
	Into string `json:"into" kennel:"required"`
}

type chances struct {
	Now    string `json:"now"`
	Random string `json:"random"`
}

// chance puts what a program that is no projection finds different each time.
func chance(event *projection.Event, model projection.ReadModel, payload chancePayload) error {
	secure, err := crypto.Int(crypto.Reader, big.NewInt(math.MaxInt64))
	if err != nil {
		return err
	}
	return projection.DocumentsOf[chances]("chance").Put(model, payload.Into, chances{
		Now:    projection.TimestampOf(time.Now()).String(),
		Random: fmt.Sprintf("%d %d", secure, event.Random().Uint64()),
	})
}
