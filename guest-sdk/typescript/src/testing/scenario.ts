//! Given some events, when another arrives, then the read model looks so.

import assert from "node:assert/strict";

import { consoleOf } from "../console.js";
import type { Descriptor } from "../descriptor.js";
import type { Failure } from "../failure.js";
import { parse, stringify } from "../json.js";
import type { Projection } from "../projection.js";
import { generator } from "../random.js";
import { type Host, type Level, type RawEvent, setHost } from "../sys.js";
import { checkDescriptor } from "./descriptor.js";
import { type EventBuilder, Log } from "./event-builder.js";
import { MemoryReadModel } from "./memory.js";
import { Trap } from "./trap.js";

// The bounds of wit/world.wit.
const LINES_MAX = 20;
const LINE_BYTES_MAX = 4096;

type Outcome =
  | { kind: "handled" }
  | { kind: "out-of-scope" }
  | { kind: "failed"; failure: Failure }
  | { kind: "trapped"; trap: Trap };

/** A projection under test, with an empty log and an empty read model. */
export function scenario(projection: Projection): Scenario {
  return new Scenario(projection);
}

/**
 * A projection under test, with its own log and read model.
 *
 * A `then` about the read model demands that the last event was handled, unless a `then` before it said how it failed.
 * Every `then` throws an `AssertionError` when it does not hold.
 */
export class Scenario {
  readonly #projection: Projection;
  readonly #descriptor: Descriptor;
  readonly #log = new Log();
  readonly #model = new MemoryReadModel();
  readonly #settings = new Map<string, string>();
  #lines: [Level, string][] = [];
  #outcome: Outcome = { kind: "handled" };
  #failureIsExpected = false;

  constructor(projection: Projection) {
    checkDescriptor(projection.descriptor);
    this.#projection = projection;
    this.#descriptor = projection.descriptor;
  }

  /** Gives the deployment a setting, for `config.get`. */
  withSetting(key: string, value: string): this {
    this.#settings.set(key, value);
    return this;
  }

  /** Events that have been handled before the test begins. Events out of scope pass unseen. */
  given(...events: EventBuilder[]): this {
    for (const event of events) {
      this.#deliver(event);
      this.#demandSuccess();
    }
    return this;
  }

  /** The event under test. Whether it is handled is for the `then` to say. */
  when(event: EventBuilder): this {
    this.#deliver(event);
    return this;
  }

  /** The last event was handled. */
  thenHandled(): this {
    assert.ok(this.#outcome.kind === "handled", `expected the event to be handled, but ${this.#story()}`);
    return this;
  }

  /** The last event is not in the projection's scope: the host does not deliver it. */
  thenOutOfScope(): this {
    assert.ok(this.#outcome.kind === "out-of-scope", `expected the event to be out of scope, but ${this.#story()}`);
    return this;
  }

  /** The last event was rejected, for a reason that contains this text. */
  thenRejects(reason: string): this {
    return this.#expectFailure("rejected", this.#failedWith("reject", reason), reason);
  }

  /** The last event is to be tried again, for a reason that contains this text. */
  thenRetries(reason: string): this {
    return this.#expectFailure("to be tried again", this.#failedWith("retry", reason), reason);
  }

  /** The last event called the read model against its rules, with a message that contains this text. */
  thenTraps(message: string): this {
    const outcome = this.#outcome;
    const holds = outcome.kind === "trapped" && outcome.trap.message.includes(message);
    return this.#expectFailure("ended by a call against the rules", holds, message);
  }

  /** There is such a document, equal as JSON. */
  thenDocument(collection: string, key: string, expected: unknown): this {
    this.#demandSuccess();
    const found = this.document(collection, key);
    assert.ok(found !== undefined, `there is no document ${collection}/${key}; expected ${stringify(expected)}`);
    assert.deepEqual(
      found,
      parse(stringify(expected)),
      this.#differs(`document ${collection}/${key}`, found, expected),
    );
    return this;
  }

  /** There is no such document. */
  thenNoDocument(collection: string, key: string): this {
    this.#demandSuccess();
    const found = this.document(collection, key);
    assert.ok(found === undefined, `document ${collection}/${key} is ${stringify(found ?? null)}; expected none`);
    return this;
  }

  /** The collection holds these documents, by key, and no others. */
  thenCollection(collection: string, expected: Record<string, unknown>): this {
    this.#demandSuccess();
    const found = Object.fromEntries(this.#model.documents(collection).map(([key, text]) => [key, parse(text)]));
    assert.deepEqual(found, parse(stringify(expected)), this.#differs(`collection ${collection}`, found, expected));
    return this;
  }

  /** The last event wrote a line of this level to the log that contains this text. */
  thenLogs(level: Level, text: string): this {
    const isLogged = this.#lines.some(([of, line]) => of === level && line.includes(text));
    const lines = this.#lines.map(([of, line]) => `  ${of}: ${line}`).join("\n");
    assert.ok(isLogged, `no ${level} line contains ${JSON.stringify(text)}; the lines are\n${lines}`);
    return this;
  }

  /** A document, for checks that no `then` offers. */
  document(collection: string, key: string): unknown {
    const text = this.text(collection, key);
    return text === undefined ? undefined : parse(text);
  }

  /** The text of a document, byte for byte. */
  text(collection: string, key: string): string | undefined {
    return this.#model.documents(collection).find(([found]) => found === key)?.[1];
  }

  #deliver(builder: EventBuilder): void {
    this.#demandSuccess();
    this.#failureIsExpected = false;
    this.#lines = [];
    const event = this.#log.append(builder, this.#descriptor);
    this.#outcome = isInScope(this.#descriptor, event) ? this.#handle(event) : { kind: "out-of-scope" };
  }

  #handle(event: RawEvent): Outcome {
    const outcome = this.#run(event);
    if (outcome.kind === "handled") this.#model.commit();
    else this.#model.rollBack();
    return outcome;
  }

  #run(event: RawEvent): Outcome {
    const host: Host = {
      readModel: this.#model,
      log: (level, message) => this.#logLine(level, message),
      setting: (key) => this.#settings.get(key) ?? null,
    };
    const { console } = globalThis;
    const { random } = Math;
    setHost(host);
    Object.assign(globalThis, { console: consoleOf(host.log, console) });
    Math.random = generator(event.position);
    try {
      const failure = this.#projection.run(event, host, { isFatal: (thrown) => thrown instanceof Trap });
      if (this.#model.trap !== undefined) return { kind: "trapped", trap: this.#model.trap };
      return failure === undefined ? { kind: "handled" } : { kind: "failed", failure };
    } catch (error) {
      if (error instanceof Trap) return { kind: "trapped", trap: error };
      throw error;
    } finally {
      Object.assign(globalThis, { console });
      Math.random = random;
      setHost(undefined);
    }
  }

  #logLine(level: Level, message: string): void {
    if (this.#lines.length === LINES_MAX) return;
    const line = Buffer.from(message.toWellFormed()).subarray(0, LINE_BYTES_MAX).toString();
    this.#lines.push([level, line]);
  }

  #failedWith(tag: Failure["tag"], text: string): boolean {
    const outcome = this.#outcome;
    return outcome.kind === "failed" && outcome.failure.tag === tag && outcome.failure.val.includes(text);
  }

  #expectFailure(expected: string, holds: boolean, text: string): this {
    assert.ok(holds, `expected the event to be ${expected} with ${JSON.stringify(text)}, but ${this.#story()}`);
    this.#failureIsExpected = true;
    return this;
  }

  #demandSuccess(): void {
    const { kind } = this.#outcome;
    const isFailed = kind === "failed" || kind === "trapped";
    assert.ok(!isFailed || this.#failureIsExpected, `the event was expected to be handled, but ${this.#story()}`);
  }

  #story(): string {
    const outcome = this.#outcome;
    if (outcome.kind === "handled") return "it was handled";
    if (outcome.kind === "trapped") return `a call ended it with ${outcome.trap.kind}: ${outcome.trap.message}`;
    if (outcome.kind === "out-of-scope") {
      return `it is not in the scope: ${JSON.stringify(this.#descriptor.scope)}`;
    }
    const { tag, val } = outcome.failure;
    return `it was ${tag === "retry" ? "to be tried again" : "rejected"}: ${val}`;
  }

  #differs(what: string, found: unknown, expected: unknown): string {
    return `${what} is ${stringify(found)}\nexpected ${stringify(expected)}`;
  }
}

function isInScope({ scope }: Descriptor, event: RawEvent): boolean {
  const isWanted = (names: readonly string[], name: string) => names.length === 0 || names.includes(name);
  return (
    isWanted(scope.boundedContexts, event.boundedContext) &&
    isWanted(scope.aggregateTypes, event.aggregateType) &&
    isWanted(scope.eventTypes, event.eventType)
  );
}
