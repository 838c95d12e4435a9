// Package sandbox is the door to what the host offers besides the read model: the log and the settings. On wasm it
// calls the host; natively it collects lines and answers from a map, for the test kit.
package sandbox

// Level says how much a line of the log matters.
type Level int32

// The levels, in the order of the contract.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// String is the level's name.
func (l Level) String() string {
	return [...]string{"debug", "info", "warn", "error"}[l]
}
