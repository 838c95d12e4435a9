//! The door to the host, for `export_projection!` and the modules of this crate; projections never name it.
//!
//! On wasm it leads to the host's imports. On other targets there is no host: log lines are kept and
//! settings are read where the test kit can reach them.

#[cfg(target_family = "wasm")]
#[rustfmt::skip]
#[allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::all,
    clippy::unwrap_used,
    clippy::semicolon_if_nothing_returned,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod bindings;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "memory is shared with the host")]
mod runtime;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{log, set_settings, setting, take_log};
#[cfg(target_family = "wasm")]
pub use wasm::{carry_panics_to_the_log, describe, handle};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{log, setting};
