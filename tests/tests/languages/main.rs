//! Projections in every language that has an SDK, on the real host: they do the same, and no more harm than each other.
//!
//! | module | what it tests |
//! | --- | --- |
//! | [`conformance`] | the guests play the groups of `guest-sdk/conformance`, on all stores |
//! | [`containment`] | endless loops, memory and recursion without end, and exceptions |
//! | [`plateau`] | memory over many events, and documents that are the same to the byte |
//! | [`header_of_c`] | C++ and Zig come to the same documents with the header of C |
//! | [`swap`] | one projection goes through all languages under load |
//!
//! The groups are read by [`groups`], made by [`large`], and played by [`play`].
//!
//! The guests of other languages than Rust are built by `make test`. Where they are missing the tests say so, and fail
//! in CI.

mod conformance;
mod containment;
mod groups;
mod header_of_c;
mod large;
mod plateau;
mod play;
mod swap;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tests take turns: some measure memory and time, and each takes all the processors that there are.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
