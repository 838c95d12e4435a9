//! A read model in memory that keeps the rules of the contract. It does not persist, and it has one user.

import type { RawReadModel } from "../sys.js";
import { checkDocument, incremented, utf8Length } from "./document.js";
import { Trap } from "./trap.js";

// The bounds of wit/world.wit.
const COLLECTION_BYTES_MAX = 200;
const KEY_BYTES_MAX = 1024;
const READ_KEYS_MAX = 1000;
const COLLECTIONS_MAX = 500;
const READ_BYTES_MAX = 32 * 1024 * 1024;

type Undo = [collection: string, key: string, before: string | undefined];

/** A read model in memory. A call that breaks a rule throws a `Trap`. */
export class MemoryReadModel implements RawReadModel {
  readonly #collections = new Map<string, Map<string, string>>();
  /** What the documents were before the changes since the last commit, oldest first. */
  #undo: Undo[] = [];
  /** The collections that the event has touched. */
  readonly #touched = new Set<string>();
  /** The first rule that the event broke: a handler that catches the `Trap` does not undo it. */
  #trap: Trap | undefined;

  /** The rule that was broken since the last commit or roll-back, if any. */
  get trap(): Trap | undefined {
    return this.#trap;
  }

  /** Keeps the changes made since the last commit. */
  commit(): void {
    this.#forget();
  }

  /** Undoes the changes made since the last commit. */
  rollBack(): void {
    for (const [collection, key, before] of this.#undo.reverse()) this.#set(collection, key, before);
    this.#forget();
  }

  /** A whole collection, in the order of the keys' bytes. */
  documents(collection: string): [key: string, document: string][] {
    return [...(this.#collections.get(collection) ?? [])].sort(([a], [b]) => compareBytes(a, b));
  }

  get(collection: string, key: string): string | null {
    return this.#guarded(() => {
      this.#checkNames(collection, key);
      return this.#find(collection, key) ?? null;
    });
  }

  getMany(collection: string, keys: string[]): (string | null)[] {
    return this.#guarded(() => {
      if (keys.length > READ_KEYS_MAX) {
        throw new Trap("invalid-call", `get-many: ${keys.length} keys are more than ${READ_KEYS_MAX}`);
      }
      this.#checkCollection(collection);
      const found = keys.map((key) => {
        checkName("document key", key, KEY_BYTES_MAX);
        return this.#find(collection, key) ?? null;
      });
      checkRead("get-many", found);
      return found;
    });
  }

  put(collection: string, key: string, document: string): void {
    this.#guarded(() => {
      this.#checkNames(collection, key);
      checkDocument(`document ${collection}/${key}`, document);
      this.#write(collection, key, document);
    });
  }

  delete(collection: string, key: string): void {
    this.#guarded(() => {
      this.#checkNames(collection, key);
      this.#write(collection, key, undefined);
    });
  }

  scan(collection: string, after: string | null, prefix: string, limit: number): [string, string][] {
    return this.#guarded(() => {
      this.#checkCollection(collection);
      const rows = this.documents(collection).filter(
        ([key]) => key.startsWith(prefix) && (after === null || compareBytes(key, after) > 0),
      );
      const found = rows.slice(0, Math.min(limit, READ_KEYS_MAX));
      checkRead("scan", found.flat());
      return found;
    });
  }

  increment(collection: string, key: string, field: string, by: number): void {
    this.#guarded(() => {
      this.#checkNames(collection, key);
      checkName("name of a field", field, KEY_BYTES_MAX);
      const where = `increment of field \`${field}\` of ${collection}/${key}`;
      const document = incremented(where, this.#find(collection, key) ?? "{}", field, BigInt(by));
      checkDocument(`document ${collection}/${key}`, document);
      this.#write(collection, key, document);
    });
  }

  #guarded<T>(call: () => T): T {
    if (this.#trap !== undefined) throw this.#trap;
    try {
      return call();
    } catch (error) {
      if (error instanceof Trap) this.#trap = error;
      throw error;
    }
  }

  #forget(): void {
    this.#undo = [];
    this.#touched.clear();
    this.#trap = undefined;
  }

  #find(collection: string, key: string): string | undefined {
    return this.#collections.get(collection)?.get(key);
  }

  #write(collection: string, key: string, document: string | undefined): void {
    this.#undo.push([collection, key, this.#find(collection, key)]);
    this.#set(collection, key, document);
  }

  #set(collection: string, key: string, document: string | undefined): void {
    const documents = this.#collections.get(collection) ?? new Map<string, string>();
    this.#collections.set(collection, documents);
    if (document === undefined) documents.delete(key);
    else documents.set(key, document);
  }

  #checkNames(collection: string, key: string): void {
    this.#checkCollection(collection);
    checkName("document key", key, KEY_BYTES_MAX);
  }

  #checkCollection(collection: string): void {
    checkName("collection name", collection, COLLECTION_BYTES_MAX);
    this.#touched.add(collection);
    if (this.#touched.size > COLLECTIONS_MAX) {
      throw new Trap("invalid-call", `the event touches more than ${COLLECTIONS_MAX} collections`);
    }
  }
}

/** The order of the UTF-8 of both. (`<` compares halves of surrogate pairs, which sort before U+E000.) */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function checkName(what: string, name: string, bytesMax: number): void {
  const bytes = utf8Length(name);
  if (bytes >= 1 && bytes <= bytesMax && !name.includes("\0") && name.isWellFormed()) return;
  const shown = JSON.stringify(name.slice(0, 60));
  throw new Trap("invalid-call", `${shown} is not a valid ${what}: use 1 to ${bytesMax} bytes of text without NUL`);
}

function checkRead(what: string, texts: readonly (string | null)[]): void {
  const bytes = texts.reduce((sum, text) => sum + (text === null ? 0 : utf8Length(text)), 0);
  if (bytes > READ_BYTES_MAX) throw new Trap("memory-limit", `${what}: ${bytes} bytes are more than ${READ_BYTES_MAX}`);
}
