//! The rules of the contract for a descriptor: a component that breaks one cannot be deployed.

import type { Descriptor } from "../descriptor.js";
import { utf8Length } from "./document.js";

// The bounds of wit/world.wit.
const NAME_BYTES_MAX = 200;
const SCOPE_NAMES_MAX = 1000;
const COLLECTIONS_MAX = 100;
const COLUMNS_MAX = 500;
const INDEXES_MAX = 100;
const PATH_FIELDS_MAX = 16;
const PATH_BYTES_MAX = 200;
const INDEX_COLUMNS_MAX = 16;

const COLUMN_NAME = /^[a-z][a-z0-9_]{0,47}$/;
const PATH = /^(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*")(?:\.(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"))*$/;
const PATH_FIELD = /[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"/g;
const TAKEN = "key document revision rowid oid ctid tableoid xmin xmax cmin cmax".split(" ");

type Collection = Descriptor["collections"][number];

/** Throws if the host would not deploy it. */
export function checkDescriptor({ name, version, scope, collections }: Descriptor): void {
  checkName("the name of the projection", name);
  checkName("the version of the projection", version);
  for (const [list, names] of Object.entries(scope)) {
    demand(names.length <= SCOPE_NAMES_MAX, `${list} has more than ${SCOPE_NAMES_MAX} names`);
    for (const one of names) checkName(`a name of ${list}`, one);
  }
  const count = (part: (collection: Collection) => unknown[]) =>
    collections.reduce((sum, collection) => sum + part(collection).length, 0);
  demand(collections.length <= COLLECTIONS_MAX, `more than ${COLLECTIONS_MAX} collections are declared`);
  demand(count(({ columns }) => columns) <= COLUMNS_MAX, `more than ${COLUMNS_MAX} columns are declared`);
  demand(count(({ indexes }) => indexes) <= INDEXES_MAX, `more than ${INDEXES_MAX} indexes are declared`);
  for (const collection of collections) checkCollection(collection);
}

function checkCollection({ name, columns, indexes }: Collection): void {
  const bytes = utf8Length(name);
  demand(bytes >= 1 && bytes <= NAME_BYTES_MAX && !name.includes("\0"), `${shown(name)} is no name of a collection`);
  for (const column of columns) {
    const isName = COLUMN_NAME.test(column.name) && !TAKEN.includes(column.name);
    demand(isName, `${shown(column.name)} is no name of a column of ${name}`);
    const fields = column.path.match(PATH_FIELD) ?? [];
    const isPath = PATH.test(column.path) && fields.length <= PATH_FIELDS_MAX;
    demand(
      isPath && utf8Length(column.path) <= PATH_BYTES_MAX,
      `${shown(column.path)} is no path of a column of ${name}`,
    );
  }
  const types = new Map(columns.map((column) => [column.name, column.dataType]));
  const known = new Set<string>();
  for (const index of indexes) {
    const what = `the index of ${index.columns.join(", ")} of ${name}`;
    const { length } = index.columns;
    demand(length >= 1 && length <= INDEX_COLUMNS_MAX, `${what} has no column or more than ${INDEX_COLUMNS_MAX}`);
    demand(new Set(index.columns).size === length, `${what} names a column twice`);
    for (const column of index.columns) {
      const type = types.get(column);
      demand(type !== undefined, `${what} names ${column}, which is no column`);
      demand(type !== "json", `${what} names ${column}, whose type has no order`);
    }
    demand(!known.has(index.columns.join()), `${what} is declared twice`);
    known.add(index.columns.join());
  }
}

function checkName(what: string, name: string): void {
  const bytes = utf8Length(name);
  const isName = bytes >= 1 && bytes <= NAME_BYTES_MAX && !/\p{Cc}/u.test(name);
  demand(isName, `${what} is ${shown(name)}: use 1 to ${NAME_BYTES_MAX} bytes without control characters`);
}

function demand(holds: boolean, message: string): asserts holds {
  if (!holds) throw new TypeError(`the host would not deploy this projection: ${message}`);
}

function shown(name: string): string {
  return JSON.stringify(name.slice(0, 60));
}
