package projection

import "fmt"

// Documents is a collection whose documents are values of a type of your own. They are read as [Decode] reads a
// payload, and written as encoding/json writes, without the escapes that it makes for HTML.
type Documents[T any] struct {
	collection string
}

// DocumentsOf is the collection of this name.
func DocumentsOf[T any](collection string) Documents[T] {
	return Documents[T]{collection: collection}
}

// Entry is a value with its key.
type Entry[T any] struct {
	Key   string
	Value T
}

// Get reads a document, nil if there is none.
func (d Documents[T]) Get(model ReadModel, key string) (*T, error) {
	return d.decode(key, model.Get(d.collection, key))
}

// GetMany reads many documents at once, in the order of the keys, with nil where there is none. One round trip at
// most; at most 1,000 keys.
func (d Documents[T]) GetMany(model ReadModel, keys []string) ([]*T, error) {
	documents := make([]*T, len(keys))
	for i, text := range model.GetMany(d.collection, keys) {
		document, err := d.decode(keys[i], text)
		if err != nil {
			return nil, err
		}
		documents[i] = document
	}
	return documents, nil
}

// Put writes a whole document.
func (d Documents[T]) Put(model ReadModel, key string, document T) error {
	text, err := EncodeJSON(document)
	if err != nil {
		return fmt.Errorf("document %s/%s has no JSON form: %w", d.collection, key, err)
	}
	model.Put(d.collection, key, text)
	return nil
}

// Update changes a document that has to be there. An error of change is returned, and nothing is written.
func (d Documents[T]) Update(model ReadModel, key string, change func(*T) error) error {
	document, err := d.Get(model, key)
	if err != nil {
		return err
	}
	if document == nil {
		return Rejectf("there is no document %s/%s to change", d.collection, key)
	}
	return d.change(model, key, document, change)
}

// Upsert changes a document, which begins as the zero value of its type if there is none.
func (d Documents[T]) Upsert(model ReadModel, key string, change func(*T) error) error {
	document, err := d.Get(model, key)
	if err != nil {
		return err
	}
	if document == nil {
		document = new(T)
	}
	return d.change(model, key, document, change)
}

func (d Documents[T]) change(model ReadModel, key string, document *T, change func(*T) error) error {
	if err := change(document); err != nil {
		return err
	}
	return d.Put(model, key, *document)
}

// Delete removes a document. It is no error if there is none.
func (d Documents[T]) Delete(model ReadModel, key string) {
	model.Delete(d.collection, key)
}

// Scan reads the documents of a range, in key order.
func (d Documents[T]) Scan(model ReadModel, scan Range) ([]Entry[T], error) {
	rows := model.Scan(d.collection, scan)
	entries := make([]Entry[T], len(rows))
	for i, row := range rows {
		document, err := d.decode(row.Key, &row.Document)
		if err != nil {
			return nil, err
		}
		entries[i] = Entry[T]{Key: row.Key, Value: *document}
	}
	return entries, nil
}

// Increment adds to a whole-number field at the top of a document, without reading it.
func (d Documents[T]) Increment(model ReadModel, key, field string, by int64) {
	model.Increment(d.collection, key, field, by)
}

func (d Documents[T]) decode(key string, text *string) (*T, error) {
	if text == nil {
		return nil, nil
	}
	document := new(T)
	if err := decodeJSON([]byte(*text), document); err != nil {
		return nil, fmt.Errorf("document %s/%s does not fit %T: %w", d.collection, key, *document, err)
	}
	return document, nil
}
