package projection

import (
	"fmt"
	"path"
	"runtime"
	"strings"
	"unicode/utf8"
)

const (
	// The host keeps so much of a reason.
	reasonBytesMax = 2048
	// Of a message so much is kept where a stack follows it.
	messageBytesMax = 1200
	framesMax       = 12
)

// typed is a value as text, behind its type unless that says nothing: of text, and of what errors.New and fmt.Errorf
// make. An error whose own method panics, such as a nil pointer, has a text as well: fmt sees to it.
func typed(value any) string {
	name := fmt.Sprintf("%T", value)
	switch name {
	case "string", "*errors.errorString", "*errors.joinError", "*fmt.wrapError", "*fmt.wrapErrors", "*fmt.fmtError":
		return fmt.Sprint(value)
	default:
		return fmt.Sprintf("%s: %v", name, value)
	}
}

func withStack(message, stack string) string {
	return cut(cut(message, messageBytesMax)+stack, reasonBytesMax)
}

// panicStack has the frames of the developer's code between the panic and the SDK, the innermost first. Call it in the
// function that recovers.
func panicStack() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters)])
	var stack strings.Builder
	panicked, written := false, 0
	for {
		frame, more := frames.Next()
		name := frame.Function
		switch {
		case name == "runtime.gopanic" || name == "runtime.sigpanic":
			// A panic in a deferred call of another panic: the first one is the cause, and comes last.
			panicked, written = true, 0
			stack.Reset()
		case !panicked || strings.HasPrefix(name, "runtime."):
		case name == callName:
			return stack.String()
		case written < framesMax:
			fmt.Fprintf(&stack, "\n  at %s (%s:%d)", path.Base(name), shortPath(frame.File), frame.Line)
			written++
		}
		if !more {
			return stack.String()
		}
	}
}

// callName is the frame at which the developer's code ends.
const callName = "kennel/projection.Call"

// isHandling says whether the goroutine that calls is at work in [Call], and none that a handler has started.
func isHandling() bool {
	counters := make([]uintptr, 64)
	for runtime.Callers(0, counters) == len(counters) {
		counters = make([]uintptr, 2*len(counters))
	}
	frames := runtime.CallersFrames(counters[:runtime.Callers(0, counters)])
	for {
		frame, more := frames.Next()
		if frame.Function == callName || !more {
			return frame.Function == callName
		}
	}
}

// shortPath is the file with its folder: enough to find it, and the same on every machine.
func shortPath(file string) string {
	return path.Join(path.Base(path.Dir(file)), path.Base(file))
}

// cut shortens a text to a number of bytes, at the end of a character.
func cut(text string, bytesMax int) string {
	if len(text) <= bytesMax {
		return text
	}
	end := bytesMax
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
