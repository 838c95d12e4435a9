//! The guest: joins a projection to the bindings. Only the build imports this, into the component.

import { get } from "kennel:projection/config@0.1.0";
import { log } from "kennel:projection/log@0.1.0";
import readModel from "kennel:projection/read-model@0.1.0";

import { consoleOf } from "./console.js";
import type { Descriptor } from "./descriptor.js";
import { mapStack, read } from "./line-map.js";
import type { Projection } from "./projection.js";
import { beginRandom, random } from "./random.js";
import { type Host, type Level, type RawEvent, setHost } from "./sys.js";

const host: Host = {
  readModel,
  // The contract has characters only, no halves of them.
  log: (level, message) => log(level, message.toWellFormed()),
  setting: (key) => get(key.toWellFormed()),
};

// The build loads this module before those of the projection, which may keep hold of these when they are loaded.
Math.random = random;
Object.assign(globalThis, { console: consoleOf(logLine) });

/** Whether the projection is loaded: until then there is no host, and what modules print is dropped. */
let isLoaded = false;

function logLine(level: Level, message: string): void {
  if (isLoaded) host.log(level, message);
}

/** What the component exports. */
export interface Exports {
  describe(): Descriptor;
  handle(event: RawEvent): void;
}

/** Makes the exports of a projection. `lines` says where the lines of the bundle come from. */
export function serve(projection: Projection, lines: string): Exports {
  if (typeof projection?.run !== "function") {
    throw new TypeError("the module has no projection: export default defineProjection({...})");
  }
  setHost(host);
  isLoaded = true;
  const options = {
    mapStack: (stack: string) => mapStack(stack, read(lines)),
    isFatal: isOutOfMemory,
  };
  return {
    describe: () => projection.descriptor,
    handle(event) {
      beginRandom(event.position);
      const failure = projection.run(event, host, options);
      // The bindings return a thrown failure as the error of the result.
      if (failure !== undefined) throw failure;
    },
  };
}

/** Lack of memory ends the instance, and the host names it: what the engine would do next is not defined. */
function isOutOfMemory(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "InternalError" && thrown.message === "out of memory";
}
