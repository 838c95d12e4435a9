//! `defineProjection`: what a developer writes, checked and made ready for the host and for the test kit.

import { checkKeys, descriptorOf, type Descriptor, type DescriptorParts } from "./descriptor.js";
import { type Decoder, Event } from "./event.js";
import { type Failure, failureOf } from "./failure.js";
import { checkSync, ReadModel } from "./read-model.js";
import type { Host, RawEvent, RawReadModel } from "./sys.js";

/** An event of one of these types: narrow it by `event.type`. */
export type AnyEvent<Events> = { [Type in keyof Events & string]: Event<Type, Events[Type]> }[keyof Events & string];

/** A handler. What it throws fails the event, and undoes what this event has changed. */
export type Handler<E, Documents> = {
  // As a method it is compared in both directions, which definitions without types of their own need.
  handle(event: E, model: ReadModel<Documents>): void;
}["handle"];

/** A projection as its developer defines it. */
export interface ProjectionDefinition<Events, Documents> extends DescriptorParts {
  /** Checks payloads when they are read, by event type: see `decode`. Without one the payload is taken as it is. */
  events?: { [Type in keyof Events & string]?: Decoder<Events[Type]> };
  /** Checks documents when they are read, by collection: see `decode`. Without one a document is taken as it is. */
  documents?: { [Collection in keyof Documents & string]?: Decoder<Documents[Collection]> };
  /** Handlers by event type. */
  on?: { [Type in keyof Events & string]?: Handler<Event<Type, Events[Type]>, Documents> };
  /** The handler of all events that have none in `on`. */
  handle?: Handler<AnyEvent<Events>, Documents>;
}

/** A projection that the host and the test kit can run. */
export interface Projection {
  readonly descriptor: Descriptor;
  /** Handles one event; the failure if there is one. */
  run(event: RawEvent, host: Host, options?: RunOptions): Failure | undefined;
}

/** How a run reports. */
export interface RunOptions {
  /** Replaces the places in a stack by those of the sources. */
  mapStack?: (stack: string) => string;
  /** Says of something thrown that it must not be made a failure: it is thrown again. */
  isFatal?: (thrown: unknown) => boolean;
}

const KEYS = ["name", "version", "scope", "partitioning", "collections", "events", "documents", "on", "handle"];

/**
 * Defines a projection.
 *
 * `Events` says what the payloads are, by event type; `Documents` what the documents are, by collection.
 */
export function defineProjection<Events = Record<string, any>, Documents = Record<string, any>>(
  definition: ProjectionDefinition<Events, Documents>,
): Projection {
  checkKeys("a projection", definition, KEYS);
  type AnyHandler = Handler<Event, Documents>;
  const on = new Map(Object.entries(definition.on ?? {})) as Map<string, AnyHandler>;
  const decoders = new Map(Object.entries(definition.events ?? {})) as Map<string, Decoder<unknown>>;
  const documents = new Map(Object.entries(definition.documents ?? {})) as Map<string, Decoder<unknown>>;
  const fallback = definition.handle as AnyHandler | undefined;
  if (on.size === 0 && fallback === undefined)
    throw new TypeError("a projection has handlers: give it `on` or `handle`");
  const descriptor = descriptorOf(definition, fallback === undefined ? [...on.keys()] : []);

  let model: ReadModel<Documents> | undefined;
  let modelOf: RawReadModel | undefined;

  function handle(raw: RawEvent, host: Host): void {
    if (model === undefined || modelOf !== host.readModel) {
      modelOf = host.readModel;
      model = new ReadModel<Documents>(modelOf, documents);
    }
    const event = new Event(raw, decoders.get(raw.eventType));
    const handler = on.get(event.type) ?? fallback;
    if (handler === undefined) throw new TypeError(`${event.type} has no handler`);
    const result: unknown = handler(event, model);
    if (result !== undefined) checkSync(result, `the handler of ${event.type}`);
  }

  function run(raw: RawEvent, host: Host, options: RunOptions = {}): Failure | undefined {
    try {
      handle(raw, host);
      return undefined;
    } catch (thrown) {
      if (isFatal(thrown, options)) throw thrown;
      return failureOf(thrown, options.mapStack);
    }
  }

  return { descriptor, run };
}

function isFatal(thrown: unknown, options: RunOptions): boolean {
  try {
    return options.isFatal?.(thrown) === true;
  } catch {
    // It throws when it is looked at.
    return false;
  }
}
