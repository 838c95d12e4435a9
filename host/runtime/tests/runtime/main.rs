//! The runtime from outside: what it rejects, what it runs, how it stops what misbehaves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod bombs;
mod cache;
mod calls;
#[cfg(target_os = "linux")]
mod compiler;
mod damage;
mod failures;
mod objects;
mod pool;
mod remedies;
mod support;
mod unsupported;
mod wasi;
