//! Decoders: types that are checked when an event arrives. Any function from `unknown` is one, a schema's of another
//! package too; these are for projections that need no more.

import { Decimal, SAFE_MAX } from "./decimal.js";
import type { Decoder } from "./event.js";
import { int64 as toInt64, kindOf, type Whole } from "./int64.js";

/** The type that a decoder makes. */
export type Decoded<D> = D extends Decoder<infer T> ? T : never;

/** A string. */
export const text: Decoder<string> = (value) => {
  if (typeof value === "string") return value;
  throw new TypeError(`expected a string, found ${show(value)}`);
};

/** `true` or `false`. */
export const boolean: Decoder<boolean> = (value) => {
  if (typeof value === "boolean") return value;
  throw new TypeError(`expected true or false, found ${show(value)}`);
};

/** A number that a `number` holds; one with a fraction is the nearest that there is. */
export const number: Decoder<number> = (value) => {
  if (typeof value === "number") return value;
  const nearest = value instanceof Decimal ? value.toNumber() : NaN;
  if (Math.abs(nearest) <= SAFE_MAX) return nearest;
  throw new TypeError(`expected a number up to 2^53, found ${show(value)}`);
};

/** A whole number of 64 bits: a `number` where that is exact, else a `bigint`. */
export const int64: Decoder<Whole> = (value) => {
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`expected a whole number, found ${show(value)}`);
  }
  return toInt64(value);
};

/** The value, unchecked. */
export const any: Decoder<any> = (value) => value;

/** What may be missing or null. */
export function optional<T>(decoder: Decoder<T>): Decoder<T | undefined> {
  return (value) => (value === undefined || value === null ? undefined : decoder(value));
}

/** One of these strings. */
export function oneOf<const T extends string>(...values: T[]): Decoder<T> {
  return (value) => {
    if ((values as unknown[]).includes(value)) return value as T;
    throw new TypeError(`expected one of ${values.join(", ")}, found ${show(value)}`);
  };
}

/** An array. */
export function list<T>(decoder: Decoder<T>): Decoder<T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new TypeError(`expected an array, found ${show(value)}`);
    return value.map((element, at) => within(`[${at}]`, decoder, element));
  };
}

/** An object with at least these fields; others are left out. */
export function object<Fields extends Record<string, Decoder<any>>>(
  fields: Fields,
): Decoder<{ [Name in keyof Fields]: Decoded<Fields[Name]> }> {
  const names = Object.keys(fields);
  return (value) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) {
      throw new TypeError(`expected an object, found ${show(value)}`);
    }
    const result: Record<string, unknown> = {};
    for (const name of names) {
      const member = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
      result[name] = within(name, fields[name] as Decoder<unknown>, member);
    }
    return result as { [Name in keyof Fields]: Decoded<Fields[Name]> };
  };
}

function within<T>(where: string, decoder: Decoder<T>, value: unknown): T {
  try {
    return decoder(value);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new TypeError(`${where}: ${error.message}`, { cause: error.cause });
  }
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (value === undefined) return "nothing";
  if (value instanceof Decimal) return `the number ${cut(value.text)}`;
  const isPlain = typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";
  return isPlain ? String(value) : kindOf(value);
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
