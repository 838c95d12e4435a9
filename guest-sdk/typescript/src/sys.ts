//! The door to the host: what a guest imports, in the shapes that the bindings have. Natively the test kit stands here.

/** The level of a log line. */
export type Level = "debug" | "info" | "warn" | "error";

/** The interface `read-model` of the contract. */
export interface RawReadModel {
  get(collection: string, key: string): string | null;
  getMany(collection: string, keys: string[]): (string | null)[];
  put(collection: string, key: string, document: string): void;
  delete(collection: string, key: string): void;
  scan(collection: string, after: string | null, prefix: string, limit: number): [string, string][];
  /** `by` is a `number` that is a whole of 64 bits: the bindings take every one that a `number` can be. */
  increment(collection: string, key: string, field: string, by: number): void;
}

/** The event of the contract. Numbers of 64 bits arrive as `number`s. */
export interface RawEvent {
  position: number;
  boundedContext: string;
  aggregateType: string;
  aggregateId: string;
  aggregateVersion: number;
  eventId: string;
  eventType: string;
  eventVersion: number;
  payload: { tag: "json"; val: string } | { tag: "binary"; val: Uint8Array | number[] };
  metadata: string | null;
  traceId: string | null;
  correlationId: string | null;
  causationId: string | null;
  createdAt: { seconds: number; nanoseconds: number };
}

/** Everything that a guest can call. */
export interface Host {
  readModel: RawReadModel;
  log(level: Level, message: string): void;
  setting(key: string): string | null;
}

let current: Host | undefined;

/** Puts a host behind `log` and `config`. */
export function setHost(host: Host | undefined): void {
  current = host;
}

/** The host of this instance. */
export function host(): Host {
  if (current === undefined) throw new Error("there is no host: log and config are for handlers");
  return current;
}
