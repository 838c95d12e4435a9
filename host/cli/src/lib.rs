//! The `kennel` command.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`cli`] | the subcommands, one file each |
//! | [`config`] | `kennel.toml`, one file a section |
//! | [`remote`] | operations on projections through the API of a host |
//! | [`wire`] | opens stores and starts the runtime as the command does |
//! | [`jsonl`] | events as lines of JSON |
//! | [`expectations`] | what a test expects of a projection, and how what was found differs |
//! | [`nearest`] | suggestions for misspelt words |
//! | [`oci`] | components in OCI registries |
//! | `project` | projects of projections: their templates, and how they are built |
//! | [`exactly_once`] | was every event handled exactly once? |
//! | [`telemetry`] | the log |
//! | [`exit`] | exit codes, a documented part of the command's interface |

pub mod cli;
pub mod config;
pub mod exactly_once;
pub mod exit;
pub mod expectations;
pub mod jsonl;
pub mod nearest;
pub mod oci;
pub(crate) mod project;
pub mod remote;
pub mod telemetry;
pub mod wire;
