package projection

import (
	"fmt"
	"strconv"
	"strings"

	"kennel/projection/internal/jsontext"
)

// What encoding/json does silently and a projection must not: it leaves missing fields and nulls at zero, rounds
// whole numbers that a float cannot hold, drops elements that an array has no room for, and replaces halves of
// surrogate pairs. The checks go through the text once more, as the plan of the type says, and make nothing of it.

// strictError is a value that encoding/json would change.
type strictError struct {
	path, problem string
	isMissing     bool
}

// Error names the field.
func (e *strictError) Error() string {
	path := strings.TrimPrefix(e.path, ".")
	switch {
	case e.isMissing:
		return "missing field `" + path + "`"
	case path == "":
		return e.problem
	default:
		return "field `" + path + "`: " + e.problem
	}
}

func problem(format string, arguments ...any) *strictError {
	return &strictError{problem: fmt.Sprintf(format, arguments...)}
}

// in is the same error, seen from what the value is in.
func (e *strictError) in(step string) *strictError {
	e.path = step + e.path
	return e
}

// checkStrictly checks a JSON text that has been read into a value of the plan's type.
func (p *plan) checkStrictly(text string) error {
	isNeeded := p.needs.always || p.needs.noNull && strings.Contains(text, jsontext.Null) ||
		p.needs.wholePairs && (strings.Contains(text, `\ud`) || strings.Contains(text, `\uD`))
	if !isNeeded {
		return nil
	}
	if err := p.check(jsontext.Value(text)); err != nil {
		return err
	}
	return nil
}

func (p *plan) check(value string) *strictError {
	switch {
	case value == jsontext.Null:
		if p.takesNull {
			return nil
		}
		return problem("it is null")
	case p.pointsTo != nil:
		return p.pointsTo.check(value)
	case p.hasText:
		return checkPairs(value)
	case value[0] == '{' && p.isStruct:
		return p.checkFields(value)
	case value[0] == '{' && p.element != nil:
		return p.checkEntries(value)
	case value[0] == '[' && p.element != nil:
		return p.checkElements(value)
	case p.floatBits > 0:
		return checkFloat(value, p.floatBits)
	default:
		return nil
	}
}

func (p *plan) checkFields(object string) *strictError {
	isThere := make([]bool, len(p.fields))
	for quoted, value := range jsontext.Members(object) {
		at := p.fieldOf(jsontext.Unquoted(quoted))
		if at < 0 {
			continue
		}
		// Of two fields of one name the last counts.
		isThere[at] = value != jsontext.Null
		if !isThere[at] {
			continue
		}
		if err := p.fields[at].plan.check(value); err != nil {
			return err.in("." + p.fields[at].name)
		}
	}
	for at, field := range p.fields {
		if field.isRequired && !isThere[at] {
			return &strictError{path: "." + field.name, isMissing: true}
		}
	}
	return nil
}

// fieldOf finds a field as encoding/json does: by its name, or else whatever the case of its letters.
func (p *plan) fieldOf(name string) int {
	folded := -1
	for at, field := range p.fields {
		if field.name == name {
			return at
		}
		if folded < 0 && strings.EqualFold(field.name, name) {
			folded = at
		}
	}
	return folded
}

func (p *plan) checkEntries(object string) *strictError {
	for quoted, value := range jsontext.Members(object) {
		err := checkPairs(quoted)
		if err == nil {
			err = p.element.check(value)
		}
		if err != nil {
			return err.in("." + jsontext.Unquoted(quoted))
		}
	}
	return nil
}

func (p *plan) checkElements(array string) *strictError {
	length := 0
	for value := range jsontext.Elements(array) {
		if err := p.element.check(value); err != nil {
			return err.in("[" + strconv.Itoa(length) + "]")
		}
		length++
	}
	if p.isArray && length != p.length {
		return problem("it has %d elements instead of %d", length, p.length)
	}
	return nil
}

// checkPairs rejects what Go's text cannot hold.
func checkPairs(value string) *strictError {
	if escape := jsontext.HalfPair(value); escape != "" {
		return problem("it contains half of a surrogate pair (`%s`), which is no character", escape)
	}
	return nil
}

// checkFloat rejects a whole number that a float would round. One that is written with a fraction or an
// exponent may lose digits, as people expect of a float.
func checkFloat(value string, bits int) *strictError {
	// In quotes if the tag of the field says `string`.
	digits, fraction, _ := strings.Cut(strings.Trim(value, `"`), ".")
	if strings.Trim(fraction, "0") != "" || strings.ContainsAny(digits, "eE") {
		return nil
	}
	float, err := strconv.ParseFloat(digits, bits)
	// Without digits behind the point, FormatFloat writes a whole number exactly.
	if err == nil && strconv.FormatFloat(float, 'f', 0, 64) != digits {
		return problem("a float%d would round %s: use int64, big.Int or json.Number", bits, value)
	}
	return nil
}
