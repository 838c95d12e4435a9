//! The imports of the world in wit/world.wit, as the engine of guests gives them to a module.

declare module "kennel:projection/read-model@0.1.0" {
  const readModel: import("./sys.js").RawReadModel;
  export default readModel;
}

declare module "kennel:projection/log@0.1.0" {
  export function log(level: import("./sys.js").Level, message: string): void;
}

declare module "kennel:projection/config@0.1.0" {
  export function get(key: string): string | null;
}
