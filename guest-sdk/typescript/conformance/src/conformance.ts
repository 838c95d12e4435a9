//! The conformance guest: carries out what each event asks for, so that the suite can compare this package with the
//! contract and with those of other languages. The event types are those of guest-sdk/conformance/README.md.

import {
  config,
  decode,
  type Decoded,
  type Decoder,
  defineProjection,
  type Event,
  int64,
  log,
  type ReadModel,
  Retry,
} from "kennel-projection";

// As a module would that keeps hold of it when it is loaded.
const { random } = Math;

type Documents = Record<string, any> & { counts: Decoded<typeof counts>; typed: Decoded<typeof typed> };
type Model = ReadModel<Documents>;

/** What one event type asks for. */
type Action = (payload: unknown, event: Event, model: Model) => void;

const { text } = decode;
const texts = decode.list(text);
const counts = decode.object({ count: decode.int64, last: text });
const typed = decode.object({ count: decode.int64, name: text, tags: texts });

/** An action whose payload has these fields. */
function action<Fields extends Record<string, Decoder<any>>>(
  fields: Fields,
  run: (payload: { [Name in keyof Fields]: Decoded<Fields[Name]> }, event: Event, model: Model) => void,
): Action {
  const read = decode.object(fields);
  return (payload, event, model) => run(read(payload), event, model);
}

/** The actions that an event may have several of. */
const steps: Record<string, Action> = {
  Put: action({ collection: text, key: text, document: decode.any }, ({ collection, key, document }, _, model) => {
    model.put(collection, key, document);
  }),
  PutText: action({ collection: text, key: text, text }, ({ collection, key, text }, _, model) => {
    model.putText(collection, key, text);
  }),
  Copy: action({ collection: text, key: text, to: text }, ({ collection, key, to }, _, model) => {
    const document: unknown = model.get(collection, key);
    if (document === undefined) throw new Error("there is no document");
    model.put(collection, to, document);
  }),
  Collect: action({ collection: text, keys: texts, into: text }, ({ collection, keys, into }, _, model) => {
    const found: unknown[] = model.getMany(collection, keys);
    model.put(
      "collected",
      into,
      found.map((document) => document ?? null),
    );
  }),
  Scan: action(
    { collection: text, after: decode.optional(text), prefix: text, limit: decode.number, into: text },
    ({ collection, after, prefix, limit, into }, _, model) => {
      const found = model.scan(collection, { ...(after === undefined ? {} : { after }), prefix, limit });
      const [keys, documents] = [found.map(([key]) => key), found.map(([, document]): unknown => document)];
      model.put("scans", into, { keys, documents });
    },
  ),
  Delete: action({ collection: text, key: text }, ({ collection, key }, _, model) => model.delete(collection, key)),
  Increment: action(
    { collection: text, key: text, field: text, by: decode.int64 },
    ({ collection, key, field, by }, _, model) => model.increment(collection, key, field, by),
  ),
  Count: action({ key: text, by: decode.int64 }, ({ key, by }, event, model) => {
    model.upsert("counts", key, { count: 0, last: "" }, (found) => {
      found.count = int64.add(found.count, by);
      found.last = event.eventId;
    });
  }),
  Typed: (payload, event, model) => model.put("typed", event.aggregateId, typed(payload)),
  Log: action({ level: decode.oneOf("debug", "info", "warn", "error"), message: text }, ({ level, message }) => {
    log[level](message);
  }),
  Reject: action({ message: text }, ({ message }, event, model) => {
    attempt(event, model);
    throw new Error(message);
  }),
  Retry: action({ message: text }, ({ message }, event, model) => {
    attempt(event, model);
    throw new Retry(message);
  }),
  Throw: action({ message: text }, ({ message }, event, model) => {
    attempt(event, model);
    throw new TypeError(message);
  }),
};

const step = decode.object({ type: decode.oneOf(...Object.keys(steps)) });

const actions = new Map<string, Action>(
  Object.entries({
    ...steps,
    Steps: action({ steps: decode.list(decode.any) }, (payload, event, model) => {
      for (const one of payload.steps) steps[step(one).type]?.(one, event, model);
    }),
    Setting: action({ key: text, into: text }, ({ key, into }, _, model) => {
      model.put("settings", into, { value: config.get(key) ?? null });
    }),
    Print: action({ message: text }, ({ message }) => console.log(message)),
    Chance: action({ into: text }, ({ into }, _, model) => {
      model.put("chance", into, { now: new Date().toISOString(), random: String(random()) });
    }),
    Loop: (_payload, event, model) => {
      attempt(event, model);
      for (;;);
    },
    Allocate: (_payload, event, model) => {
      attempt(event, model);
      const taken: number[][] = [];
      for (;;) taken.push(new Array<number>(1000).fill(taken.length));
    },
    Recurse: (_payload, event, model) => {
      attempt(event, model);
      recurse(0);
    },
  }),
);

export default defineProjection<Record<string, unknown>, Documents>({
  name: "conformance",
  version: "1.0.0",
  documents: { counts },
  handle(event, model) {
    const run = actions.get(event.type);
    if (event.type === "Arrived") arrive(event, model);
    else if (run === undefined) model.increment("others", event.type, "count", 1);
    else run(event.payload, event, model);
  },
});

function arrive(event: Event, model: Model): void {
  const { createdAt } = event;
  model.put("arrivals", event.eventId, {
    position: event.position,
    bounded_context: event.boundedContext,
    aggregate_type: event.aggregateType,
    aggregate_id: event.aggregateId,
    aggregate_version: event.aggregateVersion,
    event_id: event.eventId,
    event_type: event.type,
    event_version: event.eventVersion,
    payload: event.text === undefined ? { binary: [...event.bytes] } : { json: event.text },
    metadata: event.metadata ?? null,
    trace_id: event.traceId ?? null,
    correlation_id: event.correlationId ?? null,
    causation_id: event.causationId ?? null,
    created_at: {
      seconds: createdAt.seconds,
      nanoseconds: createdAt.nanoseconds,
      rfc3339: createdAt.toString(),
    },
  });
}

/** Leaves what a failure has to undo. */
function attempt(event: Event, model: Model): void {
  model.put("attempts", event.eventId, true);
}

function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}
