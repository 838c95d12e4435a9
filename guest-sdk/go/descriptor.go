package projection

// Descriptor says what a projection is called and which events it handles. Lists that are empty mean all; lists are
// combined with "and".
type Descriptor struct {
	// Name is for people. What counts is the name that the projection is deployed under.
	Name string
	// Version is the version of the projection's code, for people.
	Version string
	// BoundedContexts asks only for events of these parts of the business.
	BoundedContexts []string
	// AggregateTypes asks only for events of these kinds of aggregate.
	AggregateTypes []string
	// EventTypes asks only for events of these types.
	EventTypes []string
	// Partitioning says how the work may be divided.
	Partitioning Partitioning
	// Collections declares columns and indexes. A collection that is not declared holds documents all the same.
	Collections []Collection
}

// Partitioning says how the work of a projection may be divided among workers.
type Partitioning uint8

const (
	// ByAggregate divides by the hash of the aggregate id: many workers, order kept per aggregate.
	ByAggregate Partitioning = iota
	// Single has one worker at a time handle everything, in the order of the log.
	Single
)

// Collection declares what the documents of a collection have in common. The host checks it when the component is
// deployed, stores it and shows it; tables with these columns and indexes are made by a later version of the host.
type Collection struct {
	// Name under which the documents are written.
	Name string
	// Columns of the collection.
	Columns []Column
	// Indexes of the collection.
	Indexes []Index
}

// Column is a value that the documents of a collection have.
type Column struct {
	// Name is 1 to 48 lower-case letters of ASCII, digits and underscores.
	Name string
	// Path names the fields that lead to the value from the top of the document, joined by dots. A field of other
	// characters than letters of ASCII, digits, underscores and hyphens is written as a JSON string.
	Path string
	// Type of the value.
	Type ColumnType
}

// ColumnType says what a column holds. A field that is missing from a document, or null, leaves it empty.
type ColumnType uint8

const (
	// Text is a JSON string.
	Text ColumnType = iota
	// Integer is a JSON number that is whole and fits int64.
	Integer
	// Decimal is a JSON number with all its digits.
	Decimal
	// Boolean is true or false.
	Boolean
	// Time is a JSON string with a date and a time as RFC 3339 writes them.
	Time
	// JSON is any JSON value. No index may name the column.
	JSON
)

// Index is columns by which documents are looked up or sorted.
type Index struct {
	// Columns by name, the most significant first.
	Columns []string
	// Unique says that no two documents may have the same values in all of them.
	Unique bool
}
