//go:build !wasip1

package sandbox

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// Bounds of the contract.
const (
	lineBytesMax = 4096
	linesMax     = 20
)

// Line is a line of the log.
type Line struct {
	Level   Level
	Message string
}

var (
	// Held while an event is handled, so that tests which run in parallel do not see one another's lines.
	running sync.Mutex
	// Guards the rest: a handler may log in goroutines.
	state    sync.Mutex
	settings map[string]string
	lines    []Line
)

// Run calls a function with these settings, and gives back the lines that it logged.
func Run(given map[string]string, call func()) []Line {
	running.Lock()
	defer running.Unlock()
	begin(given)
	call()
	state.Lock()
	defer state.Unlock()
	return lines
}

func begin(given map[string]string) {
	state.Lock()
	defer state.Unlock()
	settings, lines = given, nil
}

// Log writes a line: as much of it, and as many lines, as the host takes.
func Log(level Level, message string) {
	state.Lock()
	defer state.Unlock()
	if len(lines) == linesMax {
		return
	}
	message = strings.ToValidUTF8(message, "\uFFFD")
	if len(message) > lineBytesMax {
		end := lineBytesMax
		for !utf8.RuneStart(message[end]) {
			end--
		}
		message = message[:end]
	}
	lines = append(lines, Line{Level: level, Message: message})
}

// Setting is a value that the operator gave, and whether there is one.
func Setting(key string) (value string, found bool) {
	state.Lock()
	defer state.Unlock()
	value, found = settings[key]
	return value, found
}

// EndGoroutine panics: a test should not pass over a goroutine that does what it must not.
func EndGoroutine(why string) { panic(why) }
