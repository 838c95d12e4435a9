//! Runs projections as sandboxed WebAssembly components: Kennel's only door to wasmtime.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`options`] | what the embedder sets |
//! | [`runtime`] | the `Runtime` port: bytes in, component out |
//! | `engine`, `ticker` | wasmtime's configuration; the thread that advances the epoch |
//! | `binary` | what kind of file it is; core modules are wrapped |
//! | `check`, [`inspect`](mod@inspect) | the component's type against the world, in readable sentences |
//! | `compiler_service` | examines, compiles, links and asks a component what it is |
//! | `compiler` | the same in a process of its own, under limits: both ends of the pipe |
//! | `entry`, `cache` | compiled code as bytes; on disk |
//! | `component`, `instance` | the `Component` and `Instance` ports |
//! | `memory` | how much memory there is for this process |
//! | `sandbox` | the data of one instance: its capabilities as one part, and how much memory it has |
//! | `call` | the call that a guest is in: its time, and why a host call failed |
//! | `world` | the published versions of the contract, one adapter each |
//! | `capability` | what a guest can do, one slice a capability |
//! | `trap` | a failed call, as a message |
//!
//! Invariants: a guest sees no wall clock, randomness, file, socket or environment of the host, so that
//! a replay gives the same read model. A guest that loops, traps or eats memory ends its own call and
//! nothing else; one that exhausts the compiler ends the compiler's process. Nothing here knows a store, a
//! batch or a policy.

mod binary;
mod cache;
mod call;
mod capability;
mod check;
mod compiler;
mod compiler_service;
mod component;
mod engine;
mod entry;
pub mod inspect;
mod instance;
mod memory;
pub mod options;
pub mod runtime;
mod sandbox;
mod ticker;
mod trap;
mod world;

pub use compiler::child::{ServeError, serve as serve_compiler};
pub use inspect::{Inspection, inspect};
pub use memory::total as memory_total;
pub use options::{Compiler, RuntimeError, RuntimeOptions};
pub use runtime::WasmRuntime;
