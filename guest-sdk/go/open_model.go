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

// open is the model. After its event it rejects the event whose handler calls, and ends any other goroutine.
func (m *openModel) open(call string) ReadModel {
	switch {
	case !m.isOver.Load():
	case isHandling():
		panic(call + " of the read model of an earlier event: call the one that Handle is given")
	default:
		sandbox.EndGoroutine("a goroutine outlived the event that started it: its call of " + call + " was dropped. " +
			"Wait for all goroutines before Handle returns")
	}
	return m.model
}
