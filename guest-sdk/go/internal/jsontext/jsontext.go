// Package jsontext finds its way in text that is known to be JSON, without making a tree of it.
package jsontext

import (
	"encoding/json"
	"iter"
	"strconv"
	"strings"
)

// Null is how JSON writes that there is nothing.
const Null = "null"

// AfterSpace is the offset of what follows white space at an offset.
func AfterSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r') {
		at++
	}
	return at
}

// StringEnd is the offset behind the string that begins at an offset; behind the text if it has no end.
func StringEnd(text string, at int) int {
	for at++; at < len(text); at++ {
		switch text[at] {
		case '"':
			return at + 1
		case '\\':
			at++
		}
	}
	return len(text)
}

// ValueEnd is the offset behind the value that begins at an offset.
func ValueEnd(text string, at int) int {
	for depth := 0; at < len(text); {
		switch text[at] {
		case '"':
			at = StringEnd(text, at)
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\t', '\n', '\r':
			at++
			continue
		default:
			word := strings.IndexAny(text[at:], ",:]} \t\n\r")
			if word < 0 {
				return len(text)
			}
			at += word
		}
		if depth == 0 {
			return at
		}
	}
	return at
}

// Value is the first value of a text, without the white space around it.
func Value(text string) string {
	begin := AfterSpace(text, 0)
	return text[begin:ValueEnd(text, begin)]
}

// Elements are the values in an array.
func Elements(array string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for at := AfterSpace(array, 1); array[at] != ']'; at = AfterSpace(array, at) {
			if array[at] == ',' {
				at = AfterSpace(array, at+1)
			}
			end := ValueEnd(array, at)
			if !yield(array[at:end]) {
				return
			}
			at = end
		}
	}
}

// Members are the names, as they are written, and the values in an object.
func Members(object string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for at := AfterSpace(object, 1); object[at] != '}'; at = AfterSpace(object, at) {
			if object[at] == ',' {
				at = AfterSpace(object, at+1)
			}
			nameEnd := StringEnd(object, at)
			// Behind the colon.
			begin := AfterSpace(object, AfterSpace(object, nameEnd)+1)
			end := ValueEnd(object, begin)
			if !yield(object[at:nameEnd], object[begin:end]) {
				return
			}
			at = end
		}
	}
}

// Unquoted is the meaning of a string.
func Unquoted(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var meaning string
	if err := json.Unmarshal([]byte(quoted), &meaning); err != nil {
		return quoted
	}
	return meaning
}

// HalfPair finds an escape in the strings of a text that is half of a surrogate pair; nothing if there is none.
func HalfPair(text string) string {
	for at := 0; at < len(text); at++ {
		if text[at] != '\\' {
			continue
		}
		if text[at+1] != 'u' {
			at++
			continue
		}
		unit := codeUnit(text, at)
		isPair := unit&^0x3ff == 0xd800 && at+12 <= len(text) && text[at+6] == '\\' && text[at+7] == 'u' &&
			codeUnit(text, at+6)&^0x3ff == 0xdc00
		switch {
		case isPair:
			at += 11
		case unit&^0x7ff == 0xd800:
			return text[at : at+6]
		default:
			at += 5
		}
	}
	return ""
}

// HasNUL says whether the strings of a text contain the character NUL.
func HasNUL(text string) bool {
	for at := 0; at < len(text); at++ {
		if text[at] == '\\' {
			at++
			if strings.HasPrefix(text[at:], "u0000") {
				return true
			}
		}
	}
	return false
}

// codeUnit is the number of the escape \uXXXX at an offset.
func codeUnit(text string, at int) uint64 {
	unit, _ := strconv.ParseUint(text[at+2:at+6], 16, 16)
	return unit
}
