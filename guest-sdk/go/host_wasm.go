//go:build wasip1

package projection

import (
	"runtime"
	"structs"

	"kennel/projection/internal/abi"
)

//go:wasmimport kennel:projection/read-model@0.1.0 get
func hostGet(collection, key string, answer *abi.OptionalText)

//go:wasmimport kennel:projection/read-model@0.1.0 get-many
func hostGetMany(collection string, keys *abi.Text, length uint32, answer *abi.List)

//go:wasmimport kennel:projection/read-model@0.1.0 put
func hostPut(collection, key, document string)

//go:wasmimport kennel:projection/read-model@0.1.0 delete
func hostDelete(collection, key string)

//go:wasmimport kennel:projection/read-model@0.1.0 scan
func hostScan(collection string, isAfter uint32, after, prefix string, limit uint32, answer *abi.List)

//go:wasmimport kennel:projection/read-model@0.1.0 increment
func hostIncrement(collection, key, field string, by int64)

// hostReadModel is the read model that the host offers. A call that breaks a rule traps and does not return.
type hostReadModel struct{}

func (hostReadModel) Get(collection, key string) *string {
	answer := new(abi.OptionalText)
	hostGet(collection, key, answer)
	return answer.Take()
}

func (hostReadModel) GetMany(collection string, keys []string) []*string {
	lowered := abi.LowerTexts(keys)
	var first *abi.Text
	if len(lowered) > 0 {
		first = &lowered[0]
	}
	answer := new(abi.List)
	hostGetMany(collection, first, uint32(len(keys)), answer)
	runtime.KeepAlive(keys)
	found := abi.Elements[abi.OptionalText](*answer)
	documents := make([]*string, len(found))
	for i := range found {
		documents[i] = found[i].Optional()
	}
	abi.Release()
	return documents
}

func (hostReadModel) Put(collection, key, document string) { hostPut(collection, key, document) }

func (hostReadModel) Delete(collection, key string) { hostDelete(collection, key) }

type hostRow struct {
	_        structs.HostLayout
	key      abi.Text
	document abi.Text
}

func (hostReadModel) Scan(collection string, scan Range) []Row {
	isAfter, after := uint32(0), ""
	if scan.After != nil {
		isAfter, after = 1, *scan.After
	}
	answer := new(abi.List)
	hostScan(collection, isAfter, after, scan.Prefix, scan.Limit, answer)
	found := abi.Elements[hostRow](*answer)
	rows := make([]Row, len(found))
	for i, row := range found {
		rows[i] = Row{Key: row.key.String(), Document: row.document.String()}
	}
	abi.Release()
	return rows
}

func (hostReadModel) Increment(collection, key, field string, by int64) {
	hostIncrement(collection, key, field, by)
}
