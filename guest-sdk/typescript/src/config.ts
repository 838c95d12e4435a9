//! Settings that the operator gave the deployment. They stay the same as long as the deployment lasts.

import { host } from "./sys.js";

/** The setting's value, or `undefined`. */
export function get(key: string): string | undefined {
  if (typeof key !== "string") throw new TypeError("the key of a setting must be a string");
  return host().setting(key) ?? undefined;
}

/** The setting's value as a function reads it, or `undefined` if there is none: `config.parsed("limit", Number)`. */
export function parsed<T>(key: string, read: (value: string) => T): T | undefined {
  const value = get(key);
  if (value === undefined) return undefined;
  let result: T;
  try {
    result = read(value);
  } catch (error) {
    throw new Error(unreadable(key, value), { cause: error });
  }
  if (Number.isNaN(result)) throw new RangeError(unreadable(key, value));
  return result;
}

function unreadable(key: string, value: string): string {
  return `the setting ${key} = ${JSON.stringify(value)} cannot be read`;
}
