// The guest that plays the conformance suite: it does what the events of guest-sdk/conformance say, whose README has
// the table of their types.
//
// Documents that the events bring along are json.RawMessage, the type of encoding/json that keeps every digit and the
// order of keys.
package main

import (
	"encoding/json"
	"fmt"

	"kennel/projection"
)

type conformance struct{}

func init() { projection.Register(conformance{}) }

func main() {}

func (conformance) Descriptor() projection.Descriptor {
	return projection.Descriptor{Name: "conformance", Version: "1.0.0"}
}

func (conformance) Handle(event *projection.Event, model projection.ReadModel) error {
	if do, isKnown := handlers[event.EventType]; isKnown {
		return do(event, model)
	}
	model.Increment("others", event.EventType, "count", 1)
	return nil
}

// handlers has those that call Handle again too, so it is filled in an init function.
var handlers map[string]func(event *projection.Event, model projection.ReadModel) error

func init() {
	handlers = map[string]func(event *projection.Event, model projection.ReadModel) error{
		"Arrived":   arrived,
		"Put":       decoding(put),
		"PutText":   decoding(putText),
		"Copy":      decoding(copyDocument),
		"Collect":   decoding(collect),
		"Scan":      decoding(scan),
		"Delete":    decoding(deleteDocument),
		"Increment": decoding(increment),
		"Count":     decoding(count),
		"Setting":   decoding(setting),
		"Log":       decoding(log),
		"Reject":    decoding(reject),
		"Retry":     decoding(retry),
		"Throw":     decoding(throw),
		"Typed":     decoding(putTyped),
		"Print":     decoding(printLine),
		"Chance":    decoding(chance),
		"Steps":     decoding(perform),
		"Loop":      loop,
		"Allocate":  allocate,
		"Recurse":   recurse,
	}
}

// decoding handles an event by what its payload says.
func decoding[T any](
	do func(event *projection.Event, model projection.ReadModel, payload T) error,
) func(*projection.Event, projection.ReadModel) error {
	return func(event *projection.Event, model projection.ReadModel) error {
		payload, err := projection.Decode[T](event)
		if err != nil {
			return err
		}
		return do(event, model, payload)
	}
}

type steps struct {
	Steps []json.RawMessage `json:"steps" kennel:"required"`
}

type step struct {
	Type string `json:"type" kennel:"required"`
}

// perform does one thing after another. A step is the payload of an event, with its type.
func perform(event *projection.Event, model projection.ReadModel, payload steps) error {
	for _, text := range payload.Steps {
		part := *event
		part.Payload = projection.Payload{Bytes: text}
		step, err := projection.Decode[step](&part)
		if err != nil {
			return err
		}
		part.EventType = step.Type
		if err := (conformance{}).Handle(&part, model); err != nil {
			return err
		}
	}
	return nil
}

type settingPayload struct {
	Key  string `json:"key" kennel:"required"`
	Into string `json:"into" kennel:"required"`
}

type foundSetting struct {
	Value *string `json:"value"`
}

func setting(_ *projection.Event, model projection.ReadModel, payload settingPayload) error {
	found := foundSetting{}
	if value, isThere := projection.Setting(payload.Key); isThere {
		found.Value = &value
	}
	return projection.DocumentsOf[foundSetting]("settings").Put(model, payload.Into, found)
}

type logPayload struct {
	Level   string `json:"level" kennel:"required"`
	Message string `json:"message" kennel:"required"`
}

func log(_ *projection.Event, _ projection.ReadModel, payload logPayload) error {
	levels := map[string]func(string, ...any){
		"debug": projection.Debugf, "info": projection.Infof, "warn": projection.Warnf, "error": projection.Errorf,
	}
	logf, isLevel := levels[payload.Level]
	if !isLevel {
		return projection.Rejectf("%s is no level", payload.Level)
	}
	logf("%s", payload.Message)
	return nil
}

func printLine(_ *projection.Event, _ projection.ReadModel, payload message) error {
	fmt.Println(payload.Message)
	return nil
}
