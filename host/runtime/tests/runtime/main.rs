//! The runtime from outside: what it refuses, what it runs, how it stops what misbehaves.
mod calls;
mod damage;
mod failures;
mod pool;
mod refusals;
mod support;
mod wasi;
