//! Test a projection natively, with any test runner, without wasm and without a host.
//!
//! What the host does is done here too: events out of scope do not arrive, the changes of a failed event are undone, a
//! call that breaks a bound ends the handler, and `Math.random` begins anew with each event. What only wasm has is not
//! here: limits of time and memory, and the clock of the event (`Date.now` is the machine's).

export { event, EventBuilder } from "./event-builder.js";
export { MemoryReadModel } from "./memory.js";
export { Scenario, scenario } from "./scenario.js";
export { Trap } from "./trap.js";
