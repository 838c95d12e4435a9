package projection

import "fmt"

// WholeNumber is any type of whole numbers.
type WholeNumber interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// Add is a + b, or an error if that does not fit the type. Go's + wraps in silence.
func Add[T WholeNumber](a, b T) (T, error) {
	sum := a + b
	if (sum >= a) != (b >= 0) {
		return 0, overflow(a, "+", b)
	}
	return sum, nil
}

// Subtract is a - b, or an error if that does not fit the type. Go's - wraps in silence.
func Subtract[T WholeNumber](a, b T) (T, error) {
	difference := a - b
	if (difference <= a) != (b >= 0) {
		return 0, overflow(a, "-", b)
	}
	return difference, nil
}

// Multiply is a * b, or an error if that does not fit the type. Go's * wraps in silence.
func Multiply[T WholeNumber](a, b T) (T, error) {
	product := a * b
	if a == 0 || b == 0 {
		return 0, nil
	}
	isNegative := (a < 0) != (b < 0)
	if product/a != b || (product < 0) != isNegative {
		return 0, overflow(a, "*", b)
	}
	return product, nil
}

func overflow[T WholeNumber](a T, operation string, b T) error {
	return fmt.Errorf("%d %s %d does not fit %T", a, operation, b, a)
}
