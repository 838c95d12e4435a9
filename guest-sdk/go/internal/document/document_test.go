package document

import (
	"fmt"
	"strings"
	"testing"
)

func TestJSONThatBothDatabasesKeepIsAccepted(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":%d`, i, i)
	}
	for _, text := range []string{
		"null", `""`, "{}", "[]", "-0.0", "1e131071", "1e-16383", "0e400000", "1.5E+10", " [ 1 , {} ]\n",
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}],"":0}`,
		`"C:\\u0000"`, `"\\\\u0000"`, `{"\\u0000":1}`, `"\ud83d\udc36"`, `"\"[{\","`, "\"\U0001f436\"",
		"{" + strings.Join(many, ",") + "}",
		`"` + strings.Repeat("x", BytesMax-2) + `"`,
	} {
		if err := Check(text); err != nil {
			t.Errorf("%.60s: %v", text, err)
		}
	}
}

func TestJSONThatADatabaseCannotKeepIsRejectedWithTheReason(t *testing.T) {
	for text, expected := range map[string]string{
		"": "is not JSON", "{": "is not JSON", "01": "is not JSON", "NaN": "is not JSON", "1 2": "is not JSON",
		"\"\xff\"":                     "is not JSON: it is not UTF-8",
		`{"a":"\u0000"}`:               "the character NUL",
		`{"\u0000":1}`:                 "the character NUL",
		`"\\\u0000"`:                   "the character NUL",
		`"\ud800"`:                     "half of a surrogate pair (`\\ud800`)",
		`"\udc36\ud83d"`:               "half of a surrogate pair (`\\udc36`)",
		`"\ud83d\ud83d\udc36"`:         "half of a surrogate pair (`\\ud83d`)",
		`"\uD83D x"`:                   "half of a surrogate pair (`\\uD83D`)",
		"1e131072":                     "contains the number `1e131072`",
		"[0, -1.5e400000]":             "contains the number `-1.5e400000`",
		"1e-16384":                     "contains the number `1e-16384`",
		"0e2000000000":                 "contains the number `0e2000000000`",
		"1e99999999999999999999":       "contains the number `1e99999999999999999999`",
		strings.Repeat("[", 1001):      "is nested more than 1000 levels deep",
		`{"a":1,"a":2}`:                "the key `a` more than once",
		`{"a":1,"\u0061":2}`:           "the key `a` more than once",
		`[{"b":{"a":1,"b":0,"a":[]}}]`: "the key `a` more than once",
		"[" + strings.Repeat("1e131071,", 8) + "1e131071]": "has 1179658 bytes once its numbers are written out",
		`"` + strings.Repeat("x", BytesMax-1) + `"`:        "has 1048577 bytes, more than 1048576",
	} {
		if err := Check(text); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%.60s: %v does not contain %q", text, err, expected)
		}
	}
}

func TestAnIncrementChangesNothingElse(t *testing.T) {
	precise := `{"owner_id":12345678901234567890123,"balance":0.1234567890123456789,"n":%d}`
	for before, after := range map[string]string{
		fmt.Sprintf(precise, 1):                         fmt.Sprintf(precise, 2),
		" { \"a\" : 1.50 ,\t\"n\" : -7 , \"z\":[ ] }\n": " { \"a\" : 1.50 ,\t\"n\" : -6 , \"z\":[ ] }\n",
		`{"s":"a\"}{,\\","n":1}`:                        `{"s":"a\"}{,\\","n":2}`,
		`{"a":{"n":5},"n":null}`:                        `{"a":{"n":5},"n":1}`,
		`{"\u006e":4}`:                                  `{"\u006e":5}`,
		`{"n":"old","n":3}`:                             `{"n":"old","n":4}`,
		`{"n":3,"\u006e":8}`:                            `{"n":3,"\u006e":9}`,
		"{}":                                            `{"n":1}`,
		" { } ":                                         ` {"n":1 } `,
		"{\"a\":1 \n}":                                  "{\"a\":1,\"n\":1 \n}",
		`{"n":1.0}`:                                     `{"n":2}`,
		`{"n":-0.0e7}`:                                  `{"n":1}`,
		`{"n":1.20E+1}`:                                 `{"n":13}`,
		`{"n":1000e-3}`:                                 `{"n":2}`,
		`{"n":0e999999999999999999999}`:                 `{"n":1}`,
		`{"n":-9223372036854775808.0,"a":[1,{}]}`: `{"n":-9223372036854775807,"a":[1,{}]}`,
	} {
		if got, err := Increment(&before, "n", 1); got != after || err != nil {
			t.Errorf("%s: got %s, %v, expected %s", before, got, err, after)
		}
	}
	if got, err := Increment(nil, "\"\\\n<\U0001f436", -5); got != "{\"\\\"\\\\\\n<\U0001f436\":-5}" || err != nil {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAnIncrementThatCannotBeIsRejected(t *testing.T) {
	for document, expected := range map[string]error{
		"1": errNoObject, "[1]": errNoObject, `"{}"`: errNoObject, "null": errNoObject,
		`{"n":0.5}`: errNotWhole, `{"n":1e-1}`: errNotWhole, `{"n":"1"}`: errNotWhole, `{"n":true}`: errNotWhole,
		`{"n":[1]}`: errNotWhole, `{"n":1e-99999999999999999999}`: errNotWhole,
		`{"n":9223372036854775808}`: errOutOfRange, `{"n":1e19}`: errOutOfRange, `{"n":1e400}`: errOutOfRange,
		`{"n":-92233720368547758080e0}`: errOutOfRange, `{"n":1e99999999999999999999}`: errOutOfRange,
		`{"n":9223372036854775807}`: errOverflow,
	} {
		if _, err := Increment(&document, "n", 1); err != expected {
			t.Errorf("%s: got %v, expected %v", document, err, expected)
		}
	}
	least := `{"n":-9223372036854775808}`
	if _, err := Increment(&least, "n", -1); err != errOverflow {
		t.Errorf("got %v", err)
	}
}
