package projectiontest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"kennel/projection"
	"kennel/projection/internal/document"
)

// Bounds of the contract.
const (
	collectionBytesMax = 200
	keyBytesMax        = 1024
	readKeysMax        = 1000
	readBytesMax       = 32 << 20
	eventReadMax       = 64 << 20
	eventChangeMax     = 32 << 20
	eventCollections   = 500
	callBytesMax       = 16 << 20
)

// ReadModel is a read model in memory that keeps the host's rules. A call that breaks one panics, and the event has
// failed even if the handler recovers: on the host such a call does not return.
//
// The zero value is empty and ready. It has one user at a time.
type ReadModel struct {
	collections map[string]map[string]string
	// What the documents were before the changes since the last commit, oldest first.
	undo []change
	// The first rule that was broken since the last commit.
	broken string
	// What the event has read, changed and touched.
	read, changed int
	touched       map[string]bool
}

type change struct {
	collection, key string
	before          *string
}

var _ projection.ReadModel = (*ReadModel)(nil)

// Commit keeps the changes since the last commit.
func (m *ReadModel) Commit() {
	m.undo, m.broken, m.read, m.changed, m.touched = nil, "", 0, 0, nil
}

// RollBack undoes the changes since the last commit.
func (m *ReadModel) RollBack() {
	for _, change := range slices.Backward(m.undo) {
		m.set(change.collection, change.key, change.before)
	}
	m.Commit()
}

// changes are the documents that were changed since the last commit, as they are now: nil if there is none.
func (m *ReadModel) changes() map[[2]string]*string {
	changes := map[[2]string]*string{}
	for _, change := range m.undo {
		var now *string
		if text, isThere := m.collections[change.collection][change.key]; isThere {
			now = &text
		}
		changes[[2]string{change.collection, change.key}] = now
	}
	return changes
}

// differenceTo says how the first document that is different differs from earlier changes, or nothing.
func (m *ReadModel) differenceTo(earlier map[[2]string]*string) string {
	now := m.changes()
	keys := slices.AppendSeq(slices.Collect(maps.Keys(earlier)), maps.Keys(now))
	slices.SortFunc(keys, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		if before, after := written(earlier, key), written(now, key); before != after {
			return fmt.Sprintf("\ndocument %s/%s: first %s, then %s", key[0], key[1], before, after)
		}
	}
	return ""
}

func written(changes map[[2]string]*string, key [2]string) string {
	switch text, isChanged := changes[key]; {
	case !isChanged:
		return "unchanged"
	case text == nil:
		return "deleted"
	default:
		return *text
	}
}

// Broken says which rule was broken since the last commit, or nothing.
func (m *ReadModel) Broken() string { return m.broken }

// Documents is a whole collection, in the order of its keys.
func (m *ReadModel) Documents(collection string) []projection.Row {
	documents := m.collections[collection]
	rows := make([]projection.Row, 0, len(documents))
	for _, key := range slices.Sorted(maps.Keys(documents)) {
		rows = append(rows, projection.Row{Key: key, Document: documents[key]})
	}
	return rows
}

// Get reads a document, nil if there is none.
func (m *ReadModel) Get(collection, key string) *string {
	m.admit(collection)
	m.checkKey(key)
	return m.get(collection, key)
}

func (m *ReadModel) get(collection, key string) *string {
	found, isThere := m.collections[collection][key]
	if !isThere {
		return nil
	}
	if m.read += len(found); m.read > eventReadMax {
		m.breakRule("the event reads more than %d bytes of documents", eventReadMax)
	}
	return &found
}

// GetMany reads many documents at once, in the order of the keys.
func (m *ReadModel) GetMany(collection string, keys []string) []*string {
	m.admit(collection)
	if len(keys) > readKeysMax {
		m.breakRule("get-many: %d keys are more than %d", len(keys), readKeysMax)
	}
	documents := make([]*string, len(keys))
	bytes := 0
	for i, key := range keys {
		m.checkKey(key)
		documents[i] = m.get(collection, key)
		if documents[i] != nil {
			bytes += len(*documents[i])
		}
	}
	m.checkAnswer("get-many", bytes)
	return documents
}

// Put writes a whole document.
func (m *ReadModel) Put(collection, key, document string) {
	m.admit(collection)
	m.checkKey(key)
	m.write(collection, key, &document)
}

// Delete removes a document.
func (m *ReadModel) Delete(collection, key string) {
	m.admit(collection)
	m.checkKey(key)
	m.write(collection, key, nil)
}

// Scan reads the documents of a range, in the order of the bytes of their keys.
func (m *ReadModel) Scan(collection string, scan projection.Range) []projection.Row {
	m.admit(collection)
	// Any text is a prefix, and any is a key to begin behind.
	m.checkText("prefix", scan.Prefix)
	if scan.After != nil {
		m.checkText("key to begin after", *scan.After)
	}
	limit := min(int(scan.Limit), readKeysMax)
	rows := []projection.Row{}
	bytes := 0
	for _, key := range slices.Sorted(maps.Keys(m.collections[collection])) {
		if len(rows) == limit {
			break
		}
		if strings.HasPrefix(key, scan.Prefix) && (scan.After == nil || key > *scan.After) {
			document := *m.get(collection, key)
			rows = append(rows, projection.Row{Key: key, Document: document})
			bytes += len(key) + len(document)
		}
	}
	m.checkAnswer("scan", bytes)
	return rows
}

// Increment adds to a whole-number field at the top of a document. The host may find at the commit that it cannot; here
// that is found at once, and the event fails all the same.
func (m *ReadModel) Increment(collection, key, field string, by int64) {
	m.admit(collection)
	m.checkKey(key)
	m.checkName("name of a field", field, keyBytesMax)
	var before *string
	if text, isThere := m.collections[collection][key]; isThere {
		before = &text
	}
	after, err := document.Increment(before, field, by)
	if err != nil {
		m.breakRule("increment of `%.60s` in document %s/%.60s: %v", field, collection, key, err)
	}
	m.write(collection, key, &after)
}

func (m *ReadModel) write(collection, key string, after *string) {
	size := len(key)
	if after != nil {
		if err := document.Check(*after); err != nil {
			m.breakRule("document %s/%.60s %v", collection, key, err)
		}
		size += len(*after)
	}
	var before *string
	if text, isThere := m.collections[collection][key]; isThere {
		before = &text
		size += len(text)
	}
	if m.changed += size; m.changed > eventChangeMax {
		m.breakRule("what the event changes takes more than %d bytes", eventChangeMax)
	}
	m.undo = append(m.undo, change{collection: collection, key: key, before: before})
	m.set(collection, key, after)
}

func (m *ReadModel) set(collection, key string, document *string) {
	if document == nil {
		delete(m.collections[collection], key)
		return
	}
	if m.collections == nil {
		m.collections = map[string]map[string]string{}
	}
	if m.collections[collection] == nil {
		m.collections[collection] = map[string]string{}
	}
	m.collections[collection][key] = *document
}

// admit checks the name of a collection, and how many the event has touched.
func (m *ReadModel) admit(collection string) {
	m.checkName("name of a collection", collection, collectionBytesMax)
	if m.touched == nil {
		m.touched = map[string]bool{}
	}
	m.touched[collection] = true
	if len(m.touched) > eventCollections {
		m.breakRule("the event touches more than %d collections", eventCollections)
	}
}

func (m *ReadModel) checkKey(key string) { m.checkName("key", key, keyBytesMax) }

func (m *ReadModel) checkName(what, name string, bytesMax int) {
	m.checkText(what, name)
	if len(name) == 0 || len(name) > bytesMax || strings.ContainsRune(name, 0) {
		m.breakRule("%.60q is not a valid %s: use 1 to %d bytes of text without NUL", name, what, bytesMax)
	}
}

func (m *ReadModel) checkText(what, text string) {
	if !utf8.ValidString(text) {
		m.breakRule("%.60q is not a valid %s: it is not UTF-8", text, what)
	}
	if len(text) > callBytesMax {
		m.breakRule("the %s has %d bytes, and a call at most %d", what, len(text), callBytesMax)
	}
}

func (m *ReadModel) checkAnswer(call string, bytes int) {
	if bytes > readBytesMax {
		m.breakRule("%s: the documents have %d bytes together, more than %d", call, bytes, readBytesMax)
	}
}

func (m *ReadModel) breakRule(format string, arguments ...any) {
	message := fmt.Sprintf(format, arguments...)
	if m.broken == "" {
		m.broken = message
	}
	panic(message)
}
