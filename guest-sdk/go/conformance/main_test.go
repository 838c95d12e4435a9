package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"kennel/projection"
	"kennel/projection/internal/sandbox"
	"kennel/projection/projectiontest"
)

// What the suite does on the host is done here natively, with the read model of the test kit, as far as that goes:
// without the log, and without limits of time, memory and stack.

type line struct {
	BoundedContext   string               `json:"bounded_context"`
	AggregateType    string               `json:"aggregate_type"`
	AggregateID      string               `json:"aggregate_id"`
	AggregateVersion uint64               `json:"aggregate_version"`
	EventID          string               `json:"event_id"`
	EventType        string               `json:"event_type"`
	EventVersion     uint32               `json:"event_version"`
	GlobalPosition   uint64               `json:"global_position"`
	Payload          json.RawMessage      `json:"payload"`
	PayloadBase64    *string              `json:"payload_base64"`
	Metadata         json.RawMessage      `json:"metadata"`
	TraceID          *string              `json:"trace_id"`
	CorrelationID    *string              `json:"correlation_id"`
	CausationID      *string              `json:"causation_id"`
	CreatedAt        projection.Timestamp `json:"created_at"`
}

type expectations struct {
	Compare         string                                `json:"compare"`
	Config          map[string]string                     `json:"config"`
	Documents       map[string]map[string]json.RawMessage `json:"documents"`
	Failures        []expectedFailure                     `json:"failures"`
	ExactOrRejected []exactOrRejected                     `json:"exact_or_rejected"`
}

type expectedFailure struct {
	Position uint64          `json:"position"`
	Kind     json.RawMessage `json:"kind"`
	Contains []string        `json:"contains"`
}

type exactOrRejected struct {
	Position   uint64          `json:"position"`
	Collection string          `json:"collection"`
	Key        string          `json:"key"`
	Document   json.RawMessage `json:"document"`
}

func TestTheSuiteHoldsNatively(t *testing.T) {
	files, err := filepath.Glob("../../conformance/*.events.jsonl")
	if err != nil || len(files) == 0 {
		t.Skip("the files of the suite are not beside this module")
	}
	for _, file := range files {
		group := strings.TrimSuffix(filepath.Base(file), ".events.jsonl")
		// These end a native program. Those in `chance` differ from run to run natively, and nothing is expected of them.
		if group == "containment" {
			continue
		}
		t.Run(group, func(t *testing.T) {
			expected := expectations{}
			text, err := os.ReadFile(strings.TrimSuffix(file, ".events.jsonl") + ".expected.json")
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &expected); err != nil {
				t.Fatal(err)
			}
			expected.check(t, eventsOf(t, file))
		})
	}
}

func eventsOf(t *testing.T, file string) []projection.Event {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	events := []projection.Event{}
	versions := map[[3]string]uint64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		line := line{EventVersion: 1}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		event := line.event(t)
		if event.Position == 0 {
			event.Position = uint64(len(events) + 1)
		}
		aggregate := [3]string{line.BoundedContext, line.AggregateType, line.AggregateID}
		versions[aggregate]++
		event.AggregateVersion = versions[aggregate]
		events = append(events, event)
	}
	return events
}

func (l line) event(t *testing.T) projection.Event {
	t.Helper()
	event := projection.Event{
		Position: l.GlobalPosition, BoundedContext: l.BoundedContext, AggregateType: l.AggregateType,
		AggregateID: l.AggregateID, EventID: strings.ToLower(l.EventID), EventType: l.EventType,
		EventVersion: l.EventVersion, Payload: projection.Payload{Bytes: l.Payload}, TraceID: l.TraceID,
		CorrelationID: l.CorrelationID, CausationID: l.CausationID, CreatedAt: l.CreatedAt,
	}
	if text := string(l.Metadata); text != "" && text != "null" {
		event.Metadata = &text
	}
	if l.PayloadBase64 != nil {
		payload, err := base64.StdEncoding.DecodeString(*l.PayloadBase64)
		if err != nil {
			t.Fatal(err)
		}
		event.Payload = projection.Payload{Bytes: payload, IsBinary: !utf8.Valid(payload) || !json.Valid(payload)}
	}
	return event
}

func (e expectations) check(t *testing.T, events []projection.Event) {
	model := new(projectiontest.ReadModel)
	for _, event := range events {
		failure, kind := handle(&event, model, e.Config)
		e.checkFailure(t, event.Position, kind, failure)
	}
	if left := model.Documents("attempts"); len(left) > 0 {
		t.Errorf("events that failed have left %v", left)
	}
	for collection, wanted := range e.Documents {
		for _, row := range model.Documents(collection) {
			if document, isWanted := wanted[row.Key]; !isWanted {
				t.Errorf("there is a document %s/%s", collection, row.Key)
			} else if !e.isSame(row.Document, string(document)) {
				t.Errorf("%s/%s is %s, expected %s", collection, row.Key, row.Document, document)
			}
			delete(wanted, row.Key)
		}
		for key := range wanted {
			t.Errorf("there is no document %s/%s", collection, key)
		}
	}
}

func handle(event *projection.Event, model *projectiontest.ReadModel, config map[string]string) (text, kind string) {
	var failure *projection.Failure
	sandbox.Run(config, func() { failure = projection.Call(conformance{}, event, model) })
	broken := model.Broken()
	if failure == nil && broken == "" {
		model.Commit()
		return "", ""
	}
	model.RollBack()
	switch {
	case broken != "":
		return broken, "invalid-call"
	case failure.IsRetry:
		return failure.Reason, "retry"
	default:
		return failure.Reason, "reject"
	}
}

func (e expectations) checkFailure(t *testing.T, position uint64, kind, reason string) {
	if at := slices.IndexFunc(e.ExactOrRejected, func(x exactOrRejected) bool { return x.Position == position }); at >= 0 {
		switch either := e.ExactOrRejected[at]; {
		case kind == "" && e.Documents[either.Collection] == nil:
			e.Documents[either.Collection] = map[string]json.RawMessage{either.Key: either.Document}
		case kind == "":
			e.Documents[either.Collection][either.Key] = either.Document
		case kind != "reject":
			t.Errorf("event %d: %s: %s", position, kind, reason)
		}
		return
	}
	at := slices.IndexFunc(e.Failures, func(f expectedFailure) bool { return f.Position == position })
	if at < 0 {
		if kind != "" {
			t.Errorf("event %d: %s: %s", position, kind, reason)
		}
		return
	}
	// One kind, or a list of them.
	if kinds := string(e.Failures[at].Kind); kind == "" || !strings.Contains(kinds, `"`+kind+`"`) {
		t.Errorf("event %d: %q (%s), expected %s", position, kind, reason, kinds)
	}
	for _, part := range e.Failures[at].Contains {
		if !strings.Contains(reason, part) {
			t.Errorf("event %d: %q does not contain %q", position, reason, part)
		}
	}
}

// isSame compares documents: as text, white space apart, or else token by token and numbers by their value.
func (e expectations) isSame(a, b string) bool {
	if e.Compare == "values" {
		return slices.EqualFunc(tokens(a), tokens(b), isSameToken)
	}
	return compact(a) == compact(b)
}

func compact(text string) string {
	var short bytes.Buffer
	if err := json.Compact(&short, []byte(text)); err != nil {
		return text
	}
	return short.String()
}

func tokens(text string) []json.Token {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	tokens := []json.Token{}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return tokens
		}
		if err != nil {
			return nil
		}
		tokens = append(tokens, token)
	}
}

func isSameToken(a, b json.Token) bool {
	number, isNumber := a.(json.Number)
	other, isOther := b.(json.Number)
	if !isNumber || !isOther {
		return a == b
	}
	exact, exactOther := new(big.Rat), new(big.Rat)
	_, isRead := exact.SetString(string(number))
	_, isOtherRead := exactOther.SetString(string(other))
	return isRead && isOtherRead && exact.Cmp(exactOther) == 0
}
