package projection

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// failing fails as its function does.
type failing func() error

func (failing) Descriptor() Descriptor { return Descriptor{Name: "failing", Version: "1"} }

func (f failing) Handle(*Event, ReadModel) error { return f() }

func panicsTwice() error {
	defer func() { panic("second") }()
	panic("first")
}

func TestWhateverAHandlerFailsWithBecomesAFailure(t *testing.T) {
	var none map[string]int
	var out []int
	for name, check := range map[string]struct {
		handle   failing
		isRetry  bool
		expected string
	}{
		"an error":         {func() error { return Rejectf("no: %w", io.EOF) }, false, "no: EOF"},
		"a typed error":    {func() error { return (*strconv.NumError)(nil) }, false, "nil pointer dereference\n  at strconv."},
		"joined errors":    {func() error { return errors.Join(io.EOF, io.ErrNoProgress) }, false, "EOF\nmult"},
		"retry":            {func() error { return Retryf("busy") }, true, "busy"},
		"retry, wrapped":   {func() error { return fmt.Errorf("a: %w", Retryf("b: %w", io.EOF)) }, true, "a: b: EOF"},
		"retry, panicked":  {func() error { panic(Retryf("busy")) }, true, "busy"},
		"a panic":          {func() error { panic("oh no") }, false, "panic: oh no\n  at projection.Test"},
		"a panic, typed":   {func() error { panic(17) }, false, "panic: int: 17\n  at projection.Test"},
		"a panic, error":   {func() error { panic(io.EOF) }, false, "panic: EOF\n  at projection.Test"},
		"panic(nil)":       {func() error { panic(nil) }, false, "panic: *runtime.PanicNilError: "},
		"a runtime error":  {func() error { none["x"] = 1; return nil }, false, "in nil map\n  at "},
		"an index":         {func() error { out[len(none)] = 1; return nil }, false, "runtime.boundsError: "},
		"a panic in defer": {panicsTwice, false, "panic: second\n"},
		"a long message":   {func() error { panic(strings.Repeat("ä", 3000)) }, false, "ä\n  at projection.Test"},
	} {
		failure := Call(check.handle, &Event{}, nil)
		if failure == nil || failure.IsRetry != check.isRetry || !strings.Contains(failure.Reason, check.expected) {
			t.Errorf("%s: %+v does not contain %q", name, failure, check.expected)
			continue
		}
		if len(failure.Reason) > 2048 || !utf8.ValidString(failure.Reason) {
			t.Errorf("%s: the reason has %d bytes", name, len(failure.Reason))
		}
		if strings.Contains(failure.Reason, "runtime.gopanic") || strings.Contains(failure.Reason, "projection.Call") {
			t.Errorf("%s: frames that are not the developer's: %s", name, failure.Reason)
		}
	}
	if failure := Call(failing(func() error { return nil }), &Event{}, nil); failure != nil {
		t.Errorf("got %+v", failure)
	}
}

func TestOneProjectionIsRegistered(t *testing.T) {
	defer func() { registered = nil }()
	panics := func(register func()) (message any) {
		defer func() { message = recover() }()
		register()
		return nil
	}
	if message := panics(func() { Register(nil) }); message == nil {
		t.Error("nil was registered")
	}
	if message := panics(func() { Register(failing(nil)) }); message != nil {
		t.Error(message)
	}
	if message := panics(func() { Register(failing(nil)) }); message == nil {
		t.Error("a second one was registered")
	}
}
