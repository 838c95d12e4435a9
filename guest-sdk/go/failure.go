package projection

import (
	"errors"
	"fmt"
)

// RetryError asks the host to try the event again, after a pause. [Retryf] makes one.
type RetryError struct {
	cause error
}

// Retryf is an error for what may pass. Like [fmt.Errorf] it wraps the error that %w names.
func Retryf(format string, arguments ...any) error {
	return &RetryError{cause: fmt.Errorf(format, arguments...)}
}

// Error says what may pass.
func (e *RetryError) Error() string { return e.cause.Error() }

// Unwrap is the error with the reason, which wraps what [Retryf] was given for %w.
func (e *RetryError) Unwrap() error { return e.cause }

// Rejectf is an error for an event that this code can never handle. Every error but a [RetryError] rejects: use this
// one or fmt.Errorf, whichever reads better.
func Rejectf(format string, arguments ...any) error {
	return fmt.Errorf(format, arguments...)
}

// Failure says why an event was not handled, as it reaches the host.
type Failure struct {
	// IsRetry asks the host to try again. Otherwise the event is rejected.
	IsRetry bool
	// Reason is for people: of an error its type and message, of a panic these and the stack.
	Reason string
}

// String is for people.
func (f Failure) String() string {
	if f.IsRetry {
		return "to be tried again: " + f.Reason
	}
	return "rejected: " + f.Reason
}

// Call hands an event to a projection and says how it failed, or nil. Whatever the handler returns or panics with
// becomes a [Failure]. The host's calls come this way, and so do those of the test kit.
func Call(projection Projection, event *Event, model ReadModel) (failure *Failure) {
	open := &openModel{model: model}
	defer func() {
		open.isOver.Store(true)
		if value := recover(); value != nil {
			failure = failureOfPanic(value)
		}
	}()
	if err := projection.Handle(event, open); err != nil {
		return failureOf(err)
	}
	return nil
}

func failureOf(err error) *Failure {
	if isRetry(err) {
		return &Failure{IsRetry: true, Reason: cut(fmt.Sprint(err), reasonBytesMax)}
	}
	return &Failure{Reason: cut(typed(err), reasonBytesMax)}
}

func failureOfPanic(value any) *Failure {
	if err, isError := value.(error); isError && isRetry(err) {
		return failureOf(err)
	}
	return &Failure{Reason: withStack("panic: "+typed(value), panicStack())}
}

func isRetry(err error) bool {
	retry := (*RetryError)(nil)
	return errors.As(err, &retry)
}
