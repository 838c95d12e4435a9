//! `console`, whose lines go to the projection's log.

import { stringify } from "./json.js";
import type { Level } from "./sys.js";

const LEVELS = { debug: "debug", trace: "debug", log: "info", info: "info", warn: "warn", error: "error" } as const;

/** What a `console` must have. */
export type Console = Record<keyof typeof LEVELS, (...values: unknown[]) => void>;

/** A `console` that passes its lines to `log`, and then everything to the one that was there, if any. */
export function consoleOf(log: (level: Level, message: string) => void, before?: Console): Console {
  const methods = Object.entries(LEVELS).map(([name, level]) => [
    name,
    (...values: unknown[]) => {
      log(level, values.map(shown).join(" "));
      before?.[name as keyof Console](...values);
    },
  ]);
  return { ...before, ...(Object.fromEntries(methods) as Console) };
}

/** A value as text for people: objects as JSON. */
export function shown(value: unknown): string {
  try {
    const isObject = typeof value === "object" && value !== null && !(value instanceof Error);
    return isObject ? stringify(value) : String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
