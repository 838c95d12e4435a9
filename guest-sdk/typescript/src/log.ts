//! The projection's log. The host adds projection, deployment and event; it cuts floods.

import { shown } from "./console.js";
import { host } from "./sys.js";

/** Writes a line for the developer, while looking for a fault. */
export function debug(message: unknown): void {
  host().log("debug", shown(message));
}

/** Writes a line that says what happened. */
export function info(message: unknown): void {
  host().log("info", shown(message));
}

/** Writes a line that the operator should look at some day. */
export function warn(message: unknown): void {
  host().log("warn", shown(message));
}

/** Writes a line that the operator should look at now. */
export function error(message: unknown): void {
  host().log("error", shown(message));
}
