package main

import "kennel/projection"

type message struct {
	Message string `json:"message" kennel:"required"`
}

// attempt leaves what has to be undone when the event fails.
func attempt(event *projection.Event, model projection.ReadModel) error {
	return projection.DocumentsOf[bool]("attempts").Put(model, event.EventID, true)
}

func reject(event *projection.Event, model projection.ReadModel, payload message) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	return projection.Rejectf("%s", payload.Message)
}

func retry(event *projection.Event, model projection.ReadModel, payload message) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	return projection.Retryf("%s", payload.Message)
}

func throw(event *projection.Event, model projection.ReadModel, payload message) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	panic(payload.Message)
}

// What a misdeed has come to. Being visible outside it, none of it is for nothing.
var (
	turns uint64
	kept  [][]byte
)

func loop(event *projection.Event, model projection.ReadModel) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	for {
		turns++
	}
}

func allocate(event *projection.Event, model projection.ReadModel) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	for {
		kept = append(kept, make([]byte, 1<<20))
	}
}

func recurse(event *projection.Event, model projection.ReadModel) error {
	if err := attempt(event, model); err != nil {
		return err
	}
	turns = descend(turns)
	return nil
}

func descend(depth uint64) uint64 {
	if depth > turns+1<<62 {
		return depth
	}
	return descend(depth+1) + 1
}
