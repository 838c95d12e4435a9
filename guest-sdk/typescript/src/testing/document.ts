//! The rules of the contract for the text of a document, and increments that leave every other byte as it was.

import { endOfString, NUMBER } from "../json-reader.js";
import { Trap } from "./trap.js";

// The bounds of wit/world.wit.
const DOCUMENT_BYTES_MAX = 1_048_576;
const DEPTH_MAX = 1000;
const DIGITS_BEFORE_MAX = 131_072;
const DIGITS_BEHIND_MAX = 16_383;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** What follows a string that is a key. */
const COLON = /[ \t\n\r]*:/y;

/** How many bytes the UTF-8 of text has. */
export function utf8Length(text: string): number {
  return Buffer.byteLength(text);
}

/** Checks the text of a document; a mistake in it is an invalid call. */
export function checkDocument(what: string, text: string): void {
  const bytes = utf8Length(text);
  if (bytes > DOCUMENT_BYTES_MAX) invalid(`${what} has ${bytes} bytes, more than ${DOCUMENT_BYTES_MAX}`);
  if (!text.isWellFormed()) invalid(`${what} contains half of a surrogate pair, which is no character`);
  try {
    JSON.parse(text);
  } catch (error) {
    invalid(`${what} is not JSON: ${(error as Error).message}`);
  }
  let written = bytes;
  /** For each array and object that is open: the keys so far, of an object. */
  const open: (Set<string> | undefined)[] = [];
  const next = /["{}[\]0-9-]/g;
  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const at = found.index;
    const character = found[0];
    if (character === "{" || character === "[") {
      if (open.length === DEPTH_MAX) invalid(`${what} is nested more than ${DEPTH_MAX} levels deep`);
      open.push(character === "{" ? new Set() : undefined);
    } else if (character === "}" || character === "]") {
      open.pop();
    } else if (character === '"') {
      next.lastIndex = endOfString(text, at);
      checkString(what, text, at, next.lastIndex, open.at(-1));
    } else {
      const token = numberAt(text, at);
      next.lastIndex = at + token.length;
      written += writtenLength(what, token) - token.length;
    }
  }
  if (written > DOCUMENT_BYTES_MAX) {
    invalid(`${what} has ${written} bytes once its numbers are written out, more than ${DOCUMENT_BYTES_MAX}`);
  }
}

function checkString(what: string, text: string, start: number, end: number, keys: Set<string> | undefined): void {
  const value = JSON.parse(text.slice(start, end)) as string;
  if (value.includes("\0"))
    invalid(`${what} contains the character NUL (\\u0000), which databases cannot hold in JSON`);
  if (!value.isWellFormed()) invalid(`${what} contains half of a surrogate pair, which is no character`);
  COLON.lastIndex = end;
  if (keys === undefined || !COLON.test(text)) return;
  if (keys.has(value)) {
    const key = JSON.stringify(value.slice(0, 60));
    invalid(`${what} has an object with the key ${key} more than once, of which databases keep one`);
  }
  keys.add(value);
}

/** Bytes of a number with its digits written out. */
function writtenLength(what: string, token: string): number {
  const { sign, before, fraction, exponent } = partsOf(token);
  const behind = Math.max(fraction.length - exponent, 0);
  const digits = `${before}${fraction}`;
  const leading = digits.length - digits.replace(/^0+/, "").length;
  const ahead = leading === digits.length ? 1 : before.length - leading + exponent;
  if (ahead > DIGITS_BEFORE_MAX || behind > DIGITS_BEHIND_MAX || Math.abs(exponent) >= 2 ** 30) {
    const bounds = "databases hold up to 131,072 digits before and 16,383 behind the decimal point";
    invalid(`${what} contains the number ${token.slice(0, 60)}; ${bounds}`);
  }
  return sign.length + Math.max(ahead, 1) + (behind > 0 ? 1 : 0) + behind;
}

function partsOf(token: string): { sign: string; before: string; fraction: string; exponent: number } {
  const parts = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(token) as RegExpExecArray;
  const [, sign = "", before = "", fraction = "", exponent = "0"] = parts;
  return { sign, before, fraction, exponent: Number(exponent) };
}

function numberAt(text: string, at: number): string {
  NUMBER.lastIndex = at;
  return (NUMBER.exec(text) as RegExpExecArray)[0];
}

/** The document with `by` added to a field at its top. */
export function incremented(what: string, text: string, field: string, by: bigint): string {
  const fields = fieldsOf(text);
  if (fields === undefined) invalid(`${what}: the document is not a JSON object`);
  const place = fields.places.get(field);
  const before = place === undefined ? "null" : text.slice(...place);
  const sum = (before === "null" ? 0n : wholeOf(what, before)) + by;
  if (sum < INT64_MIN || sum > INT64_MAX) invalid(`${what}: the sum leaves the range of 64-bit whole numbers`);
  if (place !== undefined) return `${text.slice(0, place[0])}${sum}${text.slice(place[1])}`;
  const comma = fields.places.size === 0 ? "" : ",";
  return `${text.slice(0, fields.end)}${comma}${JSON.stringify(field)}:${sum}${text.slice(fields.end)}`;
}

function wholeOf(what: string, text: string): bigint {
  if (!/^-?[0-9]/.test(text)) invalid(`${what}: the field is not a whole number`);
  const { sign, before, fraction, exponent } = partsOf(text);
  const digits = `${before}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return 0n;
  const zeros = exponent - fraction.length + digits.length - significant.length;
  if (zeros < 0) invalid(`${what}: the field is not a whole number`);
  const isTooLong = significant.length + zeros > 19;
  const value = isTooLong ? INT64_MAX + 1n : BigInt(`${sign}${significant}${"0".repeat(zeros)}`);
  if (value < INT64_MIN || value > INT64_MAX) {
    invalid(`${what}: the field is beyond the range of 64-bit whole numbers`);
  }
  return value;
}

interface Fields {
  /** Where the values are. */
  places: Map<string, [start: number, end: number]>;
  /** Where more of them can be put. */
  end: number;
}

/** The fields at the top of valid JSON text; nothing if it is no object. */
function fieldsOf(text: string): Fields | undefined {
  const brace = /^[ \t\n\r]*\{/.exec(text);
  if (brace === null) return undefined;
  const fields: Fields = { places: new Map(), end: brace[0].length };
  let depth = 0;
  let name: string | undefined;
  let start = 0;
  const next = /["{}[\]:,]/g;
  next.lastIndex = fields.end;
  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const character = found[0];
    if (depth === 0 && name !== undefined && (character === "," || character === "}")) {
      const value = text.slice(start, found.index);
      fields.end = start + value.trimEnd().length;
      fields.places.set(name, [start + value.length - value.trimStart().length, fields.end]);
      name = undefined;
    }
    if (character === '"') {
      next.lastIndex = endOfString(text, found.index);
      if (depth === 0 && name === undefined) name = JSON.parse(text.slice(found.index, next.lastIndex)) as string;
    } else if (character === ":" && depth === 0) start = found.index + 1;
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") depth -= 1;
    if (depth < 0) break;
  }
  return fields;
}

function invalid(message: string): never {
  throw new Trap("invalid-call", message);
}
