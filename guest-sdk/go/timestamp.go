package projection

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Timestamp is a moment, in UTC, exact to the nanosecond. Its text is RFC 3339, and so is its JSON: it may be a field
// of a document or of a payload.
type Timestamp struct {
	// Seconds since the beginning of 1970, negative before it.
	Seconds int64
	// Nanoseconds from there on: less than a second.
	Nanoseconds uint32
}

const (
	// The seconds between which time.Time computes without a wrap: some 146 thousand million years around 1970.
	timeSecondsMax = 1 << 62
	// After so many years the calendar begins anew.
	eraYears   = 400
	eraSeconds = 146_097 * 24 * 60 * 60
	// The last year that 64 bits of seconds reach has so many digits.
	yearDigitsMax = 12
)

// Time is the moment as Go's type for times, in UTC. It is exact to the nanosecond. A moment that time.Time cannot
// hold, more than 2^62 seconds away from 1970, panics, and so rejects the event.
func (t Timestamp) Time() time.Time {
	if t.Seconds > timeSecondsMax || t.Seconds < -timeSecondsMax {
		panic(fmt.Sprintf("the time %d s since 1970 is beyond what time.Time holds", t.Seconds))
	}
	return time.Unix(t.Seconds, int64(t.Nanoseconds)).UTC()
}

// TimestampOf is the moment of a time, exact to the nanosecond.
func TimestampOf(t time.Time) Timestamp {
	return Timestamp{Seconds: t.Unix(), Nanoseconds: uint32(t.Nanosecond())}
}

// Compare is negative if t is before other, 0 if they are equal and positive if t is after it.
func (t Timestamp) Compare(other Timestamp) int {
	switch {
	case t == other:
		return 0
	case t.Seconds < other.Seconds || t.Seconds == other.Seconds && t.Nanoseconds < other.Nanoseconds:
		return -1
	default:
		return 1
	}
}

// String is the moment as text: 2026-03-01T09:30:00Z, with a fraction of 3, 6 or 9 digits unless it is zero. Years
// before 0 and beyond 9999 have a sign. It is always in UTC, and the same in the SDKs of all languages.
func (t Timestamp) String() string {
	era, second := t.Seconds/eraSeconds, t.Seconds%eraSeconds
	if second < 0 {
		era, second = era-1, second+eraSeconds
	}
	inEra := time.Unix(second, 0).UTC()
	layout := "%04d"
	year := int64(inEra.Year()) + era*eraYears
	switch {
	case year > 9999:
		layout = "+%d"
	case year < 0:
		layout = "%05d"
	}
	text := fmt.Sprintf(layout, year) + inEra.Format("-01-02T15:04:05")
	switch nanoseconds := t.Nanoseconds; {
	case nanoseconds == 0:
		return text + "Z"
	case nanoseconds%1_000_000 == 0:
		return fmt.Sprintf("%s.%03dZ", text, nanoseconds/1_000_000)
	case nanoseconds%1000 == 0:
		return fmt.Sprintf("%s.%06dZ", text, nanoseconds/1000)
	default:
		return fmt.Sprintf("%s.%09dZ", text, nanoseconds)
	}
}

// ParseTimestamp reads a moment from RFC 3339, with any offset, and from what String writes. Digits beyond nanoseconds
// are cut.
func ParseTimestamp(text string) (Timestamp, error) {
	rest, era := text, int64(0)
	if sign := strings.IndexAny(text, "+-"); sign == 0 {
		rest, era = inFirstEra(text)
	}
	parsed, err := time.Parse(time.RFC3339Nano, rest)
	// What Go takes beyond RFC 3339: an hour of one digit, and a comma for the point.
	if err != nil || rest[len("2026-03-01T09")] != ':' || strings.Contains(rest, ",") {
		return Timestamp{}, noTimestamp(text)
	}
	before, err := Multiply(era, eraSeconds)
	if err != nil {
		return Timestamp{}, noTimestamp(text)
	}
	seconds, err := Add(before, parsed.Unix())
	if err != nil {
		return Timestamp{}, noTimestamp(text)
	}
	return Timestamp{Seconds: seconds, Nanoseconds: uint32(parsed.Nanosecond())}, nil
}

// inFirstEra is a text whose year has a sign with another year of the same calendar, of four digits, and how many eras
// are between them. The seconds of both have the same sign, so that adding them up leaves the range only at the end.
func inFirstEra(text string) (rest string, era int64) {
	digits, after, _ := strings.Cut(text[1:], "-")
	year, err := strconv.ParseInt(text[:1]+digits, 10, 64)
	if err != nil || len(digits) < 4 || len(digits) > yearDigitsMax {
		return "", 0
	}
	era = year/eraYears - 5
	if text[0] == '-' {
		era++
	}
	return fmt.Sprintf("%04d-%s", year-era*eraYears, after), era
}

func noTimestamp(text string) error {
	return fmt.Errorf("%.60q is not a time like 2026-03-01T09:30:00Z (RFC 3339)", text)
}

// MarshalText is String, for encoding/json.
func (t Timestamp) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is ParseTimestamp, for encoding/json.
func (t *Timestamp) UnmarshalText(text []byte) error {
	parsed, err := ParseTimestamp(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
