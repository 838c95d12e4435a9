//! What a projection says of itself, in the shape that the bindings have. The host checks every rule of the contract
//! when the component is deployed; here are checked only mistakes of form, where the line that made them is known.

/** What a column holds. */
export type ColumnType = "text" | "integer" | "decimal" | "boolean" | "timestamp" | "json";

/** A column: its type if it is the field of the same name, else also the path, such as `customer.address.city`. */
export type ColumnDefinition = ColumnType | { path: string; type: ColumnType };

/** An index: the names of its columns, the most significant first. */
export type IndexDefinition = readonly string[] | { columns: readonly string[]; unique?: boolean };

/** Columns and indexes of a collection. */
export interface CollectionDefinition {
  columns?: Readonly<Record<string, ColumnDefinition>>;
  indexes?: readonly IndexDefinition[];
}

/** How the work may be divided among workers. */
export type Partitioning = "by-aggregate" | "single";

/** The events that a projection wants. An empty list means all; lists are combined with "and". */
export interface ScopeDefinition {
  boundedContexts?: readonly string[];
  aggregateTypes?: readonly string[];
  /** If left out: the types that `on` has handlers for, or all if there is `handle`. */
  eventTypes?: readonly string[];
}

/** The descriptor of the contract. */
export interface Descriptor {
  name: string;
  version: string;
  scope: { boundedContexts: string[]; aggregateTypes: string[]; eventTypes: string[] };
  partitioning: Partitioning;
  collections: {
    name: string;
    columns: { name: string; path: string; dataType: ColumnType }[];
    indexes: { columns: string[]; unique: boolean }[];
  }[];
}

const COLUMN_TYPES = ["text", "integer", "decimal", "boolean", "timestamp", "json"];

/** What a descriptor is made of. */
export interface DescriptorParts {
  name: string;
  version: string;
  scope?: ScopeDefinition;
  partitioning?: Partitioning;
  collections?: Readonly<Record<string, CollectionDefinition>>;
}

/** The descriptor of a definition. */
export function descriptorOf(parts: DescriptorParts, eventTypes: readonly string[]): Descriptor {
  const { name, version, scope = {}, partitioning = "by-aggregate", collections = {} } = parts;
  if (typeof name !== "string" || typeof version !== "string") {
    throw new TypeError("a projection has a name and a version, both strings");
  }
  if (partitioning !== "by-aggregate" && partitioning !== "single") {
    throw new TypeError(`partitioning is "by-aggregate" or "single", not ${JSON.stringify(partitioning)}`);
  }
  checkKeys("scope", scope, ["boundedContexts", "aggregateTypes", "eventTypes"]);
  return {
    name,
    version,
    scope: {
      boundedContexts: names("scope.boundedContexts", scope.boundedContexts ?? []),
      aggregateTypes: names("scope.aggregateTypes", scope.aggregateTypes ?? []),
      eventTypes: names("scope.eventTypes", scope.eventTypes ?? eventTypes),
    },
    partitioning,
    collections: Object.entries(collections).map(([name, definition]) => collection(name, definition)),
  };
}

function collection(name: string, definition: CollectionDefinition): Descriptor["collections"][number] {
  checkKeys(`collection ${name}`, definition, ["columns", "indexes"]);
  const columns = Object.entries(definition.columns ?? {}).map(([column, given]) => {
    const { path, type } = typeof given === "string" ? { path: column, type: given } : given;
    if (typeof path !== "string" || !COLUMN_TYPES.includes(type)) {
      throw new TypeError(`column ${column} of ${name}: expected a path and one of ${COLUMN_TYPES.join(", ")}`);
    }
    return { name: column, path, dataType: type };
  });
  const indexes = (definition.indexes ?? []).map((given) => {
    const { columns, unique = false } = "columns" in given ? given : { columns: given };
    return { columns: names(`an index of ${name}`, columns), unique };
  });
  return { name, columns, indexes };
}

function names(what: string, given: readonly string[]): string[] {
  const isList = Array.isArray(given) && given.every((name) => typeof name === "string");
  if (!isList) throw new TypeError(`${what}: expected an array of strings`);
  return [...given];
}

/** Rejects fields that a definition does not have: they are mistyped. */
export function checkKeys(what: string, given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw new TypeError(`${what} has no ${JSON.stringify(key)}: it has ${known.join(", ")}`);
  }
}
