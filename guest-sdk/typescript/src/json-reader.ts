//! Reads JSON text with every number and the order of all keys: slower than the engine, for texts that it would alter.

import { exactNumber } from "./decimal.js";

/** A number of JSON, at a place. */
export const NUMBER = /-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

/** The keys of objects whose own order is another: JavaScript moves keys that are whole numbers to the front. */
const orders = new WeakMap<object, string[]>();

/** The keys of an object in the order of the text that it was read from; those that were added since follow. */
export function keysOf(value: object): string[] {
  const keys = Object.keys(value);
  const order = orders.get(value);
  return order === undefined ? keys : [...new Set([...order.filter((key) => Object.hasOwn(value, key)), ...keys])];
}

/** Whether the keys of an object have another order than that of the text that it was read from. */
export function isReordered(value: object): boolean {
  return orders.has(value);
}

/** An array or object that is not complete, with the keys so far. */
type Open = { value: unknown[] } | { value: Record<string, unknown>; keys: string[] };

const TOKEN = /[^ \t\n\r:,]/g;
const LITERALS: Record<string, unknown> = { t: true, f: false, n: null };

/** The value of valid JSON text. It does not recurse: texts may be nested deeper than the engine's stack is. */
export function read(text: string): unknown {
  const open: Open[] = [];
  let key: string | undefined;
  let result: unknown;
  const next = new RegExp(TOKEN);

  function put(value: unknown): void {
    const inner = open.at(-1);
    if (inner === undefined) result = value;
    else if ("keys" in inner) putMember(inner.value, inner.keys, key as string, value);
    else inner.value.push(value);
    key = undefined;
  }

  for (let found = next.exec(text); found !== null; found = next.exec(text)) {
    const start = found.index;
    const character = found[0];
    if (character === "{" || character === "[") {
      const opened: Open = character === "{" ? { value: {}, keys: [] } : { value: [] };
      put(opened.value);
      open.push(opened);
    } else if (character === "}" || character === "]") {
      const closed = open.pop() as Open;
      if ("keys" in closed) keepOrder(closed.value, closed.keys);
    } else if (character === '"') {
      next.lastIndex = endOfString(text, start);
      const string = JSON.parse(text.slice(start, next.lastIndex)) as string;
      const inner = open.at(-1);
      if (key === undefined && inner !== undefined && "keys" in inner) key = string;
      else put(string);
    } else if (character in LITERALS) {
      next.lastIndex = start + (character === "f" ? 5 : 4);
      put(LITERALS[character]);
    } else {
      NUMBER.lastIndex = start;
      const token = (NUMBER.exec(text) as RegExpExecArray)[0];
      next.lastIndex = start + token.length;
      put(exactNumber(token));
    }
  }
  return result;
}

function putMember(value: object, keys: string[], key: string, member: unknown): void {
  if (!Object.hasOwn(value, key)) keys.push(key);
  // An assignment to `__proto__` would not make a member.
  Object.defineProperty(value, key, { value: member, configurable: true, enumerable: true, writable: true });
}

function keepOrder(value: object, keys: string[]): void {
  const isInOrder = Object.keys(value).every((key, at) => key === keys[at]);
  if (!isInOrder) orders.set(value, keys);
}

/** The index behind the string that begins at `start`, in valid JSON text. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}
