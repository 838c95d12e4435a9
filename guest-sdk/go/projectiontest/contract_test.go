package projectiontest

import (
	"os"
	"strings"
	"testing"
)

// The bounds of the kit are those of the contract. A copy of the module outside the repository has no contract beside
// it, and nothing to compare.
func TestTheBoundsAreThoseOfTheContract(t *testing.T) {
	text, err := os.ReadFile("../../../wit/world.wit")
	if os.IsNotExist(err) {
		t.Skip("there is no contract beside this module")
	}
	if err != nil {
		t.Fatal(err)
	}
	contract := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "///", "")), " ")
	for _, sentence := range []string{
		"The name of a collection is 1 to 200 bytes of text without NUL, a key 1 to 1,024 bytes of text without NUL.",
		"A document is JSON text of at most 1,048,576 bytes (1 MiB)",
		"at most 1,000 levels deep, without an object that has a key twice, without the character NUL and halves of",
		"numbers of at most 131,072 digits before and 16,383 behind the decimal point",
		"So does an event that touches more than 500 collections.",
		"if it reads more than 64 MiB of documents",
		"if what it changes takes more than 32 MiB, with what it replaces",
		"at most 1,000 keys. The event fails with `memory-limit` if the documents have more than 32 MiB together",
		"at most `limit`, and at most 1,000.",
		"if keys and documents have more than 32 MiB together",
		"The name of the field is 1 to 1,024 bytes of text without NUL",
		"Logs a line, of at most 4,096 bytes: a longer one is cut. Of one event 20 lines are logged",
		"What a guest passes in one call, to the host or back, has at most 16 MiB",
		"Each list has at most 1,000 names, each name 1 to 200 bytes without control characters.",
		"Unique in its collection: 1 to 48 lower-case letters of ASCII, digits and `_`, the first a letter",
		"There are 1 to 16 fields and at most 200 bytes.",
		"the most significant first: 1 to 16, each once, none of type `json`",
		"At most 500 in all collections together.",
		"At most 100 in all collections together.",
		"none has to be declared: at most 100.",
		"Of the reason, for people, 2,048 bytes are kept.",
	} {
		if !strings.Contains(contract, sentence) {
			t.Errorf("the contract no longer says: %s", sentence)
		}
	}
}
