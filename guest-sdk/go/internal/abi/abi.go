//go:build wasip1

// Package abi is the canonical ABI of the component model, as far as the world needs it: how text and lists lie in
// linear memory. Pointers are 32 bits there, while Go's are 64, so each record has a type of its own here.
//
// What the host passes lies in memory of Go's own, which never moves: [Release] says how long. Nothing is copied.
package abi

import (
	"structs"
	"unsafe"
)

// Text is a string, or a list of bytes.
type Text struct {
	_       structs.HostLayout
	address uint32
	length  uint32
}

// OptionalText is a string or none.
type OptionalText struct {
	_     structs.HostLayout
	isSet uint8
	text  Text
}

// List is a list of anything else.
type List struct {
	_       structs.HostLayout
	address uint32
	length  uint32
}

// pointer is Go's pointer to an address that the host knows.
func pointer(address uint32) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&[1]uintptr{uintptr(address)}))
}

func address(pointer unsafe.Pointer) uint32 {
	return uint32(uintptr(pointer))
}

// String is the text as Go's string, which shares its memory.
func (t Text) String() string {
	if t.length == 0 {
		return ""
	}
	return unsafe.String((*byte)(pointer(t.address)), t.length)
}

// Bytes are the text's bytes, which share its memory.
func (t Text) Bytes() []byte {
	if t.length == 0 {
		return []byte{}
	}
	return unsafe.Slice((*byte)(pointer(t.address)), t.length)
}

// Optional is the text, nil if there is none.
func (o *OptionalText) Optional() *string {
	if o.isSet == 0 {
		return nil
	}
	text := o.text.String()
	return &text
}

// Take is Optional, for the answer of a call that gave nothing else.
func (o *OptionalText) Take() *string {
	text := o.Optional()
	Release()
	return text
}

// Lower is a string for the host to read. The caller keeps the string alive until the host has.
func Lower(text string) Text {
	return Text{address: address(unsafe.Pointer(unsafe.StringData(text))), length: uint32(len(text))}
}

// LowerTexts are strings for the host to read, in memory that the caller keeps alive as well.
func LowerTexts(texts []string) []Text {
	lowered := make([]Text, len(texts))
	for i, text := range texts {
		lowered[i] = Lower(text)
	}
	return lowered
}

// LowerList is a list for the host to read. The caller keeps the elements alive until the host has.
func LowerList[T any](elements []T) List {
	return List{address: address(unsafe.Pointer(unsafe.SliceData(elements))), length: uint32(len(elements))}
}

// Elements are the elements of a list that the host wrote.
func Elements[T any](list List) []T {
	if list.length == 0 {
		return nil
	}
	return unsafe.Slice((*T)(pointer(list.address)), list.length)
}
