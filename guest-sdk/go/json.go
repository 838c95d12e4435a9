package projection

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unsafe"
)

// decodeJSON reads one JSON text into a value. Numbers without a type of their own keep their digits.
func decodeJSON(text []byte, into any) error {
	if len(text) == 0 {
		return errors.New("it is empty")
	}
	plan := planOf(reflect.TypeOf(into).Elem())
	if err := unmarshal(text, into, plan.needs.numbers); err != nil {
		return err
	}
	// A payload may have 64 MiB, of which a copy would take half of what an instance has.
	return plan.checkStrictly(unsafe.String(unsafe.SliceData(text), len(text)))
}

func unmarshal(text []byte, into any, keepsNumbers bool) error {
	if !keepsNumbers {
		return json.Unmarshal(text, into)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("it has more than one JSON value")
	}
	return nil
}

// EncodeJSON is the JSON text of a value as encoding/json writes it, but with every character that JSON allows in a
// string as it is: encoding/json escapes some for the sake of HTML and JavaScript.
func EncodeJSON(value any) (string, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("%w", err)
	}
	return withoutSeparatorEscapes(strings.TrimSuffix(text.String(), "\n")), nil
}

// withoutSeparatorEscapes writes U+2028 and U+2029 as they are. A backslash that is escaped itself begins no escape.
func withoutSeparatorEscapes(text string) string {
	if !strings.Contains(text, `\u202`) {
		return text
	}
	var plain strings.Builder
	for at := 0; at < len(text); {
		rest := text[at:]
		switch {
		case strings.HasPrefix(rest, `\u2028`):
			plain.WriteString("\u2028")
			at += 6
		case strings.HasPrefix(rest, `\u2029`):
			plain.WriteString("\u2029")
			at += 6
		case rest[0] == '\\':
			plain.WriteString(rest[:2])
			at += 2
		default:
			plain.WriteByte(rest[0])
			at++
		}
	}
	return plain.String()
}
