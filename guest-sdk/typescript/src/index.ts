//! Write projections for Kennel. Start with `defineProjection`.

export * as config from "./config.js";
export * as decode from "./decode.js";
export * as int64 from "./int64.js";
export * as json from "./json.js";
export * as log from "./log.js";
export type { Decoded } from "./decode.js";
export type {
  CollectionDefinition,
  ColumnDefinition,
  ColumnType,
  Descriptor,
  IndexDefinition,
  Partitioning,
  ScopeDefinition,
} from "./descriptor.js";
export { type Decoder, Event, PayloadError } from "./event.js";
export { Retry } from "./failure.js";
export type { Whole } from "./int64.js";
export {
  type AnyEvent,
  defineProjection,
  type Handler,
  type Projection,
  type ProjectionDefinition,
} from "./projection.js";
export { DocumentError, ReadModel, type ScanOptions } from "./read-model.js";
export type { Level } from "./sys.js";
export { Timestamp } from "./timestamp.js";
