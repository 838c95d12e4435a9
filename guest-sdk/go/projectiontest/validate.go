package projectiontest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"kennel/projection"
	"kennel/projection/internal/document"
)

// Bounds of the contract.
const (
	nameBytesMax        = 200
	scopeNamesMax       = 1000
	collectionsMax      = 100
	columnsMax          = 500
	indexesMax          = 100
	indexColumnsMax     = 16
	pathBytesMax        = 200
	pathFieldsMax       = 16
	reservedColumnNames = " key document revision rowid oid ctid tableoid xmin xmax cmin cmax "
)

var (
	columnName     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	pathFieldPlain = regexp.MustCompile(`^[A-Za-z0-9_-]+`)
)

// Validate says which rule of the contract a descriptor breaks, or nil. A component with an invalid descriptor cannot
// be deployed. [New] calls it.
func Validate(d projection.Descriptor) error {
	if err := checkName("name", d.Name); err != nil {
		return err
	}
	if err := checkName("version", d.Version); err != nil {
		return err
	}
	for what, names := range map[string][]string{
		"bounded context": d.BoundedContexts, "aggregate type": d.AggregateTypes, "event type": d.EventTypes,
	} {
		if len(names) > scopeNamesMax {
			return fmt.Errorf("the scope has %d %ss, more than %d", len(names), what, scopeNamesMax)
		}
		for _, name := range names {
			if err := checkName(what, name); err != nil {
				return err
			}
		}
	}
	if d.Partitioning > projection.Single {
		return fmt.Errorf("%d is no partitioning", d.Partitioning)
	}
	return validateCollections(d.Collections)
}

func checkName(what, name string) error {
	if len(name) == 0 || len(name) > nameBytesMax || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("the %s %.60q is invalid: use 1 to %d bytes without control characters", what, name,
			nameBytesMax)
	}
	return nil
}

func validateCollections(collections []projection.Collection) error {
	if len(collections) > collectionsMax {
		return fmt.Errorf("%d collections are declared, more than %d", len(collections), collectionsMax)
	}
	names := map[string]bool{}
	columns, indexes := 0, 0
	for _, collection := range collections {
		name := collection.Name
		if len(name) == 0 || len(name) > collectionBytesMax || !utf8.ValidString(name) ||
			strings.ContainsRune(name, 0) {
			return fmt.Errorf("the collection %.60q has an invalid name: use 1 to %d bytes of text without NUL", name,
				collectionBytesMax)
		}
		if names[name] {
			return fmt.Errorf("the collection %.60q is declared twice", name)
		}
		names[name] = true
		if err := validateCollection(collection); err != nil {
			return fmt.Errorf("the collection %.60q: %w", name, err)
		}
		columns += len(collection.Columns)
		indexes += len(collection.Indexes)
	}
	if columns > columnsMax {
		return fmt.Errorf("the collections have %d columns together, more than %d", columns, columnsMax)
	}
	if indexes > indexesMax {
		return fmt.Errorf("the collections have %d indexes together, more than %d", indexes, indexesMax)
	}
	return nil
}

func validateCollection(c projection.Collection) error {
	types := map[string]projection.ColumnType{}
	for _, column := range c.Columns {
		name := column.Name
		if !columnName.MatchString(name) || strings.Contains(reservedColumnNames, " "+name+" ") {
			return fmt.Errorf("the column %.60q has an invalid name: use 1 to 48 lower-case letters, digits and _, "+
				"the first a letter, and no name that tables have for columns of their own", name)
		}
		if _, isThere := types[name]; isThere {
			return fmt.Errorf("the column %q is declared twice", name)
		}
		if column.Type > projection.JSON {
			return fmt.Errorf("the column %q: %d is no type of columns", name, column.Type)
		}
		types[name] = column.Type
		if err := checkPath(column.Path); err != nil {
			return fmt.Errorf("the column %q: %w", name, err)
		}
	}
	for i, index := range c.Indexes {
		if err := validateIndex(index, types); err != nil {
			return fmt.Errorf("index %d %w", i+1, err)
		}
		isSame := func(other projection.Index) bool { return slices.Equal(other.Columns, index.Columns) }
		if slices.ContainsFunc(c.Indexes[:i], isSame) {
			return fmt.Errorf("index %d has the same columns as one before it", i+1)
		}
	}
	return nil
}

func validateIndex(i projection.Index, types map[string]projection.ColumnType) error {
	if len(i.Columns) == 0 || len(i.Columns) > indexColumnsMax {
		return fmt.Errorf("has %d columns: name 1 to %d", len(i.Columns), indexColumnsMax)
	}
	for at, name := range i.Columns {
		columnType, isThere := types[name]
		switch {
		case !isThere:
			return fmt.Errorf("names %.60q, which is no column of the collection", name)
		case columnType == projection.JSON:
			return fmt.Errorf("names %q, which holds JSON and has no order", name)
		case slices.Contains(i.Columns[:at], name):
			return fmt.Errorf("names %q twice", name)
		}
	}
	return nil
}

// checkPath checks the path of a column: fields joined by dots, each of plain letters or a JSON string.
func checkPath(path string) error {
	if len(path) == 0 || len(path) > pathBytesMax {
		return fmt.Errorf("its path has %d bytes: use 1 to %d", len(path), pathBytesMax)
	}
	rest := path
	for fields := 1; ; fields++ {
		if fields > pathFieldsMax {
			return fmt.Errorf("its path leads through more than %d fields", pathFieldsMax)
		}
		field := pathField(rest)
		if field == "" {
			return fmt.Errorf("its path %q has a field that is neither letters of ASCII, digits, _ and - nor a JSON "+
				"string", path)
		}
		rest = rest[len(field):]
		if rest == "" {
			return nil
		}
		if rest[0] != '.' {
			return fmt.Errorf("its path %q needs a dot before %q", path, rest)
		}
		rest = rest[1:]
	}
}

// pathField is the field that a path begins with, as it is written; nothing if it begins with none.
func pathField(path string) string {
	if !strings.HasPrefix(path, `"`) {
		return pathFieldPlain.FindString(path)
	}
	decoder := json.NewDecoder(strings.NewReader(path))
	var field json.RawMessage
	if err := decoder.Decode(&field); err != nil || document.Check(string(field)) != nil {
		return ""
	}
	return path[:decoder.InputOffset()]
}
