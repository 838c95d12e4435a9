package projection

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// What encoding/json does silently and a projection must not: it leaves a field that is missing at zero, and rounds
// whole numbers that a float cannot hold. The checks cost time only for types that have something to check.

// plan says what to check in values of one type; nil means nothing.
type plan struct {
	// Of a struct.
	fields []planField
	// Of a slice, an array or a map: the plan of its elements.
	element *plan
	// Of a float: its number of bits.
	floatBits int
}

type planField struct {
	name     string
	required bool
	plan     *plan
}

var (
	plans       sync.Map // reflect.Type to *plan
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
)

// checkStrictly checks the JSON text that has been read into a value. It is known to be JSON.
func checkStrictly(text []byte, into any) error {
	plan := planOf(reflect.TypeOf(into).Elem())
	if plan == nil {
		return nil
	}
	var tree any
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		return fmt.Errorf("%w", err)
	}
	return plan.check(tree, "")
}

func planOf(of reflect.Type) *plan {
	if known, found := plans.Load(of); found {
		return known.(*plan)
	}
	made := makePlan(of, map[reflect.Type]*plan{})
	plans.Store(of, made)
	return made
}

// makePlan makes the plan of a type; of those that are being made it takes what there is, for types that contain
// themselves.
func makePlan(of reflect.Type, making map[reflect.Type]*plan) *plan {
	if begun, found := making[of]; found {
		return begun
	}
	if reflect.PointerTo(of).Implements(unmarshaler) {
		return nil
	}
	made := new(plan)
	making[of] = made
	defer delete(making, of)
	switch of.Kind() {
	case reflect.Pointer:
		return makePlan(of.Elem(), making)
	case reflect.Float64, reflect.Float32:
		made.floatBits = of.Bits()
		return made
	case reflect.Slice, reflect.Array, reflect.Map:
		made.element = makePlan(of.Elem(), making)
	case reflect.Struct:
		made.addFields(of, making)
	}
	if made.element == nil && len(made.fields) == 0 {
		return nil
	}
	return made
}

func (p *plan) addFields(of reflect.Type, making map[reflect.Type]*plan) {
	for _, field := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		isInlined := field.Anonymous && name == ""
		if isInlined || !field.IsExported() || name == "-" && options == "" {
			continue
		}
		if name == "" {
			name = field.Name
		}
		required := field.Tag.Get("kennel") == "required"
		plan := makePlan(field.Type, making)
		if required || plan != nil {
			p.fields = append(p.fields, planField{name: name, required: required, plan: plan})
		}
	}
}

func (p *plan) check(value any, path string) error {
	switch value := value.(type) {
	case map[string]any:
		for _, field := range p.fields {
			if err := field.check(value, path); err != nil {
				return err
			}
		}
		return p.checkElements(value, path)
	case []any:
		if p.element == nil {
			return nil
		}
		for i, element := range value {
			if err := p.element.check(element, path+"["+strconv.Itoa(i)+"]"); err != nil {
				return err
			}
		}
	case json.Number:
		if p.floatBits > 0 {
			return checkFloat(value.String(), p.floatBits, path)
		}
	}
	return nil
}

func (p *plan) checkElements(object map[string]any, path string) error {
	if p.element == nil {
		return nil
	}
	for name, element := range object {
		if err := p.element.check(element, path+"."+name); err != nil {
			return err
		}
	}
	return nil
}

func (f planField) check(object map[string]any, path string) error {
	value, found := object[f.name]
	if !found {
		value = valueOfFold(object, f.name)
	}
	at := strings.TrimPrefix(path+"."+f.name, ".")
	if value == nil {
		if f.required {
			return fmt.Errorf("missing field `%s`", at)
		}
		return nil
	}
	if f.plan == nil {
		return nil
	}
	return f.plan.check(value, at)
}

// valueOfFold finds a field as encoding/json does: whatever the case of its letters.
func valueOfFold(object map[string]any, name string) any {
	for other, value := range object {
		if strings.EqualFold(other, name) {
			return value
		}
	}
	return nil
}

// checkFloat rejects a whole number that a float would round.
func checkFloat(number string, bits int, path string) error {
	if strings.ContainsAny(number, ".eE") {
		return nil
	}
	float, err := strconv.ParseFloat(number, bits)
	if err != nil {
		return fmt.Errorf("field `%s`: %w", path, err)
	}
	exact, isWhole := new(big.Int).SetString(number, 10)
	kept, _ := big.NewFloat(float).Int(nil)
	if isWhole && kept.Cmp(exact) != 0 {
		return fmt.Errorf("field `%s`: a float%d would round %s: use int64, big.Int or json.Number", path, bits, number)
	}
	return nil
}
