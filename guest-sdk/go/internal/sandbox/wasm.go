//go:build wasip1

package sandbox

import (
	"runtime"
	"strings"

	"kennel/projection/internal/abi"
)

//go:wasmimport kennel:projection/log@0.1.0 log
func hostLog(level int32, message string)

//go:wasmimport kennel:projection/config@0.1.0 get
func hostSetting(key string, answer *abi.OptionalText)

// Log writes a line. Bytes that are no UTF-8 are replaced: the log never fails.
func Log(level Level, message string) {
	hostLog(int32(level), strings.ToValidUTF8(message, "\uFFFD"))
}

// Setting is a value that the operator gave, and whether there is one.
func Setting(key string) (value string, found bool) {
	answer := new(abi.OptionalText)
	hostSetting(key, answer)
	if text := answer.Take(); text != nil {
		return *text, true
	}
	return "", false
}

// EndGoroutine ends the goroutine that calls, and logs why: the event that is handled meanwhile goes on.
func EndGoroutine(why string) {
	Log(Warn, why)
	runtime.Goexit()
}
