//! JSON in which no number is rounded and no key moves.
//!
//! `JSON.parse` would round without a word and moves keys that are whole numbers, `JSON.stringify` knows no `bigint`.
//! The engine does the work all the same wherever it alters nothing: that is many times as fast.

import { SAFE_MAX } from "./decimal.js";
import { mayHaveLongFraction } from "./fractions.js";
import { kindOf } from "./int64.js";
import { isReordered, read } from "./json-reader.js";
import { write } from "./json-writer.js";

export { Decimal } from "./decimal.js";

/** How deep a value is looked at before it is handled the slow way, which goes as deep as documents may be. */
const DEPTH_MAX = 50;

/**
 * The value of JSON text. A whole number beyond 2^53 - 1 becomes a `bigint`, however it is written; a number with a
 * fraction that has more digits than a `number` keeps becomes a `Decimal`.
 */
export function parse(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return isAltered(value, 0) || mayHaveLongFraction(text) ? read(text) : value;
}

/** Whether the engine may have altered what it read: rounded a large number, or moved a key. */
function isAltered(value: unknown, depth: number): boolean {
  // Rounding keeps a number beyond 2^53 beyond it.
  if (typeof value === "number") return value > SAFE_MAX || value < -SAFE_MAX;
  if (value === null || typeof value !== "object") return false;
  if (depth === DEPTH_MAX) return true;
  if (Array.isArray(value)) return value.some((element) => isAltered(element, depth + 1));
  const names = Object.keys(value);
  if (beginsWithDigit(names[0])) return true;
  for (let at = 0; at < names.length; at += 1) {
    // Most members are strings, and a call takes longer than this.
    const member = (value as Record<string, unknown>)[names[at] as string];
    if (typeof member !== "string" && isAltered(member, depth + 1)) return true;
  }
  return false;
}

/** Whether a key is one that the engine moves to the front. Such keys are the first. */
function beginsWithDigit(name: string | undefined): boolean {
  return name !== undefined && name >= "0" && name < ":";
}

/**
 * The JSON text of a value, as `JSON.stringify` writes it, with `bigint`s and `Decimal`s written out in digits.
 * A number that JSON lacks (`NaN`, `Infinity`) and one beyond 2^53, which may have been rounded, is an error.
 */
export function stringify(value: unknown): string {
  const text = isPlain(value, 0) ? JSON.stringify(value) : write(value);
  if (text === undefined) throw new TypeError(`${kindOf(value)} has no JSON form`);
  return text;
}

/** Whether the engine writes the value as this package would, but faster. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  if (typeof value === "number") return value <= SAFE_MAX && value >= -SAFE_MAX;
  return typeof value === "object" && depth < DEPTH_MAX && isPlainComposite(value, depth + 1);
}

function isPlainComposite(value: object, depth: number): boolean {
  if (Array.isArray(value)) return value.every((element) => isPlain(element, depth));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  const names = Object.keys(value);
  if (beginsWithDigit(names[0]) && isReordered(value)) return false;
  for (let at = 0; at < names.length; at += 1) {
    const member = (value as Record<string, unknown>)[names[at] as string];
    if (typeof member !== "string" && !isPlain(member, depth)) return false;
  }
  return true;
}
