package projection

import (
	"fmt"

	"kennel/projection/internal/sandbox"
)

// Debugf logs a line for the developer, while looking for a fault. The host adds projection, deployment and position
// to every line. A line has at most 4,096 bytes, and an event logs at most 20.
func Debugf(format string, arguments ...any) { logf(sandbox.Debug, format, arguments) }

// Infof logs a line that says what happened.
func Infof(format string, arguments ...any) { logf(sandbox.Info, format, arguments) }

// Warnf logs a line that the operator should look at some day.
func Warnf(format string, arguments ...any) { logf(sandbox.Warn, format, arguments) }

// Errorf logs a line that the operator should look at now. It makes no error: fmt.Errorf and [Rejectf] do.
func Errorf(format string, arguments ...any) { logf(sandbox.Error, format, arguments) }

func logf(level sandbox.Level, format string, arguments []any) {
	sandbox.Log(level, fmt.Sprintf(format, arguments...))
}
