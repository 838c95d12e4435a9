//! Numbers of JSON as their digits say, and those that neither `number` nor `bigint` can hold.

/** The largest whole number that a `number` keeps apart from its neighbors. A constant is faster than `Number`'s. */
export const SAFE_MAX = 2 ** 53 - 1;

/** Most digits before the point that the databases hold. */
const DIGITS_MAX = 131_072;

const NUMBER = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

/**
 * A number with a fraction that has more digits than a `number` keeps, such as 0.12345678901234567890. It can be
 * written to a document as it is; counting with it is an error, since it would round: `toNumber` says that this is
 * meant.
 */
export class Decimal {
  /** The number as JSON text has it. */
  readonly text: string;

  constructor(text: string) {
    if (!NUMBER.test(text)) throw new TypeError(`${JSON.stringify(text)} is no number of JSON`);
    this.text = text;
  }

  /** The nearest `number`. */
  toNumber(): number {
    return Number(this.text);
  }

  toString(): string {
    return this.text;
  }

  /** For the engine's own `JSON.stringify`, which would round a number: the digits, as a string. */
  toJSON(): string {
    return this.text;
  }

  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.text;
    throw new RangeError(`${shown(this.text)} has more digits than a number holds: toNumber() rounds it`);
  }
}

/** The value of a number of JSON, whose digits it keeps all. */
export function exactNumber(token: string): number | bigint | Decimal {
  const nearest = Number(token);
  const { sign, digits, exponent } = partsOf(token);
  if (nearest <= SAFE_MAX && nearest >= -SAFE_MAX) {
    const held = partsOf(String(nearest));
    // Zero has no digits, whatever its exponent.
    if (held.digits === digits && (held.exponent === exponent || digits === "")) return nearest;
  }
  if (exponent < 0) return new Decimal(token);
  if (digits.length + exponent > DIGITS_MAX) throw new RangeError(`the number ${shown(token)} has too many digits`);
  return BigInt(`${sign}${digits}${"0".repeat(exponent)}`);
}

interface Parts {
  sign: string;
  /** Without zeros at either end: none for zero. */
  digits: string;
  /** The power of ten that the digits are multiplied by. */
  exponent: number;
}

function partsOf(token: string): Parts {
  const [, sign = "", before = "", fraction = "", exponent = "0"] = NUMBER.exec(token) as RegExpExecArray;
  const all = `${before}${fraction}`;
  let start = 0;
  let end = all.length;
  while (start < end && all[start] === "0") start += 1;
  while (end > start && all[end - 1] === "0") end -= 1;
  return { sign, digits: all.slice(start, end), exponent: Number(exponent) - fraction.length + all.length - end };
}

/** A number for messages. */
function shown(token: string): string {
  return token.length > 60 ? `${token.slice(0, 60)}...` : token;
}
