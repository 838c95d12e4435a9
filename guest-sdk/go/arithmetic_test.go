package projection

import (
	"math/big"
	"testing"
)

// Every pair of 8-bit numbers, compared with numbers that have no bounds.
func TestSumsDifferencesAndProductsFitOrFail(t *testing.T) {
	for a := -128; a < 256; a++ {
		for b := -128; b < 256; b++ {
			if a < 128 && b < 128 {
				check(t, int8(a), int8(b), -128, 127)
			}
			if a >= 0 && b >= 0 {
				check(t, uint8(a), uint8(b), 0, 255)
			}
		}
	}
}

func check[T WholeNumber](t *testing.T, a, b T, least, most int64) {
	t.Helper()
	wide := func(number T) *big.Int { return big.NewInt(int64(number)) }
	for name, operation := range map[string]struct {
		exact *big.Int
		apply func(a, b T) (T, error)
	}{
		"+": {new(big.Int).Add(wide(a), wide(b)), Add[T]},
		"-": {new(big.Int).Sub(wide(a), wide(b)), Subtract[T]},
		"*": {new(big.Int).Mul(wide(a), wide(b)), Multiply[T]},
	} {
		got, err := operation.apply(a, b)
		exact := operation.exact.Int64()
		fits := least <= exact && exact <= most
		if fits != (err == nil) || fits && int64(got) != exact {
			t.Errorf("%d %s %d = %d, %v", a, name, b, got, err)
		}
	}
}

func TestWhatDoesNotFitIsNamed(t *testing.T) {
	if _, err := Add(int64(1<<62), 1<<62); err == nil ||
		err.Error() != "4611686018427387904 + 4611686018427387904 does not fit int64" {
		t.Error(err)
	}
}
