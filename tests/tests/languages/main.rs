//! Projections in every language that has an SDK, on the real host: they do the same, and no more harm than each other.
//!
//! | module | what it tests |
//! | --- | --- |
//! | [`guests`] | nothing: where the guests are |
//! | [`plateau`] | memory over many events, and documents that are the same to the byte |
//! | [`swap`] | one projection goes through all languages under load |
//!
//! The guests of other languages than Rust are built by `make test`. Where they are missing the tests say so, and fail
//! in CI.

#![expect(clippy::print_stdout, reason = "tables and figures are what these tests are for")]

mod guests;
mod plateau;
mod swap;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tests take turns: some measure memory and time, and each takes all the processors that there are.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
