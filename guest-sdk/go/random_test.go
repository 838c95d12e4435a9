package projection

import "testing"

func TestRandomNumbersAreThoseOfTheEvent(t *testing.T) {
	seen := map[uint64]bool{}
	for _, event := range []Event{
		{Position: 1, EventID: "a"}, {Position: 1, EventID: "b"}, {Position: 2, EventID: "a"}, {},
	} {
		first, second := event.Random().Uint64(), event.Random().Uint64()
		if first != second {
			t.Errorf("%d %s: %d, then %d", event.Position, event.EventID, first, second)
		}
		if seen[first] {
			t.Errorf("%d %s: %d belongs to another event", event.Position, event.EventID, first)
		}
		seen[first] = true
	}
	// The algorithms of math/rand/v2 are stable, so that a replay with a newer compiler has the same numbers.
	if got := (&Event{Position: 1, EventID: "a"}).Random().Uint64(); got != 13505050417685060220 {
		t.Errorf("got %d", got)
	}
}
