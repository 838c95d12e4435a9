//! Whole numbers of 64 bits, exact: a `number` up to 2^53 - 1, a `bigint` beyond. Nothing here rounds.

/** A whole number. What this package returns is a `bigint` only where a `number` would not be exact. */
export type Whole = number | bigint;

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
  if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    const sum = (a as number) + (b as number);
    if (Number.isSafeInteger(sum)) return sum;
  }
  return int64(exact(a) + exact(b));
}

/** a - b, exact, or a `RangeError` if the difference leaves the range of 64 bits. */
export function subtract(a: Whole, b: Whole): Whole {
  if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    const difference = (a as number) - (b as number);
    if (Number.isSafeInteger(difference)) return difference;
  }
  return int64(exact(a) - exact(b));
}

/** a * b, exact, or a `RangeError` if the product leaves the range of 64 bits. */
export function multiply(a: Whole, b: Whole): Whole {
  if (Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    // Adding zero makes -0, which whole numbers lack, 0.
    const product = (a as number) * (b as number) + 0;
    if (Number.isSafeInteger(product)) return product;
  }
  return int64(exact(a) * exact(b));
}

/** What a value is, for messages: `null`, `an array`, `a string`, ... */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
