package projection

import (
	"fmt"

	"kennel/projection/internal/sandbox"
)

// Setting is a value that the operator gave the deployment, and whether there is one. It stays the same as long as the
// deployment lasts. No setting is available to Descriptor.
func Setting(key string) (value string, found bool) {
	return sandbox.Setting(key)
}

// ParsedSetting is a setting read by a function such as strconv.Atoi or time.ParseDuration, or the fallback if the
// operator gave none.
func ParsedSetting[T any](key string, fallback T, parse func(string) (T, error)) (T, error) {
	text, found := sandbox.Setting(key)
	if !found {
		return fallback, nil
	}
	value, err := parse(text)
	if err != nil {
		return fallback, fmt.Errorf("the setting %s = %q cannot be read as %T: %w", key, text, value, err)
	}
	return value, nil
}
