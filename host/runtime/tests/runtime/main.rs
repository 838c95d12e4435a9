//! The runtime from outside: what it refuses, what it runs, how it stops what misbehaves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod calls;
mod damage;
mod failures;
mod pool;
mod refusals;
mod support;
mod wasi;
