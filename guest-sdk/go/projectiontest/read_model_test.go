package projectiontest_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kennel/projection"
	. "kennel/projection/projectiontest"
)

func modelOf(rows ...string) *ReadModel {
	model := new(ReadModel)
	for row := range slices.Chunk(rows, 2) {
		model.Put("c", row[0], row[1])
	}
	model.Commit()
	return model
}

func TestARollBackRestoresWhatWasCommitted(t *testing.T) {
	model := modelOf("changed", "1", "deleted", "2")
	model.Put("c", "changed", "10")
	model.Put("c", "changed", "100")
	model.Delete("c", "deleted")
	model.Put("c", "new", "3")
	model.Increment("d", "new", "count", 1)
	model.RollBack()
	want := []projection.Row{{Key: "changed", Document: "1"}, {Key: "deleted", Document: "2"}}
	if got := model.Documents("c"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if got := model.Documents("d"); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestAScanIsInTheOrderOfBytes(t *testing.T) {
	model := modelOf("b", "1", "a\u00e9", "2", "ab", "3", "aB", "4", "a", "5", "\U0001f436", "6", "\uffee", "7")
	text := func(text string) *string { return &text }
	for _, check := range []struct {
		collection string
		scan       projection.Range
		expected   string
	}{
		{"c", projection.Range{Limit: 9}, "a aB ab a\u00e9 b \uffee \U0001f436"},
		{"c", projection.Range{Prefix: "a", Limit: 9}, "a aB ab a\u00e9"},
		{"c", projection.Range{After: text("aB"), Prefix: "a", Limit: 1}, "ab"},
		{"c", projection.Range{After: text("A"), Prefix: "b", Limit: 9}, "b"},
		{"c", projection.Range{After: text("z"), Prefix: "a", Limit: 9}, ""},
		{"none", projection.Range{Limit: 9}, ""},
		{"c", projection.Range{}, ""},
	} {
		keys := []string{}
		for _, row := range model.Scan(check.collection, check.scan) {
			keys = append(keys, row.Key)
		}
		if got := strings.Join(keys, " "); got != check.expected {
			t.Errorf("%+v: got %q, expected %q", check.scan, got, check.expected)
		}
	}
}

func TestAScanReturnsAtMostAThousandDocuments(t *testing.T) {
	model := new(ReadModel)
	for i := range 1001 {
		model.Put("c", fmt.Sprint(i), "1")
	}
	if got := len(model.Scan("c", projection.Range{Limit: 5000})); got != 1000 {
		t.Errorf("got %d", got)
	}
}

func TestGetManyAnswersInTheOrderOfTheKeys(t *testing.T) {
	found := []string{}
	for _, document := range modelOf("a", "1", "b", "2").GetMany("c", []string{"b", "none", "a", "b"}) {
		if document == nil {
			found = append(found, "-")
		} else {
			found = append(found, *document)
		}
	}
	if got := strings.Join(found, ""); got != "2-12" {
		t.Errorf("got %q", got)
	}
}

func TestACallThatBreaksABoundPanics(t *testing.T) {
	mebibyte := strings.Repeat("x", 1<<20)
	for expected, call := range map[string]func(*ReadModel){
		"document c/k is not JSON":              func(m *ReadModel) { m.Put("c", "k", "{") },
		"document c/k has 1048578 bytes":        func(m *ReadModel) { m.Put("c", "k", `"`+mebibyte+`"`) },
		`"" is not a valid name of a coll`:      func(m *ReadModel) { m.Delete("", "k") },
		"is not a valid name of a collection":   func(m *ReadModel) { m.Delete(strings.Repeat("c", 201), "k") },
		"is not a valid key":                    func(m *ReadModel) { m.Get("c", strings.Repeat("k", 1025)) },
		`"a\x00b" is not a valid key`:           func(m *ReadModel) { m.Get("c", "a\x00b") },
		`"\xff" is not a valid key`:             func(m *ReadModel) { m.Get("c", "\xff") },
		"1001 keys":                             func(m *ReadModel) { m.GetMany("c", make([]string, 1001)) },
		"the document is not a JSON object":     func(m *ReadModel) { m.Increment("c", "text", "count", 1) },
		"the field is not a whole number":       func(m *ReadModel) { m.Increment("c", "object", "name", 1) },
		"leaves the range of 64-bit":            func(m *ReadModel) { m.Increment("c", "object", "full", 1) },
		`"" is not a valid name of a field`:     func(m *ReadModel) { m.Increment("c", "object", "", 1) },
		"the event touches more than 500":       func(m *ReadModel) { touch(m, 501) },
		"more than 33554432 bytes":              func(m *ReadModel) { write(m, 33) },
		"reads more than 67108864 bytes of doc": func(m *ReadModel) { write(m, 16); m.Commit(); readAll(m, 5) },
		"no panic":                              keepBounds,
	} {
		model := modelOf("text", `"x"`, "object", `{"name":"x","full":9223372036854775807}`)
		message := "no panic"
		func() {
			defer func() {
				if value := recover(); value != nil {
					message = value.(string)
				}
			}()
			call(model)
		}()
		if !strings.Contains(message, expected) {
			t.Errorf("%q does not contain %q", message, expected)
		}
		if message != "no panic" && model.Broken() != message {
			t.Errorf("the rule that was broken is %q, not %q", model.Broken(), message)
		}
	}
}

func keepBounds(model *ReadModel) {
	model.Put(strings.Repeat("c", 200), strings.Repeat("k", 1024), "null")
	touch(model, 499)
}

func touch(model *ReadModel, collections int) {
	for i := range collections {
		model.Delete(fmt.Sprint(i), "k")
	}
}

func write(model *ReadModel, mebibytes int) {
	for i := range mebibytes {
		model.Put("big", fmt.Sprint(i), `"`+strings.Repeat("x", 1<<20-2)+`"`)
	}
}

func readAll(model *ReadModel, times int) {
	for range times {
		model.Scan("big", projection.Range{Limit: 1000})
	}
}
