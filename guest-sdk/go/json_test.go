package projection

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
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

type embedding struct {
	*embedding
	embedded
	Named embedded `json:"named"`
	Kept  string
}

type embedded struct {
	*embedding
	Kept  string `kennel:"required"`
	Inner string `kennel:"required"`
}

type loose struct {
	Text   string
	Texts  []string
	Array  [2]int
	Whole  map[string]int
	Rows   [][]embedded
	Any    any
	Raw    json.RawMessage
	Time   time.Time
	Stamps []Timestamp
	Maybe  []*int
	Float  float32
	Quoted float64 `json:",string"`
}

// Everything here is read by encoding/json without an error.
func TestWhatGoWouldChangeIsRejected(t *testing.T) {
	read := func(text string) error { return decodeJSON([]byte(text), new(loose)) }
	for text, expected := range map[string]string{
		`null`:                           "it is null",
		`{"texts":["a",null]}`:           "field `Texts[1]`: it is null",
		`{"Array":[1]}`:                  "field `Array`: it has 1 elements instead of 2",
		`{"Array":[1,2,3]}`:              "field `Array`: it has 3 elements instead of 2",
		`{"Array":[1,null]}`:             "field `Array[1]`: it is null",
		`{"Whole":{"a":1,"b\n":null}}`:   "field `Whole.b\n`: it is null",
		`{"Whole":{"\ud800":1}}`:         "half of a surrogate pair (`\\ud800`)",
		`{"Rows":[[],[null]]}`:           "field `Rows[1][0]`: it is null",
		`{"Rows":[[{"Kept":"","x":1}]]}`: "missing field `Rows[0][0].Inner`",
		`{"Text":"\uD800\ud800"}`:        "field `Text`: it contains half of a surrogate pair (`\\uD800`)",
		`{"Any":{"a":["\udc00"]}}`:       "field `Any`: it contains half of a surrogate pair (`\\udc00`)",
		`{"Float":16777217}`:             "field `Float`: a float32 would round 16777217",
		`{"Float":16777217.00}`:          "field `Float`: a float32 would round 16777217.00",
		`{"Quoted":"9007199254740993"}`:  "field `Quoted`: a float64 would round \"9007199254740993\"",
	} {
		if err := read(text); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%s: %v does not contain %q", text, err, expected)
		}
	}
	for _, text := range []string{
		`{"Text":null,"Texts":null,"Whole":null,"Rows":[null],"Any":null,"Time":null,"Stamps":null,"Maybe":[null,1]}`,
		`{"Raw":"\ud800","unknown":["\udc00",null],"Text":"\ud83d\udc36 \\ud800"}`,
		`{"Float":0.1,"Quoted":"0.1","Any":[1e400,null,{"a":null}]}`, ` { "Texts" : [ ] , "Rows" : [ [ ] ] } `,
	} {
		if err := read(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFieldsOfEmbeddedStructsAreFieldsOfTheStruct(t *testing.T) {
	read := func(text string) error { return decodeJSON([]byte(text), new(embedding)) }
	for text, expected := range map[string]string{
		`{"named":{"Kept":"","Inner":""}}`:            "missing field `Inner`",
		`{"inner":"","named":{"Inner":"","kept":""}}`: "",
		`{"Inner":"","Named":{"Inner":""}}`:           "missing field `named.Kept`",
	} {
		if err := read(text); (err == nil) != (expected == "") || err != nil && err.Error() != expected {
			t.Errorf("%s: %v, not %q", text, err, expected)
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
