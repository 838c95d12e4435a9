//! One event as it arrives, with its payload as the projection's own type.

import { parse } from "./json.js";
import type { RawEvent } from "./sys.js";
import { Timestamp } from "./timestamp.js";
import { encode } from "./utf8.js";

/** Makes the payload's own type of parsed JSON, or throws. */
export type Decoder<T> = (value: unknown) => T;

/**
 * One immutable row of the event log. Numbers of 64 bits are exact: an event with a position or a version beyond
 * 2^53 - 1 is rejected before its handler sees it.
 */
export class Event<Type extends string = string, Payload = any> {
  /** Position in the log: unique and increasing, but not free of gaps. The first is 1. */
  readonly position: number;
  /** The part of the business that the aggregate belongs to, such as `Sales`. */
  readonly boundedContext: string;
  /** The kind of aggregate, such as `Order`. */
  readonly aggregateType: string;
  /** Which aggregate. Events of one aggregate arrive in order, one at a time. */
  readonly aggregateId: string;
  /** The aggregate's version after this event. The first is 1. */
  readonly aggregateVersion: number;
  /** The event's own identity, a UUID in lower-case text with hyphens. */
  readonly eventId: string;
  /** What happened, such as `OrderPlaced`. */
  readonly type: Type;
  /** The version of the payload's schema. */
  readonly eventVersion: number;
  /** JSON text that the writer attached, if any. */
  readonly metadata: string | undefined;
  /** The distributed trace in which the event was written, if any. */
  readonly traceId: string | undefined;
  /** The business process that the event belongs to, if any. */
  readonly correlationId: string | undefined;
  /** The message that caused the event, if any. */
  readonly causationId: string | undefined;
  /** When the event was written, as its writer says, to the nanosecond. */
  readonly createdAt: Timestamp;

  readonly #raw: RawEvent;
  readonly #decode: Decoder<Payload> | undefined;
  #isDecoded = false;
  #payload: Payload | undefined;

  /** For the package itself and for tests of the raw shape. */
  constructor(raw: RawEvent, decode?: Decoder<Payload>) {
    this.position = exactly("position", raw.position);
    this.boundedContext = raw.boundedContext;
    this.aggregateType = raw.aggregateType;
    this.aggregateId = raw.aggregateId;
    this.aggregateVersion = exactly("aggregate version", raw.aggregateVersion);
    this.eventId = raw.eventId;
    this.type = raw.eventType as Type;
    this.eventVersion = raw.eventVersion;
    this.metadata = raw.metadata ?? undefined;
    this.traceId = raw.traceId ?? undefined;
    this.correlationId = raw.correlationId ?? undefined;
    this.causationId = raw.causationId ?? undefined;
    this.createdAt = new Timestamp(exactly("time in seconds", raw.createdAt.seconds), raw.createdAt.nanoseconds);
    this.#raw = raw;
    this.#decode = decode;
  }

  /** The payload, read as JSON: whole numbers beyond 2^53 - 1 are `bigint`s. An error if it is not JSON. */
  get payload(): Payload {
    if (!this.#isDecoded) {
      this.#payload = this.#read();
      this.#isDecoded = true;
    }
    return this.#payload as Payload;
  }

  /** The payload's JSON text as it is stored, or `undefined` if it is not JSON. */
  get text(): string | undefined {
    return this.#raw.payload.tag === "json" ? this.#raw.payload.val : undefined;
  }

  /** The payload's bytes, whatever they are. */
  get bytes(): Uint8Array {
    const { payload } = this.#raw;
    return payload.tag === "json" ? encode(payload.val) : Uint8Array.from(payload.val);
  }

  #read(): Payload {
    const { payload } = this.#raw;
    if (payload.tag !== "json") throw this.#unreadable(`it is ${payload.val.length} bytes that are not JSON`);
    let value: unknown;
    try {
      value = parse(payload.val);
      return this.#decode === undefined ? (value as Payload) : this.#decode(value);
    } catch (error) {
      throw this.#unreadable(error instanceof Error ? error.message : String(error), error);
    }
  }

  #unreadable(why: string, cause?: unknown): PayloadError {
    const message = `the payload of ${this.type} (version ${this.eventVersion}) cannot be read: ${why}`;
    return new PayloadError(message, cause === undefined ? {} : { cause });
  }
}

/** The payload is not JSON, or does not fit the type that the handler asks for. */
export class PayloadError extends Error {
  override name = "PayloadError";
}

function exactly(what: string, value: number): number {
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(`the ${what} of the event is beyond 2^53 - 1: it cannot be read exactly`);
}
