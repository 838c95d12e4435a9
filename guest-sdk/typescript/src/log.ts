//! The projection's log. The host adds projection, deployment and event; it cuts floods.

import { host } from "./sys.js";

/** Writes a line for the developer, while looking for a fault. */
export function debug(message: unknown): void {
  host().log("debug", String(message));
}

/** Writes a line that says what happened. */
export function info(message: unknown): void {
  host().log("info", String(message));
}

/** Writes a line that the operator should look at some day. */
export function warn(message: unknown): void {
  host().log("warn", String(message));
}

/** Writes a line that the operator should look at now. */
export function error(message: unknown): void {
  host().log("error", String(message));
}
