//! The read model as a handler sees it: typed documents above the functions of the contract.
//!
//! Nothing is cached here: the host keeps the changes of a batch in memory and serves reads from them.

import type { Decoder } from "./event.js";
import { exact, int64, kindOf, type Whole } from "./int64.js";
import { parse, stringify } from "./json.js";
import type { RawReadModel } from "./sys.js";

/** Which documents a scan finds. */
export interface ScanOptions {
  /** Only keys that sort after this one, by bytes. */
  after?: string;
  /** Only keys that start with this. */
  prefix?: string;
  /** Most documents; 1,000 if left out, which is also the most that there are. */
  limit?: number;
}

type Name<Documents> = keyof Documents & string;

/** Functions that check documents when they are read, by collection. */
export type Decoders = ReadonlyMap<string, Decoder<unknown>>;

/** Divides a large increment: the part above these bits and the part in them are both exact as a `number`. */
const LOW_BITS = 2n ** 32n;

/**
 * Collections of JSON documents, by key. Reads see the changes that earlier events and this event have made.
 *
 * `Documents` says which documents a collection has: `{ orders: Order; customers: Customer }`. A call that breaks a
 * bound of the contract (a key that is too long, text that is not JSON) does not return: it ends the event with
 * `invalid-call`.
 */
export class ReadModel<Documents = Record<string, any>> {
  readonly #raw: RawReadModel;
  readonly #decoders: Decoders;

  /** For the package itself. */
  constructor(raw: RawReadModel, decoders: Decoders = new Map()) {
    this.#raw = raw;
    this.#decoders = decoders;
  }

  /** The document, or `undefined`. */
  get<C extends Name<Documents>>(collection: C, key: string): Documents[C] | undefined {
    const text = this.getText(collection, key);
    return text === undefined ? undefined : this.#decode(collection, key, text);
  }

  /** Many documents at once, in the order of the keys: one round trip at most. At most 1,000 keys. */
  getMany<C extends Name<Documents>>(collection: C, keys: readonly string[]): (Documents[C] | undefined)[] {
    return this.getManyText(collection, keys).map((text, at) =>
      text === undefined ? undefined : this.#decode(collection, keys[at] as string, text),
    );
  }

  /** Writes a whole document. */
  put<C extends Name<Documents>>(collection: C, key: string, document: Documents[C]): void {
    let text: string;
    try {
      text = stringify(document);
    } catch (error) {
      throw new DocumentError(`document ${collection}/${key} has no JSON form: ${(error as Error).message}`);
    }
    this.putText(collection, key, text);
  }

  /** Changes a document that must be there: `change` alters it or returns another. */
  update<C extends Name<Documents>>(
    collection: C,
    key: string,
    change: (document: Documents[C]) => Documents[C] | void,
  ): void {
    const document = this.get(collection, key);
    if (document === undefined) throw new DocumentError(`there is no document ${collection}/${key} to change`);
    this.#change(collection, key, document, change);
  }

  /** The same, beginning with a copy of `initial` if there is no document. */
  upsert<C extends Name<Documents>>(
    collection: C,
    key: string,
    initial: Documents[C],
    change: (document: Documents[C]) => Documents[C] | void,
  ): void {
    const found = this.get(collection, key);
    this.#change(collection, key, found === undefined ? copy(initial) : found, change);
  }

  #decode<C extends Name<Documents>>(collection: C, key: string, text: string): Documents[C] {
    try {
      const value = parse(text);
      const decoder = this.#decoders.get(collection);
      return (decoder === undefined ? value : decoder(value)) as Documents[C];
    } catch (error) {
      throw new DocumentError(`document ${collection}/${key} cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  #change<C extends Name<Documents>>(
    collection: C,
    key: string,
    document: Documents[C],
    change: (document: Documents[C]) => Documents[C] | void,
  ): void {
    const changed = change(document);
    checkSync(changed, "the change of a document");
    this.put(collection, key, changed === undefined ? document : (changed as Documents[C]));
  }

  /** Removes a document. It is no error if there is none. */
  delete(collection: Name<Documents>, key: string): void {
    checkText(collection);
    checkText(key);
    this.#raw.delete(collection, key);
  }

  /** Documents with their keys, in the order of the keys' bytes. There are no more if fewer than `limit` come. */
  scan<C extends Name<Documents>>(collection: C, options: ScanOptions = {}): [key: string, document: Documents[C]][] {
    const rows = this.scanText(collection, options);
    return rows.map(([key, text]) => [key, this.#decode(collection, key, text)]);
  }

  /**
   * Adds to a whole-number field at the top of a document. A missing document becomes an object, a missing field
   * counts as zero. It reads nothing and never conflicts with other workers. `by` is exact: a `bigint` beyond 2^53 - 1.
   */
  increment(collection: Name<Documents>, key: string, field: string, by: Whole = 1): void {
    checkText(collection);
    checkText(key);
    checkText(field);
    if (Number.isSafeInteger(by)) {
      this.#raw.increment(collection, key, field, by as number);
      return;
    }
    const whole = exact(int64(by));
    const low = whole % LOW_BITS;
    // Both have the sign of the sum, so that no step leaves the range of 64 bits unless the sum does.
    this.#raw.increment(collection, key, field, Number(whole - low));
    if (low !== 0n) this.#raw.increment(collection, key, field, Number(low));
  }

  /** The document's text, or `undefined`. */
  getText(collection: Name<Documents>, key: string): string | undefined {
    checkText(collection);
    checkText(key);
    return this.#raw.get(collection, key) ?? undefined;
  }

  /** The texts of many documents, in the order of the keys. At most 1,000 keys. */
  getManyText(collection: Name<Documents>, keys: readonly string[]): (string | undefined)[] {
    checkText(collection);
    for (const key of keys) checkText(key);
    return this.#raw.getMany(collection, [...keys]).map((text) => text ?? undefined);
  }

  /** Writes a whole document: JSON text of at most 1 MiB. */
  putText(collection: Name<Documents>, key: string, document: string): void {
    checkText(collection);
    checkText(key);
    checkText(document);
    this.#raw.put(collection, key, document);
  }

  /** The texts of documents with their keys. */
  scanText(collection: Name<Documents>, options: ScanOptions = {}): [key: string, document: string][] {
    const { after, prefix = "", limit = 1000 } = options;
    checkText(collection);
    checkText(prefix);
    checkText(after ?? "");
    if (!Number.isInteger(limit) || limit < 0 || limit > 0xffff_ffff) {
      throw new RangeError(`the limit of a scan is a whole number from 0 to 2^32 - 1, not ${limit}`);
    }
    return this.#raw.scan(collection, after ?? null, prefix, limit);
  }
}

/** A document is missing, or is not what the handler takes it for. */
export class DocumentError extends Error {
  override name = "DocumentError";
}

/** Rejects what an asynchronous function returns: a handler call ends when it returns. */
export function checkSync(result: unknown, what: string): void {
  const isPromise = result !== null && typeof result === "object" && "then" in result;
  if (isPromise) throw new TypeError(`${what} returned a promise: write it without async and await`);
}

function copy<T>(value: T): T {
  return parse(stringify(value)) as T;
}

function checkText(text: string): void {
  if (typeof text !== "string") {
    throw new TypeError(`the read model takes collections, keys and texts as strings, not ${kindOf(text)}`);
  }
  if (!text.isWellFormed()) throw new RangeError("text contains half of a surrogate pair, which is no character");
}
