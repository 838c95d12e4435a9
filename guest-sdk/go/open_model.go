package projection

import (
	"sync/atomic"

	"kennel/projection/internal/sandbox"
)

// openModel is the read model for as long as its event is handled. A goroutine that the handler leaves behind would
// write into the next event.
type openModel struct {
	model  ReadModel
	isOver atomic.Bool
}

func (m *openModel) Get(collection, key string) *string { return m.open("Get").Get(collection, key) }

func (m *openModel) GetMany(collection string, keys []string) []*string {
	return m.open("GetMany").GetMany(collection, keys)
}

func (m *openModel) Put(collection, key, document string) {
	m.open("Put").Put(collection, key, document)
}

func (m *openModel) Delete(collection, key string) { m.open("Delete").Delete(collection, key) }

func (m *openModel) Scan(collection string, scan Range) []Row {
	return m.open("Scan").Scan(collection, scan)
}

func (m *openModel) Increment(collection, key, field string, by int64) {
	m.open("Increment").Increment(collection, key, field, by)
}

// open is the model, or ends the goroutine that calls.
func (m *openModel) open(call string) ReadModel {
	if m.isOver.Load() {
		sandbox.EndGoroutine("a goroutine outlived the event that started it: its call of " + call + " was dropped. " +
			"Wait for all goroutines before Handle returns")
	}
	return m.model
}
