package projection

// ReadModel is the read model of this deployment: collections of JSON documents, by key. Reads see the changes that
// earlier events and this event have made.
//
// These functions are those of the contract and take JSON text. [Documents] reads and writes your own types.
//
// A call that breaks a bound (text that is no JSON, a key that is too long) does not return: it ends the handler call,
// and the event has failed.
type ReadModel interface {
	// Get reads a document, nil if there is none.
	Get(collection, key string) *string

	// GetMany reads many documents at once, in the order of the keys, with nil where there is none; at most 1,000.
	GetMany(collection string, keys []string) []*string

	// Put writes a whole document: JSON text of at most 1 MiB.
	Put(collection, key, document string)

	// Delete removes a document. It is no error if there is none.
	Delete(collection, key string)

	// Scan reads the documents of a range, in key order.
	Scan(collection string, scan Range) []Row

	// Increment adds to a whole-number field at the top of a document. A missing document becomes an object, a missing
	// field counts as 0. It needs no read and never conflicts with other workers.
	Increment(collection, key, field string, by int64)
}

// Range says which documents a scan reads, in the order of the bytes of their keys.
type Range struct {
	// After is the key behind which the scan begins, nil for the first.
	After *string
	// Prefix that all keys have.
	Prefix string
	// Limit is the most documents that are read: at most 1,000, and 0 means none.
	Limit uint32
}

// Row is a document with its key.
type Row struct {
	Key      string
	Document string
}
