package document

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"

	"kennel/projection/internal/jsontext"
)

// Why an amount cannot be added.
var (
	errNoObject   = errors.New("the document is not a JSON object")
	errNotWhole   = errors.New("the field is not a whole number")
	errOutOfRange = errors.New("the field is beyond the range of 64-bit whole numbers")
	errOverflow   = errors.New("the sum leaves the range of 64-bit whole numbers")
)

// Digits that every 64-bit number fits into.
const digitsMax = 19

// Increment is a document with an amount added to a field at its top, and every other byte as it was. A document that
// is missing is an empty object; a field that is missing or null counts as 0. The document is known to be JSON.
func Increment(document *string, field string, by int64) (string, error) {
	text := "{}"
	if document != nil {
		text = *document
	}
	place, err := find(text, field)
	if err != nil {
		return "", err
	}
	before := int64(0)
	if value := text[place.begin:place.end]; place.isFound && value != jsontext.Null {
		if before, err = whole(value); err != nil {
			return "", err
		}
	}
	sum := before + by
	if by > 0 && sum < before || by < 0 && sum > before {
		return "", errOverflow
	}
	written := strconv.FormatInt(sum, 10)
	if !place.isFound {
		written = nameOf(field) + ":" + written
		if !place.isFirst {
			written = "," + written
		}
	}
	return text[:place.begin] + written + text[place.end:], nil
}

func nameOf(field string) string {
	var name strings.Builder
	encoder := json.NewEncoder(&name)
	encoder.SetEscapeHTML(false)
	// A string always has a JSON form.
	_ = encoder.Encode(field)
	return strings.TrimSuffix(name.String(), "\n")
}

// place says where the value of a field is, or where a field can be put.
type place struct {
	begin, end int
	isFound    bool
	isFirst    bool
}

// find looks for a field at the top of an object. Of several the last counts.
func find(text, field string) (place, error) {
	at := jsontext.AfterSpace(text, 0)
	if at == len(text) || text[at] != '{' {
		return place{}, errNoObject
	}
	at++
	found := place{begin: at, end: at, isFirst: true}
	for at = jsontext.AfterSpace(text, at); text[at] != '}'; at = jsontext.AfterSpace(text, at) {
		if text[at] == ',' {
			at = jsontext.AfterSpace(text, at+1)
		}
		nameEnd := jsontext.StringEnd(text, at)
		name := jsontext.Unquoted(text[at:nameEnd])
		// Behind the colon.
		begin := jsontext.AfterSpace(text, jsontext.AfterSpace(text, nameEnd)+1)
		at = jsontext.ValueEnd(text, begin)
		if name == field {
			found = place{begin: begin, end: at, isFound: true}
		} else if !found.isFound {
			found = place{begin: at, end: at}
		}
	}
	return found, nil
}

// whole is the value of a number that is whole, however it is written.
func whole(text string) (int64, error) {
	if value, err := strconv.ParseInt(text, 10, 64); err == nil {
		return value, nil
	}
	number, isNegative := strings.CutPrefix(text, "-")
	if number == "" || number[0] < '0' || number[0] > '9' {
		return 0, errNotWhole
	}
	mantissa, power := number, "0"
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa, power = number[:at], number[at+1:]
	}
	before, after, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(before+after, "0")
	significant := strings.TrimRight(digits, "0")
	if significant == "" {
		return 0, nil
	}
	exponent, err := strconv.ParseInt(power, 10, 32)
	if err != nil {
		// One that is longer than any text can make up for by its digits.
		exponent = math.MaxInt32
		if power[0] == '-' {
			exponent = math.MinInt32
		}
	}
	zeros := exponent + int64(len(digits)-len(significant)-len(after))
	if zeros < 0 {
		return 0, errNotWhole
	}
	if int64(len(significant))+zeros > digitsMax {
		return 0, errOutOfRange
	}
	sign := ""
	if isNegative {
		sign = "-"
	}
	value, err := strconv.ParseInt(sign+significant+strings.Repeat("0", int(zeros)), 10, 64)
	if err != nil {
		return 0, errOutOfRange
	}
	return value, nil
}
