package projection

import (
	"cmp"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// plan says what to check in the JSON text of one type. What it does not say is left to encoding/json.
type plan struct {
	takesNull bool
	// Of a pointer.
	pointsTo *plan
	// Of a type whose value has text in it, which is checked as it is: of an `any` all of it.
	hasText bool
	// Of a float: its number of bits.
	floatBits int
	// Of a slice, an array or a map: the plan of its elements.
	element  *plan
	isArray  bool
	length   int
	isStruct bool
	fields   []planField
	isAny    bool

	// Of everything in the type, what there is to look for; set in the plan that a type begins with.
	needs needs
}

type planField struct {
	name       string
	isRequired bool
	plan       *plan
}

// needs says which texts need a check at all.
type needs struct {
	// Every one.
	always bool
	// Those with a null, and those with halves of surrogate pairs.
	noNull, wholePairs bool
	// The type has an `any` in it, whose numbers would become floats.
	numbers bool
}

var (
	plans           sync.Map // reflect.Type to *plan
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func planOf(of reflect.Type) *plan {
	if known, found := plans.Load(of); found {
		return known.(*plan)
	}
	made := makePlan(of, map[reflect.Type]*plan{})
	made.needs.noNull = !made.takesNull
	made.collect(&made.needs, map[*plan]bool{})
	plans.Store(of, made)
	return made
}

// makePlan makes the plan of a type; of those that are being made it takes what there is, for types that contain
// themselves.
func makePlan(of reflect.Type, making map[reflect.Type]*plan) *plan {
	if begun, found := making[of]; found {
		return begun
	}
	made := new(plan)
	making[of] = made
	switch {
	case reflect.PointerTo(of).Implements(unmarshaler):
		// Its own code reads the text.
		made.takesNull = true
		return made
	case reflect.PointerTo(of).Implements(textUnmarshaler):
		made.hasText = true
		return made
	}
	switch of.Kind() {
	case reflect.Pointer:
		made.takesNull, made.pointsTo = true, makePlan(of.Elem(), making)
	case reflect.Interface:
		made.takesNull, made.hasText, made.isAny = true, true, true
	case reflect.String:
		made.hasText = true
	case reflect.Float64, reflect.Float32:
		made.floatBits = of.Bits()
	case reflect.Slice, reflect.Map:
		made.takesNull, made.element = true, makePlan(of.Elem(), making)
	case reflect.Array:
		made.isArray, made.length, made.element = true, of.Len(), makePlan(of.Elem(), making)
	case reflect.Struct:
		made.isStruct = true
		made.addFields(of, making)
	}
	return made
}

// addFields adds the fields of a struct, then those of the structs that are embedded in it, whose names its own hide.
func (p *plan) addFields(of reflect.Type, making map[reflect.Type]*plan) {
	for structs, at := []reflect.Type{of}, 0; at < len(structs); at++ {
		for i := range structs[at].NumField() {
			field := structs[at].Field(i)
			name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			inner := structIn(field.Type)
			switch {
			case name == "-" && options == "":
			case field.Anonymous && name == "" && inner != nil:
				if !slices.Contains(structs, inner) {
					structs = append(structs, inner)
				}
			case field.IsExported():
				p.addField(cmp.Or(name, field.Name), field, making)
			}
		}
	}
}

func (p *plan) addField(name string, field reflect.StructField, making map[reflect.Type]*plan) {
	isSame := func(other planField) bool { return other.name == name }
	if slices.ContainsFunc(p.fields, isSame) {
		return
	}
	isRequired := field.Tag.Get("kennel") == "required"
	p.fields = append(p.fields, planField{name: name, isRequired: isRequired, plan: makePlan(field.Type, making)})
}

// structIn is a type that is a struct or points to one, or nil.
func structIn(of reflect.Type) reflect.Type {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if of.Kind() == reflect.Struct {
		return of
	}
	return nil
}

// collect adds what a plan and everything in it need.
func (p *plan) collect(needs *needs, seen map[*plan]bool) {
	if p == nil || seen[p] {
		return
	}
	seen[p] = true
	needs.always = needs.always || p.floatBits > 0 || p.isArray
	needs.wholePairs = needs.wholePairs || p.hasText
	needs.numbers = needs.numbers || p.isAny
	needs.noNull = needs.noNull || p.element != nil && !p.element.takesNull
	p.pointsTo.collect(needs, seen)
	p.element.collect(needs, seen)
	for _, field := range p.fields {
		needs.always = needs.always || field.isRequired
		field.plan.collect(needs, seen)
	}
}
