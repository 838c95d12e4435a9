//! How a handler says that it could not handle an event, and how anything thrown is reported.

import { shown } from "./console.js";

/**
 * Throw this if what went wrong may pass: the host tries the event again after a pause. Every other thing that is
 * thrown rejects the event: "it can never be handled by this code".
 */
export class Retry extends Error {
  override name = "Retry";
}

/** Why an event was not handled, as the contract has it. */
export interface Failure {
  tag: "retry" | "reject";
  val: string;
}

/** The failure for anything that a handler threw. */
export function failureOf(thrown: unknown, mapStack: (stack: string) => string = (stack) => stack): Failure {
  try {
    const isRetry = thrown instanceof Retry;
    const reason = isRetry ? thrown.message : report(thrown, mapStack);
    // The contract has characters only, no halves of them.
    return { tag: isRetry ? "retry" : "reject", val: reason.toWellFormed() };
  } catch {
    return { tag: "reject", val: "something was thrown that cannot be described: it throws when it is looked at" };
  }
}

/** Type, message, stack and causes. */
function report(thrown: unknown, mapStack: (stack: string) => string): string {
  const seen = new Set<unknown>();
  const causes: [title: string, thrown: unknown][] = [["", thrown]];
  let text = "";
  for (const [title, error] of causes) {
    if (seen.has(error)) continue;
    seen.add(error);
    text += `${title}${one(error, mapStack)}`;
    if (!(error instanceof Error)) continue;
    if (error.cause !== undefined) causes.push(["\ncaused by ", error.cause]);
    if (error instanceof AggregateError) for (const part of error.errors) causes.push(["\none of them ", part]);
  }
  return text;
}

function one(thrown: unknown, mapStack: (stack: string) => string): string {
  if (!(thrown instanceof Error)) return `a value that is no Error was thrown: ${shown(thrown)}`;
  const [name, message] = [nameOf(thrown), shown(thrown.message)];
  const title = message === "" ? name : `${name}: ${message}`;
  const stack = typeof thrown.stack === "string" ? thrown.stack : "";
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return `${title}\n${mapStack(frames.join("\n"))}`.trimEnd();
}

/** The name of an error: that of its class if it has none of its own. */
function nameOf({ name, constructor }: Error): string {
  return name === "Error" && typeof constructor === "function" && constructor.name !== ""
    ? constructor.name
    : shown(name);
}
