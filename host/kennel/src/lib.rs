//! Kennel: runs event-sourcing projections as sandboxed WebAssembly components.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`orchestrator`], [`metrics`] | Kennel inside another program |
//! | [`cli`] | the subcommands, one file each |
//! | [`config`] | `kennel.toml`, one file a section |
//! | [`control`] | what people and pipelines do with projections, on a store or through a host |
//! | [`api`] | the HTTP endpoints that `kennel run` serves |
//! | [`wire`] | the only place that names concrete stores and runtimes |
//! | [`jsonl`] | events as lines of JSON |
//! | [`oci`] | components in OCI registries |
//! | [`exactly_once`] | was every event handled exactly once? |
//! | [`telemetry`] | the log |
//! | [`exit`] | exit codes, a documented part of the command's interface |

mod activate;
pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod exactly_once;
pub mod exit;
mod json;
pub mod jsonl;
pub mod metrics;
pub mod oci;
pub mod orchestrator;
pub mod telemetry;
pub mod wire;

pub use control::{Control, ControlError};
pub use kennel_engine::Metrics;
pub use orchestrator::{Orchestrator, OrchestratorError};
