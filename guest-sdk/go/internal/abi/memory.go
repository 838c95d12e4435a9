//go:build wasip1

package abi

import (
	"runtime/debug"
	"unsafe"
)

// An instance has 128 MiB at most. The collector works harder as the heap comes near.
const heapBytesMax = 100 << 20

var (
	// given is the memory that the host has asked for and written to, until Release.
	given []unsafe.Pointer

	// The adapter between preview 1 and 0.2 asks for its own memory while Go's runtime starts, before there is a heap:
	// two pages of 64 KiB. It keeps them for good.
	early     [256 << 10]byte
	earlyUsed uintptr
	isStarted bool
)

func init() {
	isStarted = true
	debug.SetMemoryLimit(heapBytesMax)
}

// While the host passes something, the component model forbids a guest to call anything: a call would trap. Go reads
// the clock when its collector runs and when its heap grows. With the processor pinned the runtime puts the collector
// off until the next allocation, which does not keep the heap from growing; with the clock paused the adapter answers
// without asking the host.

//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()

//go:wasmimport wasi_snapshot_preview1 adapter_monotonic_clock_set_paused
func pauseClock(paused bool)

// allocate gives the host memory for what it passes. The collector frees it, not the host.
//
//go:wasmexport cabi_realloc
func allocate(old unsafe.Pointer, oldBytes, alignment, bytes uint32) unsafe.Pointer {
	if bytes == 0 {
		return pointer(alignment)
	}
	if !isStarted {
		return allocateEarly(uintptr(alignment), uintptr(bytes))
	}
	procPin()
	pauseClock(true)
	// Words are aligned as the widest type of the world.
	memory := unsafe.Pointer(unsafe.SliceData(make([]uint64, (uint64(bytes)+7)/8)))
	given = append(given, memory)
	pauseClock(false)
	procUnpin()
	if oldBytes > 0 {
		copy(unsafe.Slice((*byte)(memory), bytes), unsafe.Slice((*byte)(old), oldBytes))
	}
	return memory
}

func allocateEarly(alignment, bytes uintptr) unsafe.Pointer {
	base := uintptr(unsafe.Pointer(&early))
	begin := (base+earlyUsed+alignment-1)&^(alignment-1) - base
	earlyUsed = begin + bytes
	return unsafe.Pointer(&early[begin])
}

// Release frees the memory that the host wrote to: from now on what points into it keeps it alive. Call it when
// everything that the host passed has been taken.
func Release() {
	clear(given)
	given = given[:0]
}
