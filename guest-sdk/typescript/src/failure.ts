//! How a handler says that it could not handle an event, and how anything thrown is reported.

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
  if (thrown instanceof Retry) return { tag: "retry", val: thrown.message };
  return { tag: "reject", val: report(thrown, mapStack) };
}

/** Type, message, stack and causes. */
function report(thrown: unknown, mapStack: (stack: string) => string): string {
  const seen = new Set<unknown>();
  let text = "";
  for (let error = thrown; !seen.has(error);) {
    seen.add(error);
    text += `${text === "" ? "" : "\ncaused by "}${one(error, mapStack)}`;
    if (!(error instanceof Error) || error.cause === undefined) break;
    error = error.cause;
  }
  return text;
}

function one(thrown: unknown, mapStack: (stack: string) => string): string {
  if (!(thrown instanceof Error)) return `a value that is no Error was thrown: ${display(thrown)}`;
  const title = thrown.message === "" ? thrown.name : `${thrown.name}: ${thrown.message}`;
  const stack = typeof thrown.stack === "string" ? thrown.stack : "";
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  return `${title}\n${mapStack(frames.join("\n"))}`.trimEnd();
}

function display(value: unknown): string {
  try {
    const text = typeof value === "object" ? JSON.stringify(value) : String(value);
    return text ?? String(value);
  } catch {
    return "(it cannot be shown)";
  }
}
