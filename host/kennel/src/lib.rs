//! Kennel: runs event-sourcing projections as sandboxed WebAssembly components, inside another program.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`orchestrator`] | the workers of this process |
//! | [`control`] | operations on projections |
//! | [`settings`] | what the operator sets for a projection |
//! | [`wire`] | the only place that names concrete stores and runtimes |
//! | [`json`] | how the bodies of operations are read |
//!
//! `kennel_server` serves these over HTTP, and `kennel_cli` is the `kennel` command.

pub mod activate;
pub mod control;
pub mod json;
pub mod orchestrator;
pub mod settings;
pub mod wire;

pub use control::{Control, ControlError};
pub use kennel_engine::Metrics;
pub use orchestrator::{Orchestrator, OrchestratorError};
