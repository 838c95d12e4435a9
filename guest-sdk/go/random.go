package projection

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
)

// Random is a generator of random numbers that a replay gets again: each call begins it anew, from the position and
// the id of the event. The functions of math/rand itself differ from run to run. Its numbers are no secret.
func (event *Event) Random() *rand.Rand {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], event.Position)
	id := fnv.New128a()
	// It never fails.
	_, _ = id.Write([]byte(event.EventID))
	copy(seed[8:], id.Sum(nil))
	return rand.New(rand.NewChaCha8(seed))
}
