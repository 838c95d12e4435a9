//! What a guest can do, one file a capability: how it is linked and what it does.
//!
//! Files, sockets, environment and arguments are not here because there are none: a guest that asks
//! wasmtime's WASI for them finds an empty room.

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod log;
pub(crate) mod random;
pub(crate) mod read_model;
pub(crate) mod stdio;
pub(crate) mod wasi;
