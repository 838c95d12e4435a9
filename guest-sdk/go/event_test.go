package projection

import (
	"math"
	"testing"
	"time"
)

func TestTimesAreExactToTheNanosecond(t *testing.T) {
	for _, stamp := range []Timestamp{
		{}, {Seconds: -1, Nanoseconds: 999_999_999}, {Seconds: 1_772_357_400, Nanoseconds: 123_456_789},
		{Seconds: -210_866_803_200}, {Seconds: 9_224_318_015_999, Nanoseconds: 999_999_999},
	} {
		if again := TimestampOf(stamp.Time()); again != stamp {
			t.Errorf("%v became %v", stamp, again)
		}
	}
	stamp := Timestamp{Seconds: -1, Nanoseconds: 500_000_000}
	if text := stamp.Time().Format(time.RFC3339Nano); text != "1969-12-31T23:59:59.5Z" {
		t.Errorf("got %s", text)
	}
}

func TestATimeThatGoCannotHoldPanics(t *testing.T) {
	for _, seconds := range []int64{math.MinInt64, math.MaxInt64} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d did not panic", seconds)
				}
			}()
			Timestamp{Seconds: seconds}.Time()
		}()
	}
}

func TestTimestampsCompareAsTimePasses(t *testing.T) {
	early, late := Timestamp{Seconds: -5, Nanoseconds: 1}, Timestamp{Seconds: -5, Nanoseconds: 2}
	if early.Compare(late) >= 0 || late.Compare(early) <= 0 || early.Compare(early) != 0 {
		t.Error("wrong order")
	}
}
