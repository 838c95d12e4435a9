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

func TestATimestampIsWrittenWithAsFewGroupsOfDigitsAsItTakes(t *testing.T) {
	for expected, stamp := range map[string]Timestamp{
		"1970-01-01T00:00:00Z":                    {},
		"1970-01-01T00:00:00.500Z":                {0, 500_000_000},
		"1969-12-31T23:59:59.000001Z":             {-1, 1_000},
		"2026-03-01T09:30:00.120000001Z":          {1_772_357_400, 120_000_001},
		"2000-02-28T23:59:59Z":                    {951_782_399, 0},
		"2000-02-29T00:00:00Z":                    {951_782_400, 0},
		"0001-01-01T00:00:00Z":                    {-62_135_596_800, 0},
		"0000-12-31T23:59:59Z":                    {-62_135_596_801, 0},
		"-0001-12-31T23:59:59Z":                   {-62_167_219_201, 0},
		"9999-12-31T23:59:59Z":                    {253_402_300_799, 0},
		"+10000-01-01T00:00:00Z":                  {253_402_300_800, 0},
		"-292277022657-01-27T08:29:52Z":           {math.MinInt64, 0},
		"+292277026596-12-04T15:30:07.999999999Z": {math.MaxInt64, 999_999_999},
	} {
		if got := stamp.String(); got != expected {
			t.Errorf("got %s, expected %s", got, expected)
		}
		if again, err := ParseTimestamp(expected); again != stamp || err != nil {
			t.Errorf("%s was read as %d, %v", expected, again.Seconds, err)
		}
	}
}

func TestATimestampIsWrittenAsGoDoes(t *testing.T) {
	for seconds := int64(-62_135_596_800); seconds < 253_402_300_800; seconds += 86_400*31 + 12_345 {
		stamp := Timestamp{Seconds: seconds}
		if got, expected := stamp.String(), stamp.Time().Format(time.RFC3339); got != expected {
			t.Fatalf("got %s, expected %s", got, expected)
		}
	}
}

func TestTextOfRFC3339IsReadAndOtherTextIsNot(t *testing.T) {
	for text, expected := range map[string]Timestamp{
		"1970-01-01T00:00:01.5Z":               {1, 500_000_000},
		"1970-01-01T02:00:01.0000000019+02:00": {1, 1},
		"1970-01-01T00:00:01-00:30":            {1801, 0},
		"+2026-03-01T10:30:00+01:00":           {1_772_357_400, 0},
	} {
		if got, err := ParseTimestamp(text); got != expected || err != nil {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-", "+", "soon", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z", "2026-01-01T9:00:00Z",
		"2026-01-01T00:00:00", "2026-01-01T00:00:00Z ",
		"20260-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "--0001-01-01T00:00:00Z",
		"-292277022657-01-27T08:29:51Z", "+292277026596-12-04T15:30:08Z", "+999999999999-01-01T00:00:00Z",
		"+9999999999999-01-01T00:00:00Z", "-9999999999999999999-01-01T00:00:00Z",
	} {
		if got, err := ParseTimestamp(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestInJSONATimestampIsText(t *testing.T) {
	text, err := EncodeJSON([]Timestamp{{Seconds: 1, Nanoseconds: 20_000_000}})
	if text != `["1970-01-01T00:00:01.020Z"]` || err != nil {
		t.Fatalf("got %s, %v", text, err)
	}
	var again []Timestamp
	if err := decodeJSON([]byte(text), &again); err != nil || again[0] != (Timestamp{1, 20_000_000}) {
		t.Errorf("got %v, %v", again, err)
	}
	if err := decodeJSON([]byte(`["soon"]`), &again); err == nil {
		t.Error("it was read")
	}
}
