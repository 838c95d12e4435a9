// Package document has the rules that the host has for documents: which JSON both databases can hold, and how an
// increment changes a document. The test kit keeps them natively. It looks at no collections and no keys.
package document

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"kennel/projection/internal/jsontext"
)

// Bounds of the contract.
const (
	BytesMax = 1 << 20
	depthMax = 1000
	// Numbers are written out in digits, of which a database holds so many.
	digitsBeforeMax = 131_072
	digitsBehindMax = 16_383
	exponentMax     = 1<<30 - 1
)

// Check says why a text cannot be a document, or nil.
func Check(text string) error {
	if len(text) > BytesMax {
		return fmt.Errorf("has %d bytes, more than %d", len(text), BytesMax)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("is not JSON: it is not UTF-8")
	}
	scan := scan{text: text, bytes: len(text)}
	if err := scan.depthFits(); err != nil {
		return err
	}
	var any json.RawMessage
	if err := json.Unmarshal([]byte(text), &any); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	return scan.check()
}

// scan looks at text that is JSON for what may be wrong beyond that.
type scan struct {
	text string
	at   int
	open []container
	// Bytes of the text with its numbers written out.
	bytes int
}

// container is an array or object that is open.
type container struct {
	// Of an object, the keys so far; nil for an array.
	keys       map[string]bool
	expectsKey bool
}

// depthFits comes before the parser, whose own bound on the depth has another message.
func (s *scan) depthFits() error {
	depth := 0
	for at := 0; at < len(s.text); at++ {
		switch s.text[at] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			at = jsontext.StringEnd(s.text, at) - 1
		}
		if depth > depthMax {
			return fmt.Errorf("is nested more than %d levels deep", depthMax)
		}
	}
	return nil
}

func (s *scan) check() error {
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return err
		}
	}
	if s.bytes > BytesMax {
		return fmt.Errorf("has %d bytes once its numbers are written out in digits, more than %d", s.bytes, BytesMax)
	}
	return nil
}

func (s *scan) step() error {
	switch char := s.text[s.at]; {
	case char == '{':
		s.open = append(s.open, container{keys: map[string]bool{}, expectsKey: true})
	case char == '[':
		s.open = append(s.open, container{})
	case char == '}' || char == ']':
		s.open = s.open[:len(s.open)-1]
	case char == ',':
		if last := &s.open[len(s.open)-1]; last.keys != nil {
			last.expectsKey = true
		}
	case char == '"':
		return s.string()
	case char == '-' || '0' <= char && char <= '9':
		return s.number()
	}
	s.at++
	return nil
}

func (s *scan) number() error {
	end := s.at
	for end < len(s.text) && strings.IndexByte("0123456789-+.eE", s.text[end]) >= 0 {
		end++
	}
	number := s.text[s.at:end]
	written, fits := writtenBytes(number)
	if !fits {
		return fmt.Errorf("contains the number `%.60s`; databases hold up to 131,072 digits before and 16,383 behind "+
			"the decimal point", number)
	}
	s.bytes += written - len(number)
	s.at = end
	return nil
}

func (s *scan) string() error {
	end := jsontext.StringEnd(s.text, s.at)
	quoted := s.text[s.at:end]
	s.at = end
	if err := checkEscapes(quoted); err != nil {
		return err
	}
	if len(s.open) == 0 {
		return nil
	}
	if last := &s.open[len(s.open)-1]; last.expectsKey {
		last.expectsKey = false
		key := jsontext.Unquoted(quoted)
		if last.keys[key] {
			return fmt.Errorf("has an object with the key `%.60s` more than once, of which databases keep one", key)
		}
		last.keys[key] = true
	}
	return nil
}

// checkEscapes looks for the character NUL and for halves of surrogate pairs in a JSON string.
func checkEscapes(quoted string) error {
	if jsontext.HasNUL(quoted) {
		return fmt.Errorf("contains the character NUL (\\u0000), which databases cannot hold in JSON")
	}
	if escape := jsontext.HalfPair(quoted); escape != "" {
		return fmt.Errorf("contains half of a surrogate pair (`%s`), which is no character", escape)
	}
	return nil
}

// writtenBytes is how long a database makes a number, and whether it can hold it.
func writtenBytes(number string) (int, bool) {
	digits, isNegative := strings.CutPrefix(number, "-")
	exponent := 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		parsed, err := strconv.Atoi(digits[at+1:])
		if err != nil || parsed >= exponentMax || parsed <= -exponentMax {
			return 0, false
		}
		digits, exponent = digits[:at], parsed
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	behind := max(len(fraction)-exponent, 0)
	significant := strings.TrimLeft(whole+fraction, "0")
	before := 1
	if significant != "" {
		before = len(significant) - len(fraction) + exponent
	}
	if before > digitsBeforeMax || behind > digitsBehindMax {
		return 0, false
	}
	written := max(before, 1) + behind
	if isNegative {
		written++
	}
	if behind > 0 {
		written++
	}
	return written, true
}
