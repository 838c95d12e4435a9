// Package projectiontest runs a projection natively under go test, without wasm and without a host: given some events,
// when another arrives, then the read model looks so.
//
// What the host does is done here too: events out of scope do not arrive, the changes of a failed event are undone, and
// a call that breaks a bound ends the handler. What only wasm has is not here: limits of time, memory and stack.
package projectiontest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kennel/projection"
	"kennel/projection/internal/sandbox"
)

// TB is what a scenario needs of a *testing.T, a *testing.B or a *testing.F.
type TB interface {
	Helper()
	Fatalf(format string, arguments ...any)
}

// Level says how much a line of the log matters.
type Level = sandbox.Level

// The levels of the log.
const (
	Debug = sandbox.Debug
	Info  = sandbox.Info
	Warn  = sandbox.Warn
	Error = sandbox.Error
)

// Scenario is a projection under test, with its own log and read model.
//
// A Then about the read model demands that the last event was handled, unless a Then before it said how it failed.
type Scenario struct {
	t          TB
	projection projection.Projection
	descriptor projection.Descriptor
	log        eventLog
	model      ReadModel
	settings   map[string]string
	lines      []sandbox.Line
	outcome    outcome
	isReplayed bool
	// Whether a Then has said that the last event fails.
	failureIsExpected bool
}

// WithoutReplay has each event handled once. Otherwise each is handled twice, the first time without effect, and the
// test fails if the second time comes to something else: a replay of the log has to give the same documents. A handler
// that asks time.Now or crypto/rand needs this, for only the host answers them from the event.
func (s *Scenario) WithoutReplay() *Scenario {
	s.isReplayed = false
	return s
}

// outcome is what became of the last event: of its parts one is set, or none if it was handled.
type outcome struct {
	isOutOfScope bool
	failure      *projection.Failure
	broken       string
}

// kind says in a word what became of an event that arrived.
func (o outcome) kind() string {
	switch {
	case o.broken != "":
		return "made an invalid call"
	case o.failure == nil:
		return "was handled"
	case o.failure.IsRetry:
		return "was to be tried again"
	default:
		return "was rejected"
	}
}

// New is a scenario with an empty log and an empty read model. It fails the test if the host would not deploy a
// projection with such a descriptor.
func New(t TB, tested projection.Projection) *Scenario {
	t.Helper()
	descriptor := tested.Descriptor()
	if err := Validate(descriptor); err != nil {
		t.Fatalf("the descriptor is invalid: %v", err)
	}
	if again := tested.Descriptor(); !reflect.DeepEqual(descriptor, again) {
		t.Fatalf("the descriptor is another each time: first %+v, then %+v", descriptor, again)
	}
	return &Scenario{
		t: t, projection: tested, descriptor: descriptor, settings: map[string]string{}, isReplayed: true,
	}
}

// WithSetting gives the deployment a setting, for projection.Setting.
func (s *Scenario) WithSetting(key, value string) *Scenario {
	s.settings[key] = value
	return s
}

// Given has events handled before the test begins. Events out of scope pass unseen.
func (s *Scenario) Given(events ...EventBuilder) *Scenario {
	s.t.Helper()
	for _, event := range events {
		s.deliver(event)
		s.demandSuccess()
	}
	return s
}

// When has the event under test arrive. Whether it is handled is for the Then to say.
func (s *Scenario) When(event EventBuilder) *Scenario {
	s.t.Helper()
	s.deliver(event)
	return s
}

// ThenHandled says that the last event was handled.
func (s *Scenario) ThenHandled() *Scenario {
	s.t.Helper()
	if s.outcome != (outcome{}) {
		s.t.Fatalf("expected the event to be handled, but %s", s.story())
	}
	return s
}

// ThenOutOfScope says that the last event is not in the projection's scope: the host does not deliver it.
func (s *Scenario) ThenOutOfScope() *Scenario {
	s.t.Helper()
	if !s.outcome.isOutOfScope {
		s.t.Fatalf("expected the event to be out of scope, but %s", s.story())
	}
	return s
}

// ThenRejects says that the handler returned an error or panicked, with a reason that contains this text.
func (s *Scenario) ThenRejects(reason string) *Scenario {
	s.t.Helper()
	failure := s.outcome.failure
	holds := failure != nil && !failure.IsRetry && strings.Contains(failure.Reason, reason)
	return s.expectFailure(holds, "rejected", reason)
}

// ThenRetries says that the last event is to be tried again, for a reason that contains this text.
func (s *Scenario) ThenRetries(reason string) *Scenario {
	s.t.Helper()
	failure := s.outcome.failure
	holds := failure != nil && failure.IsRetry && strings.Contains(failure.Reason, reason)
	return s.expectFailure(holds, "to be tried again", reason)
}

// ThenInvalidCall says that the last event made a call that breaks a rule of the read model, with a message that
// contains this text.
func (s *Scenario) ThenInvalidCall(message string) *Scenario {
	s.t.Helper()
	holds := s.outcome.broken != "" && strings.Contains(s.outcome.broken, message)
	return s.expectFailure(holds, "ended by an invalid call", message)
}

// ThenDocument says that there is such a document, equal as JSON. Text goes in as json.RawMessage.
func (s *Scenario) ThenDocument(collection, key string, expected any) *Scenario {
	s.t.Helper()
	s.demandSuccess()
	wanted := mustEncode(expected)
	switch found := s.Document(collection, key); {
	case found == nil:
		s.t.Fatalf("there is no document %s/%s; expected %s", collection, key, wanted)
	case !isSameJSON(*found, wanted):
		s.t.Fatalf("document %s/%s is %s\nexpected %s", collection, key, *found, wanted)
	}
	return s
}

// ThenNoDocument says that there is no such document.
func (s *Scenario) ThenNoDocument(collection, key string) *Scenario {
	s.t.Helper()
	s.demandSuccess()
	if found := s.Document(collection, key); found != nil {
		s.t.Fatalf("document %s/%s is %s\nexpected none", collection, key, *found)
	}
	return s
}

// ThenCollection says that the collection holds these documents, by key, and no others.
func (s *Scenario) ThenCollection(collection string, expected map[string]any) *Scenario {
	s.t.Helper()
	s.demandSuccess()
	found := map[string]json.RawMessage{}
	for _, row := range s.model.Documents(collection) {
		found[row.Key] = json.RawMessage(row.Document)
	}
	if have, wanted := mustEncode(found), mustEncode(expected); !isSameJSON(have, wanted) {
		s.t.Fatalf("collection %s is %s\nexpected %s", collection, have, wanted)
	}
	return s
}

// ThenLogs says that the last event wrote a line to the log that contains this text.
func (s *Scenario) ThenLogs(level Level, text string) *Scenario {
	s.t.Helper()
	isIt := func(line sandbox.Line) bool { return line.Level == level && strings.Contains(line.Message, text) }
	if !slices.ContainsFunc(s.lines, isIt) {
		s.t.Fatalf("no %v line contains %q; the lines are %v", level, text, s.lines)
	}
	return s
}

// Document is the text of a document, for checks that no Then offers; nil if there is none.
func (s *Scenario) Document(collection, key string) *string {
	for _, row := range s.model.Documents(collection) {
		if row.Key == key {
			return &row.Document
		}
	}
	return nil
}

func (s *Scenario) deliver(builder EventBuilder) {
	s.t.Helper()
	s.demandSuccess()
	s.failureIsExpected = false
	s.lines = nil
	event := s.log.add(builder, s.descriptor)
	if !isInScope(s.descriptor, event) {
		s.outcome = outcome{isOutOfScope: true}
		return
	}
	s.handle(event)
}

func (s *Scenario) handle(event *projection.Event) {
	s.t.Helper()
	s.attempt(event)
	if s.isReplayed {
		first, changes := s.outcome, s.model.changes()
		s.model.RollBack()
		s.attempt(event)
		if difference := s.model.differenceTo(changes); difference != "" || first.kind() != s.outcome.kind() {
			s.t.Fatalf("handled a second time the event came to something else, as in a replay: first it %s, then it %s%s\n"+
				"Sort what `range` takes from a map, take numbers from event.Random and the time from event.CreatedAt",
				first.kind(), s.outcome.kind(), difference)
		}
	}
	if s.outcome == (outcome{}) {
		s.model.Commit()
		return
	}
	s.model.RollBack()
}

// attempt has the projection handle a copy of the event, which it may change.
func (s *Scenario) attempt(event *projection.Event) {
	given := *event
	given.Payload.Bytes = slices.Clone(event.Payload.Bytes)
	var failure *projection.Failure
	s.lines = sandbox.Run(maps.Clone(s.settings), func() {
		failure = projection.Call(s.projection, &given, &s.model)
	})
	s.outcome = outcome{failure: failure, broken: s.model.Broken()}
	if s.outcome.broken != "" {
		// On the host such a call does not return, so what the handler made of it does not count.
		s.outcome.failure = nil
	}
}

func (s *Scenario) expectFailure(holds bool, expected, text string) *Scenario {
	s.t.Helper()
	if !holds {
		s.t.Fatalf("expected the event to be %s with %q, but %s", expected, text, s.story())
	}
	s.failureIsExpected = true
	return s
}

func (s *Scenario) demandSuccess() {
	s.t.Helper()
	hasFailed := s.outcome.failure != nil || s.outcome.broken != ""
	if hasFailed && !s.failureIsExpected {
		s.t.Fatalf("the event was expected to be handled, but %s", s.story())
	}
}

func (s *Scenario) story() string {
	switch {
	case s.outcome.isOutOfScope:
		return fmt.Sprintf("it is not in the scope: %+v", s.descriptor)
	case s.outcome.broken != "":
		return "it was ended by an invalid call: " + s.outcome.broken
	case s.outcome.failure != nil:
		return "it was " + s.outcome.failure.String()
	default:
		return "it was handled"
	}
}

func isInScope(descriptor projection.Descriptor, event *projection.Event) bool {
	asksFor := func(names []string, name string) bool { return len(names) == 0 || slices.Contains(names, name) }
	return asksFor(descriptor.BoundedContexts, event.BoundedContext) &&
		asksFor(descriptor.AggregateTypes, event.AggregateType) &&
		asksFor(descriptor.EventTypes, event.EventType)
}

// isSameJSON compares values: not white space and the order of keys, but every digit.
func isSameJSON(a, b string) bool {
	return reflect.DeepEqual(tree(a), tree(b))
}

func tree(text string) any {
	var value any
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		panic(fmt.Sprintf("%q is not JSON: %v", text, err))
	}
	return value
}
