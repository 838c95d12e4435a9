//! JSON in which no whole number is rounded: beyond 2^53 - 1 they are `bigint`s, read and written.
//!
//! `JSON.parse` would round them without a word, `JSON.stringify` knows no `bigint`.

import { kindOf } from "./int64.js";

/** The largest whole number that a `number` keeps apart from its neighbors. A constant is faster than `Number`'s. */
const SAFE_MAX = 2 ** 53 - 1;

/** Most digits before the point that the databases hold. */
const DIGITS_MAX = 131_072;

/** A number of JSON, at a place. */
export const NUMBER = /-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/**
 * The value of JSON text. A whole number beyond 2^53 - 1 becomes a `bigint`, however it is written; one beyond 2^53
 * that has a fraction is an error.
 */
export function parse(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // Rounding keeps a number beyond 2^53 beyond it, so the parsed value shows whether there is one.
  if (!hasLargeNumber(value)) return value;
  const large = largeNumbers(text);
  const mark = unusedName(text);
  let marked = "";
  let end = 0;
  for (const { start, token, whole } of large) {
    marked += `${text.slice(end, start)}{"${mark}":"${whole}"}`;
    end = start + token.length;
  }
  marked += text.slice(end);
  return JSON.parse(marked, (_key, found: unknown) => {
    const isMarked = found !== null && typeof found === "object" && Object.hasOwn(found, mark);
    return isMarked ? BigInt((found as Record<string, string>)[mark] as string) : found;
  });
}

function hasLargeNumber(value: unknown): boolean {
  if (typeof value === "number") return value > SAFE_MAX || value < -SAFE_MAX;
  if (value === null || typeof value !== "object") return false;
  if (Array.isArray(value)) return value.some(hasLargeNumber);
  for (const name in value) {
    // Most members are strings, and a call takes longer than this.
    const member = (value as Record<string, unknown>)[name];
    if (typeof member !== "string" && hasLargeNumber(member)) return true;
  }
  return false;
}

interface LargeNumber {
  start: number;
  token: string;
  whole: string;
}

/** The numbers beyond 2^53 in valid JSON text, from left to right. */
function largeNumbers(text: string): LargeNumber[] {
  const large: LargeNumber[] = [];
  const next = /["0-9-]/g;
  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const start = found.index;
    if (found[0] === '"') {
      next.lastIndex = endOfString(text, start);
      continue;
    }
    NUMBER.lastIndex = start;
    const token = (NUMBER.exec(text) as RegExpExecArray)[0];
    next.lastIndex = start + token.length;
    if (Math.abs(Number(token)) > SAFE_MAX) large.push({ start, token, whole: wholeDigits(token) });
  }
  return large;
}

/** The index behind the string that begins at `start`, in valid JSON text. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}

/** The digits of a whole number that is written as any JSON number may be. */
function wholeDigits(token: string): string {
  const parts = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(token) as RegExpExecArray;
  const [, sign, before, fraction = "", exponent = "0"] = parts;
  const digits = `${before}${fraction}`.replace(/^0+/, "");
  const zeros = Number(exponent) - fraction.length;
  if (digits.length + zeros > DIGITS_MAX) throw new RangeError(`the number ${cut(token)} has too many digits`);
  if (zeros >= 0) return `${sign}${digits}${"0".repeat(zeros)}`;
  if (!/^0*$/.test(digits.slice(zeros))) {
    throw new RangeError(`the number ${cut(token)} is beyond 2^53 and has a fraction: it cannot be read exactly`);
  }
  return `${sign}${digits.slice(0, zeros)}`;
}

function cut(token: string): string {
  return token.length > 60 ? `${token.slice(0, 60)}...` : token;
}

function unusedName(text: string): string {
  let name = "kennel-whole";
  while (text.includes(name)) name += "-";
  return name;
}

/**
 * The JSON text of a value, as `JSON.stringify` writes it, with `bigint`s written out in digits. A number that JSON
 * lacks (`NaN`, `Infinity`) and one beyond 2^53, which may have been rounded, is an error.
 */
export function stringify(value: unknown): string {
  const text = isPlain(value, 0) ? JSON.stringify(value) : write(value, "", []);
  if (text === undefined) throw new TypeError(`${kindOf(value)} has no JSON form`);
  return text;
}

/** How deep a value is looked at before it is written the slow way, which finds circles. */
const PLAIN_DEPTH_MAX = 50;

/** Whether the engine writes the value as this package would, but faster. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return true;
  if (typeof value === "number") return value <= SAFE_MAX && value >= -SAFE_MAX;
  return typeof value === "object" && depth < PLAIN_DEPTH_MAX && isPlainComposite(value, depth + 1);
}

function isPlainComposite(value: object, depth: number): boolean {
  if (Array.isArray(value)) return value.every((element) => isPlain(element, depth));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name];
    if (typeof member !== "string" && !isPlain(member, depth)) return false;
  }
  return true;
}

function write(given: unknown, key: string, ancestors: object[]): string | undefined {
  const value = unwrap(given, key);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return writeNumber(value, key);
  if (typeof value === "object" && value !== null) return writeComposite(value, key, ancestors);
  const isWord = value === null || typeof value === "bigint" || typeof value === "boolean";
  return isWord ? String(value) : undefined;
}

function unwrap(value: unknown, key: string): unknown {
  if (value === null || typeof value !== "object") return value;
  const toJSON: unknown = (value as { toJSON?: unknown }).toJSON;
  const plain: unknown = typeof toJSON === "function" ? toJSON.call(value, key) : value;
  const isBoxed = plain instanceof Number || plain instanceof String || plain instanceof Boolean;
  return isBoxed ? plain.valueOf() : plain;
}

function writeNumber(value: number, key: string): string {
  const where = key === "" ? "" : ` in ${JSON.stringify(key)}`;
  if (!Number.isFinite(value)) throw new RangeError(`${value}${where} has no JSON form`);
  if (Math.abs(value) > SAFE_MAX) {
    throw new RangeError(`${value}${where} is beyond 2^53 and may have been rounded: use a bigint`);
  }
  return String(value);
}

function writeComposite(value: object, key: string, ancestors: object[]): string {
  if (ancestors.includes(value)) throw new TypeError(`${JSON.stringify(key)} contains itself: it has no JSON form`);
  ancestors.push(value);
  let text = "";
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) {
      text += `${at === 0 ? "" : ","}${write(value[at], String(at), ancestors) ?? "null"}`;
    }
    text = `[${text}]`;
  } else {
    for (const name of Object.keys(value)) {
      const member = write((value as Record<string, unknown>)[name], name, ancestors);
      if (member !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(name)}:${member}`;
    }
    text = `{${text}}`;
  }
  ancestors.pop();
  return text;
}
