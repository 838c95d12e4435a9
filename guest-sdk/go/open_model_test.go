package projection

import (
	"strings"
	"testing"
)

// keeping keeps its first read model for later, as a goroutine does that it leaves behind.
type keeping struct{ kept ReadModel }

func (*keeping) Descriptor() Descriptor { return Descriptor{Name: "keeping", Version: "1"} }

func (k *keeping) Handle(_ *Event, model ReadModel) error {
	if k.kept != nil {
		k.deleteAt(100)
	}
	k.kept = model
	return nil
}

// deleteAt calls the kept model that deep.
func (k *keeping) deleteAt(depth int) {
	if depth > 0 {
		k.deleteAt(depth - 1)
		return
	}
	k.kept.Delete("d", "1")
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

func TestAHandlerThatCallsTheReadModelOfAnEarlierEventIsRejected(t *testing.T) {
	keeps := new(keeping)
	if failure := Call(keeps, &Event{}, nil); failure != nil {
		t.Fatal(failure)
	}
	failure, expected := Call(keeps, &Event{}, nil), "Delete of the read model of an earlier event"
	if failure == nil || failure.IsRetry || !strings.Contains(failure.Reason, expected) {
		t.Errorf("got %v", failure)
	}
}
