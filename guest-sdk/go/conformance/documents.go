package main

import (
	"encoding/json"

	"kennel/projection"
)

// document is any JSON, digit by digit.
type document = json.RawMessage

type putPayload struct {
	Collection string   `json:"collection" kennel:"required"`
	Key        string   `json:"key" kennel:"required"`
	Document   document `json:"document"`
}

func put(_ *projection.Event, model projection.ReadModel, payload putPayload) error {
	// A null is a document, so the field cannot have the tag that demands one.
	if payload.Document == nil {
		return projection.Rejectf("missing field `document`")
	}
	return projection.DocumentsOf[document](payload.Collection).Put(model, payload.Key, payload.Document)
}

type textPayload struct {
	Collection string `json:"collection" kennel:"required"`
	Key        string `json:"key" kennel:"required"`
	Text       string `json:"text" kennel:"required"`
}

func putText(_ *projection.Event, model projection.ReadModel, payload textPayload) error {
	model.Put(payload.Collection, payload.Key, payload.Text)
	return nil
}

type copyPayload struct {
	Collection string `json:"collection" kennel:"required"`
	Key        string `json:"key" kennel:"required"`
	To         string `json:"to" kennel:"required"`
}

func copyDocument(_ *projection.Event, model projection.ReadModel, payload copyPayload) error {
	documents := projection.DocumentsOf[document](payload.Collection)
	found, err := documents.Get(model, payload.Key)
	if err != nil {
		return err
	}
	if found == nil {
		return projection.Rejectf("there is no document")
	}
	return documents.Put(model, payload.To, *found)
}

type collectPayload struct {
	Collection string   `json:"collection" kennel:"required"`
	Keys       []string `json:"keys" kennel:"required"`
	Into       string   `json:"into" kennel:"required"`
}

func collect(_ *projection.Event, model projection.ReadModel, payload collectPayload) error {
	found, err := projection.DocumentsOf[document](payload.Collection).GetMany(model, payload.Keys)
	if err != nil {
		return err
	}
	return projection.DocumentsOf[[]*document]("collected").Put(model, payload.Into, found)
}

type scanPayload struct {
	Collection string  `json:"collection" kennel:"required"`
	After      *string `json:"after"`
	Prefix     string  `json:"prefix" kennel:"required"`
	Limit      uint32  `json:"limit" kennel:"required"`
	Into       string  `json:"into" kennel:"required"`
}

type scanned struct {
	Keys      []string   `json:"keys"`
	Documents []document `json:"documents"`
}

func scan(_ *projection.Event, model projection.ReadModel, payload scanPayload) error {
	within := projection.Range{After: payload.After, Prefix: payload.Prefix, Limit: payload.Limit}
	entries, err := projection.DocumentsOf[document](payload.Collection).Scan(model, within)
	if err != nil {
		return err
	}
	found := scanned{Keys: []string{}, Documents: []document{}}
	for _, entry := range entries {
		found.Keys = append(found.Keys, entry.Key)
		found.Documents = append(found.Documents, entry.Value)
	}
	return projection.DocumentsOf[scanned]("scans").Put(model, payload.Into, found)
}

type deletePayload struct {
	Collection string `json:"collection" kennel:"required"`
	Key        string `json:"key" kennel:"required"`
}

func deleteDocument(_ *projection.Event, model projection.ReadModel, payload deletePayload) error {
	model.Delete(payload.Collection, payload.Key)
	return nil
}

type incrementPayload struct {
	Collection string `json:"collection" kennel:"required"`
	Key        string `json:"key" kennel:"required"`
	Field      string `json:"field" kennel:"required"`
	By         int64  `json:"by" kennel:"required"`
}

func increment(_ *projection.Event, model projection.ReadModel, payload incrementPayload) error {
	model.Increment(payload.Collection, payload.Key, payload.Field, payload.By)
	return nil
}

type countPayload struct {
	Key string `json:"key" kennel:"required"`
	By  int64  `json:"by" kennel:"required"`
}

type counted struct {
	Count int64  `json:"count" kennel:"required"`
	Last  string `json:"last" kennel:"required"`
}

func count(event *projection.Event, model projection.ReadModel, payload countPayload) error {
	return projection.DocumentsOf[counted]("counts").Upsert(model, payload.Key, func(document *counted) (err error) {
		document.Count, err = projection.Add(document.Count, payload.By)
		document.Last = event.EventID
		return err
	})
}

type typed struct {
	Count int64    `json:"count" kennel:"required"`
	Name  string   `json:"name" kennel:"required"`
	Tags  []string `json:"tags" kennel:"required"`
}

func putTyped(event *projection.Event, model projection.ReadModel, payload typed) error {
	return projection.DocumentsOf[typed]("typed").Put(model, event.AggregateID, payload)
}
