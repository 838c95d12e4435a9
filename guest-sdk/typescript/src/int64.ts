//! Whole numbers of 64 bits, exact: a `number` up to 2^53 - 1, a `bigint` beyond. Nothing here rounds.

/** A whole number. What this package returns is a `bigint` only where a `number` would not be exact. */
export type Whole = number | bigint;

const SAFE_MAX = 2 ** 53 - 1;
const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

/** The exact `bigint` of a whole number; an error if it has a fraction or may have been rounded. */
export function exact(value: Whole): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value !== "number") throw new TypeError(`expected a whole number, found ${kindOf(value)}`);
  if (!Number.isInteger(value)) throw new RangeError(`${value} is not a whole number`);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`${value} is beyond 2^53 and may have been rounded: use a bigint`);
  }
  return BigInt(value);
}

/** The value if it fits 64 bits with a sign, as a `number` where that is exact. */
export function int64(value: Whole): Whole {
  if (Number.isSafeInteger(value)) return value;
  const whole = exact(value);
  if (whole < MIN || whole > MAX) throw new RangeError(`${whole} leaves the range of 64 bits`);
  const number = Number(whole);
  return Number.isSafeInteger(number) ? number : whole;
}

/** a + b, exact, or a `RangeError` if the sum leaves the range of 64 bits. */
export function add(a: Whole, b: Whole): Whole {
  if (typeof a === "number" && typeof b === "number") {
    const sum = a + b;
    if (isExact(a, b, sum)) return sum;
  }
  return int64(exact(a) + exact(b));
}

/** a - b, exact, or a `RangeError` if the difference leaves the range of 64 bits. */
export function subtract(a: Whole, b: Whole): Whole {
  if (typeof a === "number" && typeof b === "number") {
    const difference = a - b;
    if (isExact(a, b, difference)) return difference;
  }
  return int64(exact(a) - exact(b));
}

/** a * b, exact, or a `RangeError` if the product leaves the range of 64 bits. */
export function multiply(a: Whole, b: Whole): Whole {
  if (typeof a === "number" && typeof b === "number") {
    // Adding zero makes -0, which whole numbers lack, 0.
    const product = a * b + 0;
    if (isExact(a, b, product)) return product;
  }
  return int64(exact(a) * exact(b));
}

/** Whether a sum, a difference or a product of two `number`s is what it would be without rounding. */
function isExact(a: Whole, b: Whole, result: number): boolean {
  return Number.isSafeInteger(a) && Number.isSafeInteger(b) && result <= SAFE_MAX && result >= -SAFE_MAX;
}

/** What a value is, for messages: `null`, `an array`, `a string`, ... */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
