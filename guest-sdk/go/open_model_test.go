package projection

import (
	"strings"
	"testing"
)

// keeping keeps its read model for later, as a goroutine does that it leaves behind.
type keeping struct{ kept ReadModel }

func (*keeping) Descriptor() Descriptor { return Descriptor{Name: "keeping", Version: "1"} }

func (k *keeping) Handle(_ *Event, model ReadModel) error {
	k.kept = model
	return nil
}

func TestTheReadModelIsClosedAfterItsEvent(t *testing.T) {
	keeps := new(keeping)
	if failure := Call(keeps, &Event{}, nil); failure != nil {
		t.Fatal(failure)
	}
	for name, call := range map[string]func(){
		"Get":       func() { keeps.kept.Get("d", "1") },
		"GetMany":   func() { keeps.kept.GetMany("d", nil) },
		"Put":       func() { keeps.kept.Put("d", "1", "{}") },
		"Delete":    func() { keeps.kept.Delete("d", "1") },
		"Scan":      func() { keeps.kept.Scan("d", Range{}) },
		"Increment": func() { keeps.kept.Increment("d", "1", "n", 1) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "its call of "+name+" was dropped") {
					t.Errorf("%s: %q", name, text)
				}
			}()
			call()
		}()
	}
}
