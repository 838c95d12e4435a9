package projection

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

type inner struct {
	Amount float64 `json:"amount"`
}

type strict struct {
	inner
	Name   string `json:"name" kennel:"required"`
	Whole  int64
	Many   []inner          `json:"many"`
	ByName map[string]inner `json:"by_name"`
	Next   *strict          `json:"next"`
	Any    any              `json:"any"`
	Big    *big.Int         `json:"big"`
}

func decoded(text string) (strict, error) {
	return Decode[strict](&Event{EventType: "Test", EventVersion: 1, Payload: Payload{Bytes: []byte(text)}})
}

func TestDecodingIsExact(t *testing.T) {
	value, err := decoded(`{"NAME":"x","whole":9223372036854775807,"any":[18446744073709551617,0.10],"amount":0.1,
		"many":[{"amount":9007199254740992}],"big":123456789012345678901234567890,"unknown":1e999}`)
	if err != nil {
		t.Fatal(err)
	}
	if value.Whole != 9223372036854775807 || value.Big.String() != "123456789012345678901234567890" {
		t.Errorf("got %+v", value)
	}
	if number := value.Any.([]any)[0].(json.Number); number != "18446744073709551617" {
		t.Errorf("got %v", number)
	}
}

func TestDecodingRejectsWhatItCannotKeep(t *testing.T) {
	const rounded = "a float64 would round 9007199254740993: use int64, big.Int or json.Number"
	for text, expected := range map[string]string{
		"":                                       "it is empty",
		"{} {}":                                  "it has more than one JSON value",
		"{}":                                     "missing field `name`",
		`{"name":null}`:                          "missing field `name`",
		`{"name":"x","next":{}}`:                 "missing field `next.name`",
		`{"name":"x","whole":1e3}`:               "cannot unmarshal number 1e3",
		`{"name":"x","whole":1.5}`:               "cannot unmarshal number 1.5",
		`{"name":"x","whole":1e400}`:             "cannot unmarshal number",
		`{"name":"x","amount":9007199254740993}`: "field `amount`: " + rounded,
		`{"name":"x","many":[{},{"amount":9007199254740993}]}`:     "field `many[1].amount`: " + rounded,
		`{"name":"x","by_name":{"k":{"amount":9007199254740993}}}`: "field `by_name.k.amount`: " + rounded,
		`{"name":"x","whole":9223372036854775808}`:                 "cannot unmarshal number 9223372036854775808",
	} {
		if _, err := decoded(text); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %v does not contain %q", text, err, expected)
		}
	}
}

func TestEncodingEscapesOnlyWhatJSONDemands(t *testing.T) {
	text, err := EncodeJSON(map[string]any{"<&>": "\u2028 \u2029 \\u2028 \u007f \"", "a": 1 << 60})
	expected := "{\"<&>\":\"\u2028 \u2029 \\\\u2028 \u007f \\\"\",\"a\":1152921504606846976}"
	if text != expected || err != nil {
		t.Errorf("got %s, %v", text, err)
	}
}
