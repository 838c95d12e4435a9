package projectiontest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"kennel/projection"
	. "kennel/projection/projectiontest"
)

// commanded does what the event's type says to document d/1.
type commanded struct{}

type tally struct {
	Count int64 `json:"count"`
}

type named struct {
	Name string `json:"name" kennel:"required"`
}

var (
	tallies   = projection.DocumentsOf[tally]("d")
	documents = projection.DocumentsOf[any]("d")
	copies    = projection.DocumentsOf[[]int64]("copies")
)

func (commanded) Descriptor() projection.Descriptor {
	return projection.Descriptor{
		Name: "commanded", Version: "1",
		BoundedContexts: []string{"Here", "There"}, AggregateTypes: []string{"Thing"},
	}
}

func (commanded) Handle(event *projection.Event, model projection.ReadModel) error {
	addOne := func(t *tally) error { t.Count++; return nil }
	switch event.EventType {
	case "Put":
		value, err := projection.Decode[any](event)
		if err != nil {
			return err
		}
		return documents.Put(model, "1", value)
	case "Update":
		return tallies.Update(model, "1", addOne)
	case "Upsert":
		return tallies.Upsert(model, "1", addOne)
	case "Delete":
		tallies.Delete(model, "1")
	case "Increment":
		tallies.Increment(model, "1", "count", math.MaxInt64)
	case "Name":
		value, err := projection.Decode[named](event)
		if err != nil {
			return err
		}
		return documents.Put(model, "1", value.Name)
	case "Bytes":
		return documents.Put(model, "1", len(event.Payload.Bytes))
	case "Describe":
		return documents.Put(model, "1", []any{
			event.Position, event.BoundedContext, event.AggregateType, event.AggregateID, event.AggregateVersion,
			event.EventID, event.Metadata, event.CreatedAt.Seconds,
		})
	case "Copy":
		return copyAll(model)
	case "Unencodable":
		return documents.Put(model, "1", math.Inf(1))
	case "Configured":
		return configured(model)
	default:
		return fail(event, model)
	}
	return nil
}

func copyAll(model projection.ReadModel) error {
	all, err := tallies.Scan(model, projection.Range{Limit: 10})
	if err != nil {
		return err
	}
	keys := []string{"none"}
	for _, entry := range all {
		keys = append(keys, entry.Key)
	}
	again, err := tallies.GetMany(model, keys)
	if err != nil {
		return err
	}
	counts := []int64{}
	for _, tally := range again {
		if tally != nil {
			counts = append(counts, tally.Count)
		}
	}
	return copies.Put(model, "counts", counts)
}

func configured(model projection.ReadModel) error {
	text, found := projection.Setting("limit")
	projection.Warnf("limit %q %t", text, found)
	limit, err := projection.ParsedSetting("limit", -1, strconv.Atoi)
	if err != nil {
		return err
	}
	return documents.Put(model, "1", limit)
}

func fail(event *projection.Event, model projection.ReadModel) error {
	switch event.EventType {
	case "HalfDone":
		model.Put("d", "1", `"changed"`)
		model.Increment("d", "2", "count", 1)
		return projection.Retryf("later: %w", errors.New("busy"))
	case "ForeignError":
		_, err := strconv.ParseUint("x", 10, 8)
		return err
	case "BreakBound":
		model.Put("d", "1", "no json")
	case "BreakBoundAndRecover":
		defer func() { _ = recover() }()
		model.Put("d", "1", "no json")
	case "Panic":
		panic(fmt.Sprintf("number %d", 7))
	case "PanicRetry":
		panic(fmt.Errorf("wrapped: %w", projection.Retryf("later")))
	case "NilPointer":
		var none *tally
		none.Count++
	default:
		return projection.Rejectf("unknown command %s", event.EventType)
	}
	return nil
}

func scenario(t TB) *Scenario {
	return New(t, commanded{})
}

func TestDocumentsAreWrittenChangedAndRemoved(t *testing.T) {
	scenario(t).
		When(Event("Put").JSON(tally{1})).
		ThenDocument("d", "1", tally{1}).
		When(Event("Update")).
		ThenDocument("d", "1", json.RawMessage(`{ "count": 2 }`)).
		When(Event("Copy")).
		ThenDocument("copies", "counts", []int{2}).
		When(Event("Delete")).
		ThenNoDocument("d", "1").
		When(Event("Upsert")).
		ThenCollection("d", map[string]any{"1": tally{1}})
}

func TestPayloadsAreReadAsTypesAndAsBytes(t *testing.T) {
	scenario(t).
		When(Event("Name").JSON(named{"Ada"})).
		ThenDocument("d", "1", "Ada").
		When(Event("Bytes").Binary([]byte{0xff, 0xfe, 0xfd})).
		ThenDocument("d", "1", 3)
}

func TestAPayloadThatDoesNotFitIsRejectedWithAReason(t *testing.T) {
	scenario(t).
		When(Event("Name").Schema(3).JSON(map[string]string{"nam": "Ada"})).
		ThenRejects("the payload of Name (version 3) cannot be read: missing field `name`").
		When(Event("Name").JSON(map[string]int{"name": 17})).
		ThenRejects("cannot unmarshal number").
		When(Event("Name").Binary([]byte{0xff, 0xfe})).
		ThenRejects("it is 2 bytes that are not JSON")
}

func TestADocumentThatDoesNotFitIsRejectedWithAReason(t *testing.T) {
	scenario(t).
		When(Event("Update")).
		ThenRejects("there is no document d/1 to change").
		Given(Event("Put").JSON("text")).
		When(Event("Update")).
		ThenRejects("document d/1 does not fit projectiontest_test.tally").
		When(Event("Unencodable")).
		ThenRejects("document d/1 has no JSON form")
}

func TestAFailedEventLeavesNoTrace(t *testing.T) {
	for command, then := range map[string]func(*Scenario) *Scenario{
		"HalfDone":             func(s *Scenario) *Scenario { return s.ThenRetries("later: busy") },
		"ForeignError":         func(s *Scenario) *Scenario { return s.ThenRejects("*strconv.NumError: strconv.") },
		"BreakBound":           func(s *Scenario) *Scenario { return s.ThenInvalidCall("document d/1 is not JSON") },
		"BreakBoundAndRecover": func(s *Scenario) *Scenario { return s.ThenInvalidCall("document d/1 is not JSON") },
		"Panic":                func(s *Scenario) *Scenario { return s.ThenRejects("panic: number 7\n  at ") },
		"PanicRetry":           func(s *Scenario) *Scenario { return s.ThenRetries("wrapped: later") },
		"NilPointer":           func(s *Scenario) *Scenario { return s.ThenRejects("nil pointer dereference\n  at ") },
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			then(scenario(t).Given(Event("Put").JSON("kept")).When(Event(command))).
				ThenCollection("d", map[string]any{"1": "kept"})
		})
	}
}

func TestAPanicNamesItsSourceLines(t *testing.T) {
	scenario(t).
		When(Event("Panic")).
		ThenRejects("panic: number 7\n  at projectiontest_test.fail (projectiontest/projection_test.go:").
		ThenRejects("\n  at projectiontest_test.commanded.Handle (projectiontest/projection_test.go:")
}

func TestNumbersKeepAllTheirDigits(t *testing.T) {
	exact := json.RawMessage(`{"a":9223372036854775807,"b":0.12345678901234567890,"c":[18446744073709551616]}`)
	scenario(t).
		When(Event("Put").JSON(exact)).
		ThenDocument("d", "1", exact).
		Given(Event("Delete")).
		When(Event("Increment")).
		ThenDocument("d", "1", json.RawMessage(`{"count":9223372036854775807}`)).
		When(Event("Increment")).
		ThenInvalidCall("leaves the range of 64-bit whole numbers").
		When(Event("Describe").Position(math.MaxUint64).Version(math.MaxUint64).Metadata(nil)).
		ThenDocument("d", "1", json.RawMessage(`[18446744073709551615,"Here","Thing","1",18446744073709551615,
			"00000000-0000-4000-8000-ffffffffffffffff","null",1101278853376]`))
}

func TestSettingsAndLogLinesAreSeen(t *testing.T) {
	scenario(t).WithSetting("limit", "12").
		When(Event("Configured")).
		ThenDocument("d", "1", 12).
		ThenLogs(Warn, `limit "12" true`)
	scenario(t).When(Event("Configured")).ThenDocument("d", "1", -1)
	scenario(t).WithSetting("limit", "many").
		When(Event("Configured")).
		ThenRejects(`the setting limit = "many" cannot be read as int`)
}

func TestWhatATestDoesNotSayIsFilledIn(t *testing.T) {
	scenario(t).
		Given(Event("Delete"), Event("Delete").Of("2").Position(10)).
		When(Event("Describe").Metadata(map[string]string{"by": "me"})).
		ThenDocument("d", "1", []any{
			11, "Here", "Thing", "1", 2, "00000000-0000-4000-8000-00000000000b", `{"by":"me"}`, 1_767_225_610,
		})
}

func TestEventsOutOfScopeDoNotArrive(t *testing.T) {
	scenario(t).
		When(Event("Panic").BoundedContext("Elsewhere")).
		ThenOutOfScope().
		When(Event("Panic").AggregateType("Nothing")).
		ThenOutOfScope().
		When(Event("Delete").BoundedContext("There")).
		ThenHandled()
}

// failing is a TB that keeps the first failure.
type failing struct{ message string }

func (*failing) Helper() {}

func (f *failing) Fatalf(format string, arguments ...any) {
	f.message = fmt.Sprintf(format, arguments...)
	panic(f)
}

func TestAScenarioFailsWhereAThenDoesNotHold(t *testing.T) {
	for name, check := range map[string]struct {
		run      func(TB)
		expected string
	}{
		"an unexpected failure": {
			func(t TB) { scenario(t).When(Event("Oops")).ThenNoDocument("d", "1") },
			"the event was expected to be handled, but it was rejected: unknown command Oops",
		},
		"an expected failure": {
			func(t TB) { scenario(t).When(Event("Delete")).ThenRejects("") },
			`expected the event to be rejected with "", but it was handled`,
		},
		"another document": {
			func(t TB) { scenario(t).When(Event("Upsert")).ThenDocument("d", "1", tally{2}) },
			`document d/1 is {"count":1}`,
		},
		"another number": {
			func(t TB) { scenario(t).When(Event("Upsert")).ThenDocument("d", "1", json.RawMessage(`{"count":1.0}`)) },
			`document d/1 is {"count":1}`,
		},
		"no line": {
			func(t TB) { scenario(t).When(Event("Upsert")).ThenLogs(Error, "x") },
			`no error line contains "x"`,
		},
		"another document each time": {
			func(t TB) { New(t, &counting{}).When(Event("Count")) },
			"first it was handled, then it was handled\ndocument d/1: first 1, then 2",
		},
		"another failure each time": {
			func(t TB) { New(t, &counting{}).When(Event("Fail")) },
			"first it was handled, then it was rejected\ndocument d/1: first 1, then unchanged",
		},
		"an invalid descriptor": {
			func(t TB) { New(t, nameless{}) },
			`the descriptor is invalid: the name "" is invalid`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fails := &failing{}
			func() {
				defer func() { _ = recover() }()
				check.run(fails)
			}()
			if !strings.Contains(fails.message, check.expected) {
				t.Errorf("%q does not contain %q", fails.message, check.expected)
			}
		})
	}
}

// counting keeps a number in memory, which a replay does not begin with.
type counting struct {
	commanded
	handled int
}

func (c *counting) Handle(event *projection.Event, model projection.ReadModel) error {
	c.handled++
	if event.EventType == "Fail" && c.handled > 1 {
		return errors.New("again")
	}
	return documents.Put(model, "1", c.handled)
}

func TestAnEventThatIsHandledOnceMayCount(t *testing.T) {
	New(t, &counting{}).WithoutReplay().
		Given(Event("Count"), Event("Count")).
		When(Event("Count")).
		ThenDocument("d", "1", 3)
}

// nameless has an empty descriptor.
type nameless struct{ commanded }

func (nameless) Descriptor() projection.Descriptor { return projection.Descriptor{} }
