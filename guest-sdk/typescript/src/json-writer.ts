//! Writes JSON text of values that the engine would alter or does not know, and finds those that contain themselves.

import { Decimal, SAFE_MAX } from "./decimal.js";
import { keysOf } from "./json-reader.js";

/** An array or object of which some members are written. */
interface Open {
  value: object;
  /** The keys of an object. */
  keys: string[] | undefined;
  length: number;
  next: number;
  isEmpty: boolean;
}

/**
 * The JSON text of a value, or nothing if it has none. It does not recurse: documents may be nested deeper than the
 * engine's stack is.
 */
export function write(given: unknown): string | undefined {
  const root = unwrap(given, "");
  if (!isComposite(root)) return scalar(root, "");
  const open = [opened(root)];
  const ancestors = new Set([root]);
  let text = bracketsOf(root).charAt(0);
  for (let inner = open.at(-1); inner !== undefined; inner = open.at(-1)) {
    if (inner.next === inner.length) {
      text += bracketsOf(inner.value).charAt(1);
      ancestors.delete(inner.value);
      open.pop();
      continue;
    }
    const key = inner.keys === undefined ? String(inner.next) : (inner.keys[inner.next] as string);
    const value = unwrap((inner.value as Record<string, unknown>)[key], key);
    const written = isComposite(value)
      ? bracketsOf(value).charAt(0)
      : (scalar(value, key) ?? (inner.keys ? undefined : "null"));
    inner.next += 1;
    if (written === undefined) continue;
    text += `${inner.isEmpty ? "" : ","}${inner.keys ? `${JSON.stringify(key)}:` : ""}${written}`;
    inner.isEmpty = false;
    if (!isComposite(value)) continue;
    if (ancestors.has(value)) throw new TypeError(`${JSON.stringify(key)} contains itself: it has no JSON form`);
    ancestors.add(value);
    open.push(opened(value));
  }
  return text;
}

function opened(value: object): Open {
  const keys = Array.isArray(value) ? undefined : keysOf(value);
  return { value, keys, length: (keys ?? (value as unknown[])).length, next: 0, isEmpty: true };
}

function bracketsOf(value: object): string {
  return Array.isArray(value) ? "[]" : "{}";
}

function isComposite(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Decimal);
}

function scalar(value: unknown, key: string): string | undefined {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return number(value, key);
  if (value instanceof Decimal) return value.text;
  const isWord = value === null || typeof value === "bigint" || typeof value === "boolean";
  return isWord ? String(value) : undefined;
}

function number(value: number, key: string): string {
  const where = key === "" ? "" : ` in ${JSON.stringify(key)}`;
  if (!Number.isFinite(value)) throw new RangeError(`${value}${where} has no JSON form`);
  if (Math.abs(value) > SAFE_MAX) {
    throw new RangeError(`${value}${where} is beyond 2^53 and may have been rounded: use a bigint`);
  }
  return String(value);
}

/** A value in place of those that stand for another. */
function unwrap(value: unknown, key: string): unknown {
  if (!isComposite(value)) return value;
  const toJSON: unknown = (value as { toJSON?: unknown }).toJSON;
  const plain: unknown = typeof toJSON === "function" ? toJSON.call(value, key) : value;
  const isBoxed = plain instanceof Number || plain instanceof String || plain instanceof Boolean;
  return isBoxed ? plain.valueOf() : plain;
}
