//! Events for tests: what a test does not say, the scenario fills in.

import type { Descriptor } from "../descriptor.js";
import { stringify } from "../json.js";
import type { RawEvent } from "../sys.js";
import { Timestamp } from "../timestamp.js";

/** When the first event of a scenario was written: the start of 2026, in seconds since the beginning of 1970. */
const FIRST_CREATED_AT = 1_767_225_600;

type Part = Partial<RawEvent>;

/**
 * An event of the given type.
 *
 * Unless set otherwise it is the next of the log and of its aggregate, belongs to the first bounded context and
 * aggregate type that the projection asks for, is of aggregate `1`, was written one second after the event before it,
 * and carries `{}`.
 */
export function event(type: string): EventBuilder {
  return new EventBuilder({ eventType: type });
}

/** An event in the making; begin with `event()`. Each call gives another, so that events can be shared by tests. */
export class EventBuilder {
  /** For the package itself. */
  constructor(readonly part: Part) {}

  #with(part: Part): EventBuilder {
    return new EventBuilder({ ...this.part, ...part });
  }

  /** Sets the aggregate's id. */
  of(aggregateId: string): EventBuilder {
    return this.#with({ aggregateId });
  }

  /** Sets the part of the business. */
  boundedContext(boundedContext: string): EventBuilder {
    return this.#with({ boundedContext });
  }

  /** Sets the kind of aggregate. */
  aggregateType(aggregateType: string): EventBuilder {
    return this.#with({ aggregateType });
  }

  /** Sets the aggregate's version after this event. */
  version(aggregateVersion: number): EventBuilder {
    return this.#with({ aggregateVersion });
  }

  /** Sets the position in the log; later events follow it. */
  position(position: number): EventBuilder {
    return this.#with({ position });
  }

  /** Sets the event's own identity, a UUID. */
  id(eventId: string): EventBuilder {
    return this.#with({ eventId });
  }

  /** Sets the version of the payload's schema. */
  schema(eventVersion: number): EventBuilder {
    return this.#with({ eventVersion });
  }

  /** Sets the payload to a value's JSON text; `bigint`s are written out. */
  json(payload: unknown): EventBuilder {
    return this.text(stringify(payload));
  }

  /** Sets the payload to text. Text that is no JSON arrives as bytes, as it does from the log. */
  text(payload: string): EventBuilder {
    return isJson(payload) ? this.#with({ payload: { tag: "json", val: payload } }) : this.binary(Buffer.from(payload));
  }

  /** Sets the payload to bytes that are not JSON. */
  binary(payload: Uint8Array | number[]): EventBuilder {
    return this.#with({ payload: { tag: "binary", val: Uint8Array.from(payload) } });
  }

  /** Attaches metadata: a value's JSON text. */
  metadata(metadata: unknown): EventBuilder {
    return this.#with({ metadata: stringify(metadata) });
  }

  /** Sets the distributed trace in which the event was written. */
  traceId(traceId: string): EventBuilder {
    return this.#with({ traceId });
  }

  /** Sets the business process that the event belongs to. */
  correlationId(correlationId: string): EventBuilder {
    return this.#with({ correlationId });
  }

  /** Sets the message that caused the event. */
  causationId(causationId: string): EventBuilder {
    return this.#with({ causationId });
  }

  /** Sets when the event was written. */
  createdAt(time: Timestamp | Date): EventBuilder {
    const { seconds, nanoseconds } = time instanceof Date ? Timestamp.fromDate(time) : time;
    return this.#with({ createdAt: { seconds, nanoseconds } });
  }
}

/** Counts positions and versions as a log does. */
export class Log {
  #lastPosition = 0;
  readonly #lastVersions = new Map<string, number>();

  /** Makes the event whole, as the next of this log. */
  append({ part }: EventBuilder, { scope }: Descriptor): RawEvent {
    const position = part.position ?? this.#lastPosition + 1;
    const boundedContext = part.boundedContext ?? scope.boundedContexts[0] ?? "Test";
    const aggregateType = part.aggregateType ?? scope.aggregateTypes[0] ?? "Test";
    const aggregateId = part.aggregateId ?? "1";
    const aggregate = JSON.stringify([boundedContext, aggregateType, aggregateId]);
    const aggregateVersion = part.aggregateVersion ?? (this.#lastVersions.get(aggregate) ?? 0) + 1;
    this.#lastPosition = position;
    this.#lastVersions.set(aggregate, aggregateVersion);
    return {
      eventType: "",
      eventVersion: 1,
      eventId: `00000000-0000-4000-8000-${position.toString(16).padStart(12, "0")}`,
      payload: { tag: "json", val: "{}" },
      metadata: null,
      traceId: null,
      correlationId: null,
      causationId: null,
      createdAt: { seconds: FIRST_CREATED_AT + position - 1, nanoseconds: 0 },
      ...part,
      position,
      boundedContext,
      aggregateType,
      aggregateId,
      aggregateVersion,
    };
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
